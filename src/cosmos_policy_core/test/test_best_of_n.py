"""Behaviour of the choice among valued candidates."""

from __future__ import annotations

import numpy as np
import pytest

from cosmos_policy_core.errors import ConfigurationError, ModelError
from cosmos_policy_core.planning.best_of_n import choose, choose_so_far


def _constant(*values: float) -> np.ndarray:
    return np.broadcast_to(np.array(values)[:, None, None], (len(values), 3, 5)).copy()


def test_the_candidate_with_the_highest_value_is_chosen() -> None:
    decision = choose(_constant(0.2, 0.9, 0.5))
    assert decision.index == 1
    np.testing.assert_allclose(decision.candidate_values, [0.2, 0.9, 0.5], rtol=1e-6)


def test_a_tie_keeps_the_first_candidate() -> None:
    assert choose(_constant(0.5, 0.7, 0.7)).index == 1


def test_futures_and_members_are_aggregated_jointly() -> None:
    values = np.zeros((2, 2, 2))
    values[0] = [[0.9, 0.0], [0.0, 0.0]]
    values[1] = [[0.3, 0.3], [0.0, 0.0]]
    assert choose(values, "majority_mean").index == 1
    assert choose(values, "average").index == 0


def test_a_candidate_with_a_missing_value_is_never_chosen() -> None:
    values = _constant(0.9, 0.1)
    values[0, 2, 4] = np.nan
    decision = choose(values)
    assert decision.index == 1
    assert np.isnan(decision.candidate_values[0])


def test_candidates_without_any_hope_keep_the_first_one() -> None:
    assert choose(_constant(0.0, 0.0, 0.0)).index == 0


def test_no_valued_candidate_is_an_error_that_says_where_to_look() -> None:
    with pytest.raises(ModelError, match="none of the 2 candidates"):
        choose(np.full((2, 3, 5), np.nan))


def test_a_scheme_that_needs_more_members_is_an_error() -> None:
    with pytest.raises(ModelError, match="undefined"):
        choose(np.full((2, 1, 1), 0.5), "lcb")


def test_values_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ModelError, match="shape"):
        choose(np.zeros((2, 3)))


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="majority_mean"):
        choose(_constant(0.5), "best")


def test_a_share_without_an_answer_does_not_hide_what_the_other_share_says() -> None:
    values = _constant(0.0, 0.0, 0.0, 0.0, 0.2, 0.2, 0.9, 0.2)
    known = np.zeros(values.shape, dtype=bool)
    assert choose_so_far(values, known).index == 0
    known[4:] = True
    assert choose_so_far(values, known).index == 6
    known[0, 0, :2], values[0, 0, :2] = True, 0.95  # compared by the two members that both have
    assert choose_so_far(values, known).index == 0
