"""Leaving values out never changes the choice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cosmos_policy_core.errors import ModelError
from cosmos_policy_core.planning.aggregate import SCHEMES
from cosmos_policy_core.planning.best_of_n import choose, choose_so_far
from cosmos_policy_core.planning.pruning import bounds, contenders, score
from cosmos_policy_core.planning.rounds import cheapest_first, contested_round, next_round

THRESHOLD = 0.05
# Ties, the threshold itself and its neighbours are where a rule of comparison breaks.
EDGES = [0.0, 1.0, 0.5, THRESHOLD, float(np.nextafter(np.float32(THRESHOLD), np.float32(1))), 0.9, 0.04]
VALUES = st.one_of(st.sampled_from(EDGES), st.floats(0, 1, width=32))


@st.composite
def tables(draw: st.DrawFn) -> NDArray[np.float64]:
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 5)))
    return draw(arrays(np.float64, shape, elements=VALUES))


def reveal(table: NDArray[np.float64], scheme: str, size: int, finish_best: bool = False) -> NDArray[np.bool_]:
    """Reveal a table round by round as the planner does; returns what is known in the end."""
    _, futures, members = table.shape
    known = np.zeros(table.shape, dtype=bool)
    order = cheapest_first([1, 3, 5][:futures], [1, 1, 3, 4, 5][:members])
    while cells := contested_round(table, known, order, size, scheme, THRESHOLD, finish_best):
        for cell in cells:
            known[cell] = True
    return known


def evaluate_in_rounds(table: NDArray[np.float64], scheme: str, size: int) -> tuple[int, int]:
    """Reveal a table; returns the choice and the values spent."""
    known = reveal(table, scheme, size)
    return choose_so_far(table, known, scheme, THRESHOLD).index, int(known.sum())


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=150, deadline=None)
@given(table=tables(), size=st.integers(1, 20))
def test_the_choice_of_a_pruned_evaluation_is_the_exhaustive_one(
    scheme: str, table: NDArray[np.float64], size: int
) -> None:
    if scheme == "lcb" and table[0].size == 1:
        return  # undefined, refused by the settings
    index, spent = evaluate_in_rounds(table, scheme, size)
    assert index == choose(table, scheme, THRESHOLD).index
    assert spent <= table.size


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=100, deadline=None)
@given(table=tables(), size=st.integers(1, 20), data=st.data())
def test_shares_that_are_valued_apart_lead_to_the_same_choice(
    scheme: str, table: NDArray[np.float64], size: int, data: st.DataObject
) -> None:
    if scheme == "lcb" and table[0].size == 1:
        return
    owners = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(table), max_size=len(table))))
    known = np.zeros(table.shape, dtype=bool)
    for owner in set(owners.tolist()):
        known[owners == owner] = reveal(table[owners == owner], scheme, size, finish_best=True)
    flat, asked = table.reshape(len(table), -1), known.reshape(len(table), -1)
    assert contenders(flat, asked, scheme, THRESHOLD).sum() == 1
    assert choose_so_far(table, known, scheme, THRESHOLD).index == choose(table, scheme, THRESHOLD).index


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_outcome_of_the_unknown_members_leaves_the_bounds(scheme: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 15))
    row = data.draw(arrays(np.float64, size, elements=VALUES))
    known = data.draw(arrays(bool, size))
    low, high = bounds(row, known, scheme, THRESHOLD)
    for _ in range(5):
        outcome = np.where(known, row, data.draw(arrays(np.float64, size, elements=VALUES)))
        assert low <= score(outcome, scheme, THRESHOLD) <= high


def test_the_bounds_of_a_lower_confidence_bound_are_tight() -> None:
    row, known = np.array([0.7, 0.8, 0.0, 0.0]), np.array([True, True, False, False])
    low, high = bounds(row, known, "lcb", THRESHOLD)
    grid = [
        score(np.array([0.7, 0.8, a, b]), "lcb", 0.05) for a in np.linspace(0, 1, 41) for b in np.linspace(0, 1, 41)
    ]
    assert low == pytest.approx(min(grid), abs=1e-4)
    assert high == pytest.approx(max(grid), abs=1e-3)


def test_a_hopeless_field_costs_little() -> None:
    table = np.zeros((8, 3, 5))
    table[2] = 0.9
    index, spent = evaluate_in_rounds(table, "majority_mean", 8)
    assert index == 2
    assert spent < 0.6 * table.size


def test_the_leader_is_valued_to_its_end_before_the_others_go_on() -> None:
    table, order = np.full((3, 1, 5), 0.2), cheapest_first([1], [1, 1, 1, 1, 1])
    table[1] = 0.8
    known = np.zeros(table.shape, dtype=bool)
    known[:, :, :2] = True
    assert contested_round(table, known, order, 8, "average", THRESHOLD) == [(1, 0, 2), (1, 0, 3), (1, 0, 4)]
    known[1] = True  # 0.8 in the end; the others can still reach 0.68, which is too little
    assert contested_round(table, known, order, 8, "average", THRESHOLD) == []


def test_a_tie_that_cannot_be_broken_keeps_the_first_without_more_values() -> None:
    known = np.ones((2, 4), dtype=bool)
    known[1, 1:] = False
    table = np.ones((2, 4))
    np.testing.assert_array_equal(contenders(table, known, "average", THRESHOLD), [True, False])
    np.testing.assert_array_equal(contenders(table[::-1], known[::-1], "average", THRESHOLD), [True, True])


def test_a_candidate_that_failed_is_out_and_the_beaten_ones_are_asked_again() -> None:
    table, known = np.array([[0.9, 0.9], [0.1, 0.0]]), np.array([[True, True], [True, False]])
    assert contenders(table, known, "average", THRESHOLD).tolist() == [True, False]
    table[0, 1] = math.nan
    assert contenders(table, known, "average", THRESHOLD).tolist() == [False, True]


def test_an_early_answer_compares_candidates_by_the_members_they_share() -> None:
    table = np.zeros((2, 1, 4))
    table[0, 0] = [0.6, 0.6, 0.0, 0.0]
    table[1, 0] = [0.5, 0.9, 0.9, 0.9]
    known = np.array([[[True, True, False, False]], [[True, False, False, False]]])
    assert choose_so_far(table, known, "average").index == 0
    assert choose_so_far(table, np.zeros_like(known), "average").index == 0
    assert choose_so_far(table, np.ones_like(known), "average").index == 1


def test_all_candidates_failing_is_an_error() -> None:
    table, known = np.full((2, 1, 2), math.nan), np.zeros((2, 1, 2), dtype=bool)
    known[:, 0, 0] = True
    with pytest.raises(ModelError, match="all 2 candidates failed"):
        choose_so_far(table, known)


@pytest.mark.parametrize("bad", [-0.01, 1.5])
def test_a_value_outside_its_range_is_named(bad: float) -> None:
    table = np.full((2, 1, 2), 0.5)
    table[1, 0, 1] = bad
    with pytest.raises(ModelError, match=r"candidate 1 \(future 0, member 1\) is outside \[0, 1\]"):
        choose(table)


def test_no_candidates_is_an_error() -> None:
    with pytest.raises(ModelError, match="at least one"):
        choose(np.zeros((0, 3, 5)))


def test_cheap_members_come_first_and_a_future_is_paid_for_once() -> None:
    assert cheapest_first([1, 3], [1, 1, 3]) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert cheapest_first([1, 1], [1, 9]) == [(0, 0), (1, 0), (0, 1), (1, 1)]


def test_a_round_asks_all_contenders_the_same_question() -> None:
    known = np.zeros((3, 1, 2), dtype=bool)
    assert next_round(known, np.array([True, False, True]), [(0, 0), (0, 1)], 1) == [(0, 0, 0), (2, 0, 0)]
    assert len(next_round(known, np.array([True, False, True]), [(0, 0), (0, 1)], 4)) == 4
