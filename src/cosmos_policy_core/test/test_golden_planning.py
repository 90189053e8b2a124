"""Value ensembles become one score as in the reference."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import Case, cases, close

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.planning.aggregate import SCHEMES, aggregate


@cases("aggregate")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_matches_the_reference(case: Case, scheme: str) -> None:
    for number in range(case.config["num_cases"]):
        score = aggregate(case[f"in_values{number}"], scheme)
        assert score.dtype == np.float32
        close(score, case[f"out_{scheme}{number}"], atol=1e-6)


def test_a_value_equal_to_the_rounded_threshold_is_no_success() -> None:
    assert aggregate(np.array([0.05, 0.05]), "success_vote") == 0.0
    assert aggregate(np.nextafter(np.float32([0.05, 0.05]), np.float32(1)), "success_vote") == 1.0


def test_half_of_the_members_is_a_majority() -> None:
    assert aggregate([0.8, 0.0], "majority_mean") == pytest.approx(0.8)
    assert aggregate([0.8, 0.0, 0.0], "majority_mean") == 0.0


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="median.*majority_mean"):
        aggregate([0.5], "median")
