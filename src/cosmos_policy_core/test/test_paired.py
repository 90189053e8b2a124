"""Two planners on the same seeds are compared in pairs."""

from __future__ import annotations

import pytest

from cosmos_policy_core.evaluation.paired import Paired


def successes(pattern: str) -> dict[int, bool]:
    return {seed: mark == "+" for seed, mark in enumerate(pattern)}


def test_pairs_are_counted_over_the_shared_seeds_only() -> None:
    first = successes("++--+")
    second = successes("+-+-") | {77: True}
    assert Paired.of(first, second) == Paired(both=1, only_first=1, only_second=1, neither=1)


def test_evaluations_without_a_shared_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="share no seed"):
        Paired.of({1: True}, {2: True})


def test_the_difference_is_that_of_the_second_planner_and_lies_within_its_interval() -> None:
    paired = Paired(both=60, only_first=5, only_second=20, neither=15)
    low, high = paired.interval()
    assert paired.difference == pytest.approx(0.15)
    assert 0 < low < 0.15 < high < 0.27


def test_exchanging_the_planners_turns_the_sign() -> None:
    paired, turned = Paired(60, 5, 20, 15), Paired(60, 20, 5, 15)
    assert turned.difference == -paired.difference
    assert turned.interval() == pytest.approx(tuple(-end for end in reversed(paired.interval())))
    assert turned.p_value == paired.p_value


def test_the_exact_test_matches_a_hand_count() -> None:
    assert Paired(0, 1, 9, 0).p_value == pytest.approx(2 * 11 / 1024)  # 0 or 1 of 10 fair coins, either side
    assert Paired(50, 0, 0, 50).p_value == 1.0
