"""Samples drawn from episodes: their targets, their pools and their reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
from episodes import make_episode

from cosmos_policy_core.data.dataset import EpisodeDataset, Kind
from cosmos_policy_core.data.returns import monte_carlo_returns
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
    rows = dataset().epoch(np.random.default_rng(0))
    assert set(rows[rows[:, 1] == 2, 0]) <= {Kind.WORLD, Kind.VALUE}
    assert set(rows[rows[:, 0] == Kind.POLICY, 1]) == {0, 1}


def test_an_epoch_has_the_shares_that_were_asked_for() -> None:
    rows = dataset().epoch(np.random.default_rng(0), p_demo=0.5, p_success=0.5)
    assert np.mean(rows[:, 0] == Kind.POLICY) == pytest.approx(0.5, abs=0.02)
    rollouts = rows[rows[:, 0] != Kind.POLICY]
    assert np.mean(rollouts[:, 1] == 2) == pytest.approx(0.5, abs=0.02)


def test_the_same_generator_gives_the_same_epoch() -> None:
    first, second, other = (dataset().epoch(np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_demonstrations_may_be_kept_out_of_the_rollouts() -> None:
    rows = dataset(demonstrations_are_rollouts=False).epoch(np.random.default_rng(0))
    assert set(rows[rows[:, 0] != Kind.POLICY, 1]) == {2}


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
