"""Value ensembles -> one score per candidate (paper, planning with value ensembles)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosmos_policy_core.errors import ConfigurationError

Scheme = Literal["average", "lcb", "success_vote", "majority_mean"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

Values = NDArray[np.float32]


def aggregate(values: ArrayLike, scheme: str = "majority_mean", threshold: float = 0.05) -> Values:
    """Reduce the members of a value ensemble to one score.

    A member above the threshold counts as a predicted success. The comparison is strict and made in float32, like the
    reference: a member that equals the rounded threshold is no success.

    Args:
        values: (members, ...) in [0, 1].
        scheme: `average`; `lcb`, mean minus one unbiased standard deviation (NaN for a single member);
            `success_vote`, the fraction of successes; `majority_mean`, the mean of the successes if they are at least
            half of the members, else 0.
        threshold: value that separates failure from success. 0.05 suits a discount of 0.998.

    Returns:
        (...) float32 in [0, 1]; NaN where a member is NaN under `average` and `lcb`.

    Raises:
        ConfigurationError: the scheme is unknown.
        ValueError: there are no members.
    """
    members = np.asarray(values, dtype=np.float32)
    if members.ndim == 0 or len(members) == 0:
        raise ValueError(f"aggregate: values have shape {members.shape}. Give at least one member along axis 0.")
    if scheme not in _RULES:
        raise ConfigurationError(f"value aggregation: scheme {scheme!r} is unknown. Use one of: {', '.join(SCHEMES)}.")
    score = _RULES[scheme](members, members > np.float32(threshold))
    return np.clip(score, 0, 1).astype(np.float32)


def _average(members: Values, successes: NDArray[np.bool_]) -> Values:
    return members.mean(axis=0)


def _lower_confidence_bound(members: Values, successes: NDArray[np.bool_]) -> Values:
    if len(members) == 1:
        return np.full(members.shape[1:], np.nan, dtype=np.float32)  # the spread of one member is undefined
    return members.mean(axis=0) - members.std(axis=0, ddof=1)


def _success_vote(members: Values, successes: NDArray[np.bool_]) -> Values:
    return successes.mean(axis=0, dtype=np.float32)


def _majority_mean(members: Values, successes: NDArray[np.bool_]) -> Values:
    count = successes.sum(axis=0)
    mean = np.where(successes, members, 0).sum(axis=0, dtype=np.float32) / np.maximum(count, 1)
    return np.where(2 * count >= len(members), mean, 0)


_RULES: dict[str, Callable[[Values, NDArray[np.bool_]], Values]] = {
    "average": _average,
    "lcb": _lower_confidence_bound,
    "success_vote": _success_vote,
    "majority_mean": _majority_mean,
}
