"""One model asked as policy, world model and value function."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from policies import INSTRUCTION, observation, tiny_policy

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError, InstructionError, ModelError, ObservationError
from cosmos_policy_core.evaluation.serial import decide_serially
from cosmos_policy_core.model.ensembles import member_seed, member_steps
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.planning.planner import BestOfN, Direct


@pytest.fixture(scope="module")
def policy() -> CosmosPolicy:
    return tiny_policy()


def test_a_proposal_has_the_contract_s_shape_and_units(policy: CosmosPolicy) -> None:
    proposals = policy.propose(observation(policy), n=2, seeds=[3, 4])
    assert proposals.actions.shape == (2, 50, 14)
    assert proposals.future_proprio.shape == (2, 14)
    assert np.isfinite(proposals.actions).all()
    assert ((proposals.values >= 0) & (proposals.values <= 1)).all()


def test_a_chunk_depends_on_its_own_seed_only(policy: CosmosPolicy) -> None:
    scene = policy.encode(observation(policy))
    together = policy.propose(scene, n=3, seeds=[7, 8, 9])
    alone = policy.propose(scene, n=1, seeds=[8])
    np.testing.assert_allclose(together.actions[1], alone.actions[0], atol=1e-5)
    assert not np.allclose(together.actions[0], together.actions[1])


def test_splitting_a_batch_changes_nothing(policy: CosmosPolicy) -> None:
    scene = policy.encode(observation(policy))
    whole = policy.propose(scene, n=5)
    policy.max_batch = 2
    try:
        np.testing.assert_allclose(policy.propose(scene, n=5).actions, whole.actions, atol=1e-5)
    finally:
        policy.max_batch = 64


def test_imagined_futures_keep_the_present_and_the_action(policy: CosmosPolicy) -> None:
    scene = policy.encode(observation(policy))
    proposals = policy.propose(scene, n=2)
    futures = policy.imagine(scene, proposals, samples=3)
    layout = policy.config.layout
    assert futures.latents.shape[:2] == (2, 3)
    for member in range(3):
        imagined = futures.latents[:, member]
        assert torch.equal(imagined[:, :, layout.action], proposals.latents[:, :, layout.action])
        assert torch.equal(
            imagined[:, :, : layout.action], scene.clean[:, :, : layout.action].expand(2, -1, -1, -1, -1)
        )
    assert not torch.equal(futures.latents[:, 0], futures.latents[:, 1])


def test_values_come_per_candidate_future_and_member(policy: CosmosPolicy) -> None:
    scene = policy.encode(observation(policy))
    futures = policy.imagine(scene, policy.propose(scene, n=2), samples=3)
    values = policy.evaluate(scene, futures, samples=5)
    assert values.shape == (2, 3, 5)
    assert ((values >= 0) & (values <= 1)).all()


def test_decoded_futures_are_one_image_per_camera(policy: CosmosPolicy) -> None:
    images = policy.decode(policy.propose(observation(policy)).latents)
    assert images.shape == (1, 3, 64, 64, 3)
    assert images.dtype == np.uint8


def test_a_batched_plan_equals_the_one_made_one_by_one(policy: CosmosPolicy) -> None:
    planner = BestOfN(policy, policy, n=3, futures=2, values=2)
    plan = planner.decide(observation(policy), seed=11)
    np.testing.assert_allclose(plan.values, decide_serially(planner, observation(policy), 11), atol=1e-5)
    assert plan.chosen == int(np.argmax(plan.candidate_values))
    np.testing.assert_array_equal(plan.actions, plan.candidates[plan.chosen])


def test_the_same_seed_gives_the_same_plan_whatever_ran_before(policy: CosmosPolicy) -> None:
    first = Direct(policy).decide(observation(policy), seed=5)
    torch.rand(3)
    np.random.rand(3)
    np.testing.assert_array_equal(first.actions, Direct(policy).decide(observation(policy), seed=5).actions)


def test_an_unknown_instruction_is_refused_with_the_known_ones(policy: CosmosPolicy) -> None:
    wrong = dataclasses.replace(observation(policy), instruction="fold the shirt")
    with pytest.raises(InstructionError, match=INSTRUCTION):
        policy.encode(wrong)


def test_a_missing_camera_is_refused_by_name(policy: CosmosPolicy) -> None:
    seen = observation(policy)
    images = {name: image for name, image in seen.images.items() if name != "cam_high"}
    with pytest.raises(ObservationError, match="cam_high"):
        policy.encode(dataclasses.replace(seen, images=images))


@pytest.mark.parametrize("bad", [np.full(14, np.nan), np.zeros(13)])
def test_a_bad_proprio_is_refused(policy: CosmosPolicy, bad: np.ndarray) -> None:
    with pytest.raises(ObservationError, match="proprio"):
        policy.encode(dataclasses.replace(observation(policy), proprio=bad))


def test_a_network_that_returns_nan_is_an_error_not_an_action() -> None:
    broken = tiny_policy()
    with torch.no_grad():
        broken.network.blocks[0].mlp.layer2.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="not finite"):
        broken.propose(observation(broken))


def test_a_robot_with_another_contract_is_refused_with_every_difference(policy: CosmosPolicy) -> None:
    with pytest.raises(ContractError, match="rate"):
        policy.check(policy.contract.model_copy(update={"control_rate": 50.0}))
    policy.check(Embodiment.load("aloha_sim"))


def test_ensemble_members_follow_the_published_steps_and_seeds() -> None:
    assert member_steps(3, 5) == [1, 3, 5]
    assert member_steps(5, 5) == [1, 2, 3, 4, 5]
    assert member_steps(1, 5) == [5]
    assert member_seed(195, 2, 1, 3, "reference") == 198
    assert member_seed(195, 1, 2, 0, "reference") == 197
    independent = {
        member_seed(base, stage, f, v, "independent")
        for base in (1, 2)
        for stage in (1, 2)
        for f in (0, 1)
        for v in (0, 1)
    }
    assert len(independent) == 16
