"""Aggregate an ensemble of value predictions into one score (paper section 4.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosmos_policy_core.errors import ConfigurationError

# A value above this counts as a vote for success; the published literal.
SUCCESS_THRESHOLD = 0.05

SCHEMES = ("average", "lcb", "success_vote", "majority_mean")


def aggregate(values: ArrayLike, scheme: str = "majority_mean") -> NDArray[np.floating]:
    """Reduce the first axis of an ensemble of values.

    Args:
        values: (members, ...) in [0, 1].
        scheme: ``average`` (mean), ``lcb`` (mean minus one unbiased standard deviation; NaN for a single member),
            ``success_vote`` (fraction of members that expect success) or ``majority_mean`` (mean of the members that
            expect success when at least half of them do, else 0).

    Returns:
        (...) in [0, 1], in the floating type of the input.

    Raises:
        ConfigurationError: the scheme is unknown.
    """
    members = np.asarray(values)
    if not np.issubdtype(members.dtype, np.floating):
        members = members.astype(np.float64)
    votes = members > SUCCESS_THRESHOLD
    fraction = votes.mean(axis=0, dtype=members.dtype)
    if scheme == "average":
        score = members.mean(axis=0)
    elif scheme == "lcb":
        alone = len(members) < 2
        spread = np.full(members.shape[1:], np.nan, members.dtype) if alone else members.std(axis=0, ddof=1)
        score = members.mean(axis=0) - spread
    elif scheme == "success_vote":
        score = fraction
    elif scheme == "majority_mean":
        total = np.where(votes, members, 0).sum(axis=0)
        score = np.where(fraction >= 0.5, total / np.maximum(votes.sum(axis=0), 1), 0)
    else:
        raise ConfigurationError(f"aggregation '{scheme}' is unknown. Use one of: {', '.join(SCHEMES)}.")
    return np.clip(score, 0, 1).astype(members.dtype, copy=False)
