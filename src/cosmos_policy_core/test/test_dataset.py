"""Samples drawn from episodes: their targets, their pools and their reproducibility."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from episodes import make_episode

from cosmos_policy_core.data.dataset import EpisodeDataset
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.returns import monte_carlo_returns
from cosmos_policy_core.data.sampling import (
    PLANNING_MIX,
    POLICY_MIX,
    Kind,
    Mix,
    PublishedSampler,
    StratifiedSampler,
    epoch,
)
from cosmos_policy_core.data.split import split_episodes, split_pools
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DatasetError, StatisticsError

CONTRACT = Embodiment.load("aloha_sim")
DEMOS = [make_episode(CONTRACT, length=8, seed=seed) for seed in range(2)]
FAILURE = make_episode(CONTRACT, length=5, seed=9, success=False, success_score=0.0)
STATISTICS = Statistics.of(
    np.concatenate([demo.actions for demo in DEMOS]), np.concatenate([demo.proprio for demo in DEMOS])
)


def dataset(**options: bool) -> EpisodeDataset:
    return EpisodeDataset(DEMOS, [FAILURE], STATISTICS, horizon=3, gamma=0.9, **options)


def test_a_chunk_past_the_end_repeats_the_last_action_and_looks_at_the_last_state() -> None:
    sample = dataset().sample(Kind.POLICY, 0, 6)
    assert sample.future == 7 and sample.actions.shape == (3, 14)
    np.testing.assert_array_equal(sample.actions[1], sample.actions[2])
    np.testing.assert_allclose(STATISTICS.unnormalize_actions(sample.actions[0]), DEMOS[0].actions[6], atol=1e-6)
    np.testing.assert_allclose(STATISTICS.unnormalize_proprio(sample.future_proprio), DEMOS[0].proprio[7], atol=1e-6)


def test_the_value_label_is_the_return_of_the_state_after_the_chunk() -> None:
    data = dataset()
    assert data.sample(Kind.VALUE, 0, 0).value == pytest.approx(2 * 0.9**4 - 1)
    assert data.sample(Kind.VALUE, 2, 0).value == -1.0


def test_failures_never_teach_the_policy() -> None:
    rows = epoch(dataset().pools, POLICY_MIX, np.random.default_rng(0))
    assert set(rows[rows[:, 1] == 2, 0]) <= {Kind.WORLD, Kind.VALUE}
    assert set(rows[rows[:, 0] == Kind.POLICY, 1]) == {0, 1}


def test_an_epoch_has_the_shares_that_were_asked_for() -> None:
    rows = epoch(dataset().pools, POLICY_MIX, np.random.default_rng(0))
    assert np.mean(rows[:, 0] == Kind.POLICY) == pytest.approx(0.5, abs=0.02)
    rollouts = rows[rows[:, 0] != Kind.POLICY]
    assert np.mean(rollouts[:, 1] == 2) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("sampler", [PublishedSampler, StratifiedSampler])
def test_the_same_seed_and_step_give_the_same_rows(sampler: type[PublishedSampler | StratifiedSampler]) -> None:
    first, second, other = (sampler(large().pools, POLICY_MIX, seed) for seed in (3, 3, 4))
    # Asked in another order: a resumed run starts in the middle.
    ahead = [second.rows(step, 7) for step in (30, 0, 31)]
    np.testing.assert_array_equal(first.rows(30, 7), ahead[0])
    np.testing.assert_array_equal(first.rows(0, 7), ahead[1])
    assert not np.array_equal(first.rows(0, 7), other.rows(0, 7))


def test_demonstrations_may_be_kept_out_of_the_rollouts() -> None:
    rows = epoch(dataset(demonstrations_are_rollouts=False).pools, POLICY_MIX, np.random.default_rng(0))
    assert set(rows[rows[:, 0] != Kind.POLICY, 1]) == {2}


def test_an_epoch_is_walked_through_without_repeats_and_then_shuffled_anew() -> None:
    pools = large().pools
    sampler = PublishedSampler(pools, POLICY_MIX, seed=0)
    length = len(epoch(pools, POLICY_MIX, np.random.default_rng(0)))
    first = np.concatenate([sampler.rows(step, 10) for step in range(length // 10)])
    policy = first[first[:, 0] == Kind.POLICY]
    assert len(np.unique(policy[:, 1:], axis=0)) == pytest.approx(len(pools.demonstrations), abs=10)
    assert not np.array_equal(sampler.rows(length // 10, 10), sampler.rows(0, 10))
    with pytest.raises(DatasetError, match="larger than an epoch"):
        sampler.rows(0, length + 1)


def test_partial_credit_survives_on_the_absolute_scale_only() -> None:
    assert monte_carlo_returns(3, 0.5, 0.9)[-1] == 1.0
    assert monte_carlo_returns(3, 0.5, 0.9, absolute_scale=True)[-1] == 0.0
    np.testing.assert_array_equal(monte_carlo_returns(3, 0.0, 0.9), [-1.0, -1.0, -1.0])


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(DatasetError, match="no episodes"):
        EpisodeDataset([], [], STATISTICS, horizon=3)
    flat = Statistics.of(np.zeros((2, 14)), np.zeros((2, 14)))
    with pytest.raises(StatisticsError, match="never change"):
        EpisodeDataset(DEMOS, [], flat, horizon=3)


def large(failures: int = 6) -> EpisodeDataset:
    demos = [bare(40, seed, success=True) for seed in range(5)]
    rollouts = [bare(30, 10 + seed, success=seed >= failures) for seed in range(2 * failures)]
    statistics = Statistics.of(np.concatenate([d.actions for d in demos]), np.concatenate([d.proprio for d in demos]))
    return EpisodeDataset(demos, rollouts, statistics, horizon=3, demonstrations_are_rollouts=False)


def bare(length: int, seed: int, *, success: bool) -> Episode:
    """Make an episode without images."""
    rng = np.random.default_rng(seed)
    actions, proprio = (rng.uniform(-1, 1, (length, 14)).astype(np.float32) for _ in range(2))
    return Episode(actions, proprio, {}, f"task {seed % 2}", success, float(success), seed)


SHARES = [(POLICY_MIX, (0.5, 0.25, 0.25)), (PLANNING_MIX, (0.1, 0.45, 0.45))]


@pytest.mark.parametrize(("mix", "shares"), SHARES)
def test_the_published_mixes_hold_over_an_epoch(mix: Mix, shares: tuple[float, ...]) -> None:
    rows = epoch(large().pools, mix, np.random.default_rng(0))
    found = [np.mean(rows[:, 0] == kind) for kind in Kind]
    np.testing.assert_allclose(found, shares, atol=0.03)
    assert found[0] == pytest.approx(shares[0], abs=0.005)  # only world model against value is left to chance
    rollouts = rows[rows[:, 0] != Kind.POLICY]
    assert np.mean(rollouts[:, 1] >= 5 + 6) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("mix", "shares"), SHARES)
def test_every_stratified_batch_has_the_shares(mix: Mix, shares: tuple[float, ...]) -> None:
    sampler = StratifiedSampler(large().pools, mix, seed=0)
    for step in range(20):
        rows = sampler.rows(step, 20)
        counts = [np.sum(rows[:, 0] == kind) for kind in Kind]
        np.testing.assert_array_equal(counts, [20 * share for share in shares])


def test_partial_credit_keeps_its_scale_when_asked() -> None:
    partial = make_episode(CONTRACT, length=5, seed=4, success=False, success_score=0.5)
    values = [
        EpisodeDataset(DEMOS, [partial], STATISTICS, 3, 1.0, absolute_scale=absolute).sample(Kind.VALUE, 2, 0).value
        for absolute in (False, True)
    ]
    assert values == [1.0, 0.0]


def test_a_split_is_drawn_by_seed_and_does_not_depend_on_the_order() -> None:
    episodes = [replace(bare(3, seed, success=True), source=f"{seed:03d}") for seed in range(40)]
    kept, held = split_episodes(episodes, 0.1, seed=1)
    assert len(held) == 4 and {episodes[index].instruction for index in held} == {"task 0", "task 1"}
    assert sorted(kept + held) == list(range(40))
    backwards = split_episodes(episodes[::-1], 0.1, seed=1)[1]
    assert {episodes[::-1][index].source for index in backwards} == {episodes[index].source for index in held}
    assert split_episodes(episodes, 0.1, seed=2)[1] != held


def test_a_small_task_still_has_a_validation_episode_and_a_lone_one_is_trained_on() -> None:
    pair = [replace(bare(3, seed, success=True), source=str(seed), instruction="a") for seed in range(2)]
    assert [len(part) for part in split_episodes(pair, 0.01, seed=0)] == [1, 1]
    assert split_episodes(pair, 0.0, seed=0) == ([0, 1], [])
    with pytest.raises(DatasetError, match="leave none to hold out"):
        split_episodes(pair[:1], 0.5, seed=0)
    with pytest.raises(DatasetError, match="Give one from 0 up to"):
        split_episodes(pair, 1.0, seed=0)


def test_a_kind_of_episode_that_has_none_to_spare_is_trained_on_whole() -> None:
    pair = [replace(bare(3, seed, success=True), source=str(seed), instruction="a") for seed in range(2)]
    split = split_pools({"demonstrations": pair, "rollouts": pair[:1]}, 0.01, seed=0)
    assert [len(part) for part in split["demonstrations"]] == [1, 1]
    assert split["rollouts"] == ([0], [])
    with pytest.raises(DatasetError, match="2 episodes of 1 tasks leave none to hold out"):
        split_pools({"demonstrations": pair[:1], "rollouts": pair[1:]}, 0.01, seed=0)
