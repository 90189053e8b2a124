"""How a plan is made: presets, time, cancellation, looking ahead, and refusals."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from policies import observation, tiny_policy

from cosmos_policy_core.checkpoints import find
from cosmos_policy_core.errors import ConfigurationError, ContractError, PlanCancelled
from cosmos_policy_core.evaluation.serial import decide_serially
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.ensembles import SeedMode, candidate_seeds, member_seed
from cosmos_policy_core.model.policy import CosmosPolicy, Futures
from cosmos_policy_core.planning import budget
from cosmos_policy_core.planning.aggregate import SCHEMES
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.candidates import propose_candidates
from cosmos_policy_core.planning.planner import BestOfN, Completed, Direct, Plan
from cosmos_policy_core.planning.presets import (
    DEFAULT,
    REFERENCE,
    DepthValues,
    PlannerSettings,
    calibrated_threshold,
    preset,
    success_threshold,
)
from cosmos_policy_core.planning.scoring import threshold_for

SMALL = dataclasses.replace(REFERENCE, n=3, futures=2, values=3, action_steps=3, future_steps=3, value_steps=3)


@pytest.fixture(scope="module")
def policy() -> CosmosPolicy:
    return tiny_policy()


class Calls:
    """Count network calls; after `most` of them `asked` says stop."""

    def __init__(self, policy: CosmosPolicy, most: int | None = None) -> None:
        self.policy, self.most, self.count = policy, most, 0

    def __enter__(self) -> Calls:
        forward = self.policy.network.forward

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return forward(*args, **kwargs)

        self.policy.network.forward = counting  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        del self.policy.network.forward

    def remaining(self) -> float:
        """A clock on which every network call takes one second."""
        assert self.most is not None
        return float(self.most - self.count)

    def spent(self) -> bool:
        return self.most is not None and self.count >= self.most


def test_the_reference_preset_is_the_published_planner() -> None:
    assert (REFERENCE.n, REFERENCE.futures, REFERENCE.values) == (8, 3, 5)
    assert (REFERENCE.action_steps, REFERENCE.future_steps, REFERENCE.value_steps) == (10, 5, 5)
    assert (REFERENCE.aggregate, REFERENCE.threshold, REFERENCE.depth) == ("majority_mean", 0.05, 1)
    assert REFERENCE.seeds == "reference"
    assert not REFERENCE.retile
    assert preset("default") is DEFAULT


def test_a_batched_reference_plan_equals_the_one_made_one_by_one(policy: CosmosPolicy) -> None:
    planner = BestOfN(policy, policy, settings=SMALL)
    plan = planner.decide(observation(policy), seed=195)
    np.testing.assert_allclose(plan.values, decide_serially(planner, observation(policy), 195), atol=2e-5)
    assert (plan.spent, plan.saved, plan.completed) == (18, 0, Completed.DECIDED)
    assert plan.network_calls == 3 * (3 + (1 + 3) + 2 * (1 + 1 + 3))


def test_without_a_value_ensemble_the_published_planner_asks_the_first_future_alone(policy: CosmosPolicy) -> None:
    alone = dataclasses.replace(SMALL, values=1)
    plan = BestOfN(policy, policy, settings=alone).decide(observation(policy), seed=195)
    assert plan.values.shape == (3, 1, 1)
    assert plan.network_calls == 3 * (3 + 1 + 3)  # the first of two futures takes one step, the single value all three
    np.testing.assert_allclose(plan.candidate_values, plan.values[:, 0, 0])
    independent = dataclasses.replace(alone, seeds="independent")
    assert (alone.members, independent.members) == (1, 2)
    ours = BestOfN(policy, policy, settings=independent).decide(observation(policy), seed=195)
    assert ours.values.shape == (3, 2, 1)


def test_published_seeds_share_noise_between_neighbours_and_default_ones_do_not(policy: CosmosPolicy) -> None:
    same = dataclasses.replace(SMALL, n=2, futures=3)
    seen = {}
    for mode in ("reference", "independent"):
        futures = policy.imagine(
            policy.encode(observation(policy)),
            policy.propose(observation(policy), 2),
            3,
            3,
            seeds=mode,  # type: ignore[arg-type]
        )
        seen[mode] = futures
    assert member_seed(0, 1, 1, 0, "reference") == member_seed(1, 1, 0, 0, "reference")
    assert member_seed(0, 1, 1, 0, "independent") != member_seed(1, 1, 0, 0, "independent")
    assert not torch.equal(seen["reference"].latents, seen["independent"].latents)
    assert same.members == 9


def test_plans_of_a_task_share_noise_as_published_and_never_in_the_default_preset(policy: CosmosPolicy) -> None:
    published, default = (BestOfN(policy, policy, settings=settings) for settings in (REFERENCE, DEFAULT))
    assert published.candidate_seeds(195, 0) == published.candidate_seeds(195, 1) == tuple(range(195, 203))
    drawn = [seed for task in (195, 196) for plan in range(3) for seed in default.candidate_seeds(task, plan)]
    assert len(set(drawn)) == 2 * 3 * 8
    plan = BestOfN(policy, policy, 2, 1, 1).decide(observation(policy), 195, 1)
    assert plan.seeds == default.candidate_seeds(195, 1)[:2]


@pytest.mark.parametrize("preset", [REFERENCE, DEFAULT])
def test_the_direct_chunk_is_the_first_candidate(policy: CosmosPolicy, preset: PlannerSettings) -> None:
    plan = Direct(policy, seeds=preset.seeds).decide(observation(policy), 195, 3)
    assert plan.seeds == BestOfN(policy, policy, settings=preset).candidate_seeds(195, 3)[:1]


@pytest.mark.parametrize("mode", ["reference", "independent"])
def test_every_seed_that_a_message_carries_gives_seeds_that_it_can_carry(mode: SeedMode) -> None:
    for seed in (0, 2**64 - 1, -1):
        seeds = candidate_seeds(seed, 2, 8, mode)
        assert len(set(seeds)) == 8 and all(0 <= each < 2**64 for each in seeds)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pruning_changes_the_cost_of_a_plan_and_not_its_choice(policy: CosmosPolicy, scheme: str) -> None:
    exhaustive = BestOfN(policy, policy, settings=dataclasses.replace(SMALL, aggregate=scheme))
    pruned = BestOfN(policy, policy, settings=dataclasses.replace(SMALL, aggregate=scheme, pruning=True))
    for seed in (1, 2):
        whole, part = (each.decide(observation(policy), seed) for each in (exhaustive, pruned))
        assert part.chosen == whole.chosen
        assert part.spent + part.saved == whole.spent
        known = np.isfinite(part.values)
        assert known.sum() == part.spent
        np.testing.assert_allclose(part.values[known], whole.values[known], atol=2e-5)


def test_a_clear_winner_saves_evaluations(policy: CosmosPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(DEFAULT, n=4, futures=3, values=5, action_steps=1, future_steps=1, value_steps=1)
    planner = BestOfN(policy, policy, settings=settings)

    def second_is_best(sampled: torch.Tensor) -> np.ndarray:
        return np.where(np.arange(len(sampled)) % len(sampled) == (1 if len(sampled) > 1 else 0), 0.95, 0.0)

    # Rounds of two columns hold eight values, of which one belongs to the second candidate.
    monkeypatch.setattr(policy, "values_of", second_is_best)
    plan = planner.decide(observation(policy), 3)
    assert plan.saved > 0
    assert plan.spent + plan.saved == 60


def test_time_that_never_runs_out_changes_nothing(policy: CosmosPolicy) -> None:
    planner = BestOfN(policy, policy, settings=SMALL)
    plan = planner.decide(observation(policy), 4, budget=Budget(lambda: 1.0))
    assert plan.completed is Completed.DECIDED
    np.testing.assert_allclose(plan.values, planner.decide(observation(policy), 4).values, atol=2e-5)


def plan_in(policy: CosmosPolicy, calls: int) -> tuple[Plan, int]:
    with Calls(policy, calls) as network:
        plan = BestOfN(policy, policy, settings=SMALL).decide(observation(policy), 4, budget=Budget(network.remaining))
        return plan, network.count


def test_the_less_time_the_less_is_known_and_a_chunk_comes_always(policy: CosmosPolicy) -> None:
    direct = Direct(policy, steps=3, seeds="reference").decide(observation(policy), 4)
    complete, needed = plan_in(policy, 1000)
    known = []
    for calls in range(0, needed + 1, 2):
        plan, used = plan_in(policy, calls)
        assert used <= max(calls, 3)  # the policy's own chunk takes three
        assert np.isfinite(plan.actions).all()
        known.append(plan.spent)
        if plan.completed is Completed.DIRECT:
            np.testing.assert_allclose(plan.actions, direct.actions, atol=1e-5)
    assert known == sorted(known)
    assert known[0] == 0
    assert complete.completed is Completed.DECIDED
    assert plan_in(policy, 12)[0].completed is Completed.PARTLY_VALUED
    assert plan_in(policy, 0)[0].completed is Completed.DIRECT


def test_candidates_leave_time_to_be_compared(policy: CosmosPolicy) -> None:
    plan, used = plan_in(policy, 12)  # three for the first chunk; half of the other nine is one more
    assert (len(plan.candidates), plan.completed) == (2, Completed.PARTLY_VALUED)
    assert plan.spent > 0
    assert used <= 12


@pytest.mark.parametrize(("chunks", "candidates"), [(1.0, 1), (2.0, 1), (3.0, 2), (5.0, 3), (10.0, 5)])
def test_candidates_take_half_of_the_time_after_the_first(
    policy: CosmosPolicy, monkeypatch: pytest.MonkeyPatch, chunks: float, candidates: int
) -> None:
    with Calls(policy) as network:  # a clock that every network call moves by a second
        monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: float(network.count)))
        made = propose_candidates(
            policy, policy.encode(observation(policy)), range(8), 3, Budget.until(3 * chunks + 0.5)
        )
    assert len(made.seeds) == candidates


@pytest.mark.parametrize("calls", [0, 2, 7])
def test_a_cancelled_plan_makes_no_further_network_call(policy: CosmosPolicy, calls: int) -> None:
    with Calls(policy, calls) as network:
        with pytest.raises(PlanCancelled):
            BestOfN(policy, policy, settings=SMALL).decide(
                observation(policy), 4, budget=Budget(cancelled=network.spent)
            )
        assert network.count == calls


def test_a_cancelled_direct_plan_stops_too(policy: CosmosPolicy) -> None:
    with Calls(policy, 1) as network, pytest.raises(PlanCancelled):
        Direct(policy, steps=3).decide(observation(policy), 4, budget=Budget(cancelled=network.spent))


def test_a_plan_cancelled_out_of_time_is_cancelled(policy: CosmosPolicy) -> None:
    with pytest.raises(PlanCancelled):
        BestOfN(policy, policy, settings=SMALL).decide(observation(policy), 4, budget=Budget(lambda: 0.0, lambda: True))


def test_retiled_conditioning_gives_the_world_model_the_chunk_that_is_executed(policy: CosmosPolicy) -> None:
    scene = policy.encode(observation(policy))
    proposals = policy.propose(scene, 2)
    layout = policy.config.layout
    raw, tiled = (policy.world_input(scene, proposals, retile=retile) for retile in (False, True))
    assert torch.equal(raw[:, :, layout.action], proposals.latents[:, :, layout.action])
    copied = policy.config.horizon * policy.config.action_dim
    raw_numbers, numbers = (frames[:, :, layout.action].flatten(1) for frames in (raw, tiled))
    torch.testing.assert_close(numbers[:, :copied], raw_numbers[:, :copied], atol=1e-5, rtol=1e-5)  # one copy: the mean
    rest = numbers.shape[1] - copied
    assert torch.equal(numbers[:, copied:], numbers[:, :rest])
    assert not torch.allclose(raw_numbers[:, copied:], raw_numbers[:, :rest])
    assert torch.equal(raw[:, :, : layout.action], tiled[:, :, : layout.action])


def test_a_deeper_search_grows_a_tree_of_states_with_their_own_proprioception(policy: CosmosPolicy) -> None:
    settings = dataclasses.replace(SMALL, n=2, futures=2, values=2, depth=2, seeds="independent")
    plan = BestOfN(policy, policy, settings=settings).decide(observation(policy), 5)
    assert plan.tree is not None
    first, second = (plan.tree.level(depth) for depth in (1, 2))
    assert (len(first), len(second)) == (4, 8)
    assert plan.values.shape == (2, 4, 2)
    assert plan.completed is Completed.DECIDED
    assert plan.spent == (4 + 8) * 2
    for index in second:
        start, end = plan.tree.path(index)
        assert start.candidate == end.candidate
        assert not np.allclose(start.proprio, end.proprio)
        assert not np.allclose(start.actions, end.actions)
    leaves = [node for node in plan.tree.nodes if node.depth == 2 and node.candidate == 1]
    np.testing.assert_array_equal(plan.values[1], [leaf.values for leaf in leaves])


def test_the_next_chunk_of_a_search_starts_from_the_imagined_state(policy: CosmosPolicy) -> None:
    scene, layout = policy.encode(observation(policy)), policy.config.layout
    futures = policy.imagine(scene, policy.propose(scene, 2), samples=1).latents[:, 0]
    state = policy.advance(futures, scene)
    for current, future in zip(layout.images, layout.future_images, strict=True):
        assert torch.equal(state.clean[:, :, current], futures[:, :, future])
    tiled = policy._proposals(state.clean.roll(layout.future_proprio - layout.proprio, dims=2), (0, 1)).future_proprio
    np.testing.assert_allclose(tiled, policy.proprio_of(futures), atol=1e-5)
    together = policy.propose(state, 2, seeds=[3, 3])
    assert not np.allclose(together.actions[0], together.actions[1])


def test_values_of_a_search_may_be_averaged_over_a_path(policy: CosmosPolicy) -> None:
    settings = dataclasses.replace(SMALL, n=2, futures=1, values=2, depth=2, depth_values="average")
    plan = BestOfN(policy, policy, settings=settings).decide(observation(policy), 5)
    assert plan.tree is not None
    path = plan.tree.path(plan.tree.level(2)[1])
    np.testing.assert_allclose(plan.values[1, 0], (path[0].values + path[1].values) / 2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_leaving_leaves_out_does_not_change_the_choice_of_a_search(policy: CosmosPolicy, scheme: str) -> None:
    steps = {"action_steps": 1, "future_steps": 1, "value_steps": 1}
    settings = dataclasses.replace(SMALL, n=3, depth=2, values=2, seeds="independent", aggregate=scheme, **steps)
    whole, part = (
        BestOfN(policy, policy, settings=dataclasses.replace(settings, pruning=pruning)).decide(observation(policy), 5)
        for pruning in (False, True)
    )
    assert part.chosen == whole.chosen
    assert part.spent + part.saved == whole.spent
    known = np.isfinite(part.values)
    np.testing.assert_allclose(part.values[known], whole.values[known], atol=2e-5)


def test_a_threshold_follows_what_the_checkpoint_was_trained_with() -> None:
    policy = tiny_policy(gamma=0.99, episode_steps=100)
    assert threshold_for(policy, DEFAULT) == pytest.approx(0.183, abs=1e-3)
    assert threshold_for(tiny_policy(), DEFAULT) == threshold_for(policy, REFERENCE) == 0.05


def test_the_shipped_checkpoint_says_what_its_threshold_follows_from() -> None:
    config = PolicyConfig.load(find("nano_transfer_cube"))
    assert (config.gamma, config.episode_steps) == (0.99, 134)
    assert calibrated_threshold(config.gamma, config.episode_steps) == pytest.approx(0.13, abs=1e-3)


def test_a_search_out_of_time_answers_with_the_depth_it_completed(policy: CosmosPolicy) -> None:
    settings = dataclasses.replace(SMALL, n=2, futures=1, values=1, depth=3)
    with Calls(policy, 3 + 3 + 6 + 3 + 1) as network:
        plan = BestOfN(policy, policy, settings=settings).decide(
            observation(policy), 5, budget=Budget(network.remaining)
        )
    assert plan.tree is not None
    assert {node.depth for node in plan.tree.nodes} == {1}
    assert plan.completed is Completed.PARTLY_VALUED


@pytest.mark.parametrize("depth_values", ["last", "average"])
def test_a_search_out_of_time_in_its_first_depth_compares_what_is_known(
    policy: CosmosPolicy, depth_values: DepthValues
) -> None:
    plans = []
    for depth in (1, 2):
        settings = dataclasses.replace(SMALL, depth=depth, depth_values=depth_values)
        with Calls(policy, 15) as network:
            planner = BestOfN(policy, policy, settings=settings)
            plans.append(planner.decide(observation(policy), 5, budget=Budget(network.remaining)))
        assert network.count <= 15
    flat, deep = plans
    assert deep.completed is Completed.PARTLY_VALUED
    assert 0 < deep.spent == flat.spent < 18
    np.testing.assert_allclose(deep.values, flat.values)
    assert deep.chosen == flat.chosen
    assert deep.tree is not None and {node.depth for node in deep.tree.nodes} == {1}


def test_values_of_state_and_action_skip_the_futures(policy: CosmosPolicy) -> None:
    settings = dataclasses.replace(SMALL, imagine=False)
    plan = BestOfN(policy, policy, settings=settings).decide(observation(policy), 6)
    assert plan.values.shape == (3, 1, 3)
    scene = policy.encode(observation(policy))
    proposals = policy.propose(scene, 3, [6, 7, 8], 3)
    itself = Futures(proposals.latents[:, None], proposals.seeds)
    expected = policy.evaluate(scene, itself, 3, 3, seeds="reference")
    np.testing.assert_allclose(plan.values, expected, atol=2e-5)


def test_a_checkpoint_that_values_actions_is_never_asked_for_futures() -> None:
    policy = tiny_policy(value_input="action")
    plan = BestOfN(policy, policy, settings=SMALL).decide(observation(policy), 6)
    assert plan.values.shape == (3, 1, 3)
    assert plan.stages["imagine"] < plan.stages["evaluate"]
    for wrong in ({"imagine": True}, {"depth": 2}):
        with pytest.raises(ConfigurationError, match="values \\(s, a\\)"):
            BestOfN(policy, policy, settings=dataclasses.replace(SMALL, **wrong))  # type: ignore[arg-type]


def test_the_imagined_images_come_on_request(policy: CosmosPolicy) -> None:
    planner = BestOfN(policy, policy, settings=SMALL)
    assert planner.decide(observation(policy), 7).images is None
    images = planner.decide(observation(policy), 7, images=True).images
    assert images is not None
    assert images.shape == (3, 64, 64, 3)


def test_a_planning_checkpoint_for_another_robot_is_refused(policy: CosmosPolicy) -> None:
    world = tiny_policy(seed=1)
    world.contract = world.contract.model_copy(update={"control_rate": 50.0})
    with pytest.raises(ContractError, match=r"control_rate.*fine-tuned from this policy"):
        BestOfN(policy, world)


def test_a_planning_checkpoint_with_another_scale_is_refused_unless_chunks_are_retiled(policy: CosmosPolicy) -> None:
    world = tiny_policy(seed=1)
    world.statistics = dataclasses.replace(world.statistics, actions_max=world.statistics.actions_max * 2)
    with pytest.raises(ContractError, match="actions_max"):
        BestOfN(policy, world)
    BestOfN(policy, world, settings=dataclasses.replace(DEFAULT, retile=True))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "n is 0"),
        ({"aggregate": "median"}, "majority_mean"),
        ({"threshold": 1.0}, "threshold is 1.0"),
        ({"aggregate": "lcb", "futures": 1, "values": 1}, "lcb"),
        ({"depth": 2, "imagine": False}, "depth"),
        ({"value_steps": 0}, "value_steps"),
        ({"depth_values": "first"}, "last, average"),
        ({"seeds": "random"}, "reference, independent"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PlannerSettings(**wrong)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="reference, default"):
        preset("paper")


def test_the_success_threshold_follows_discount_and_horizon() -> None:
    assert success_threshold(0.998, 1150) == pytest.approx(0.05, abs=1e-3)
    assert success_threshold(0.99, 100) == pytest.approx(0.183, abs=1e-3)
    assert success_threshold(1.0, 10) == 0.5
    with pytest.raises(ConfigurationError, match="gamma"):
        success_threshold(1.1, 10)
