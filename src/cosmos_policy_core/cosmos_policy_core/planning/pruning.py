"""Decision-exact pruning: which candidates can still become the choice, whatever their unknown values are.

Every value lies in [0, 1]. From the known ones follow bounds of a candidate's score; a candidate whose best case does
not beat another one's worst case can never be the first strict maximum, so it needs no more values. The bounds hold
for the float32 arithmetic of `aggregate`, rounding included: where the score is a monotone sum they are computed by
that same arithmetic, elsewhere they are widened by more than its rounding.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.planning.aggregate import aggregate

ROUNDING = 1e-5
"""More than the float32 rounding of a score of up to a hundred members."""

Table = NDArray[np.float64]
Known = NDArray[np.bool_]


def score(row: Table, scheme: str, threshold: float) -> float:
    """Aggregate one candidate's values (members,)."""
    return float(aggregate(row, scheme, threshold))


def bounds(row: Table, known: Known, scheme: str, threshold: float) -> tuple[float, float]:
    """Bound the score that a candidate can end with.

    Args:
        row: (members,) values in [0, 1]; read where known.
        known: (members,).

    Returns:
        Least and greatest score over all outcomes of the unknown members; equal when all are known.
        (-inf, -inf) for a candidate with a known value that is not a number: it failed.
    """
    if np.isnan(row[known]).any():
        return -math.inf, -math.inf
    if known.all():
        exact = score(row, scheme, threshold)
        return exact, exact
    if scheme in ("average", "success_vote"):  # monotone in every member, in float32 as well
        return score(np.where(known, row, 0), scheme, threshold), score(np.where(known, row, 1), scheme, threshold)
    if scheme == "majority_mean" and 0 <= threshold < 1:
        return _majority_mean(row, known, threshold)
    if scheme == "lcb" and len(row) > 1:
        return _lower_confidence_bound(row, known, threshold)
    return 0.0, 1.0


def contenders(values: Table, known: Known, scheme: str, threshold: float) -> Known:
    """Tell which candidates can still be the first strict maximum: (n,) bool.

    Args:
        values: (n, members), each in [0, 1] or NaN for a failed prediction; read where known.
        known: (n, members).

    Returns:
        No candidate when all failed. One candidate: the decision is made, however many values are unknown.
    """
    limits = [bounds(row, mask, scheme, threshold) for row, mask in zip(values, known, strict=True)]
    low, high = np.array([pair[0] for pair in limits]), np.array([pair[1] for pair in limits])
    index = np.arange(len(low))
    earlier = index[:, None] < index[None, :]
    beaten = (low[:, None] > high[None, :]) | ((low[:, None] == high[None, :]) & earlier)
    return ~beaten.any(axis=0) & (high > -math.inf)


def _majority_mean(row: Table, known: Known, threshold: float) -> tuple[float, float]:
    """Worst: the unknown fail and leave no majority, else they barely succeed and drag the mean down. Best: all 1."""
    members = row[known].astype(np.float32)
    successes = members[members > np.float32(threshold)]
    unknown = len(row) - len(members)
    total, count = float(successes.sum(dtype=np.float64)), len(successes)
    low, high = 0.0, 0.0
    if 2 * count >= len(row):
        low = max(0.0, (total + unknown * threshold) / (count + unknown) - ROUNDING)
    if 2 * (count + unknown) >= len(row):
        high = min(1.0, (total + unknown) / (count + unknown) + ROUNDING)
    return low, high


def _lower_confidence_bound(row: Table, known: Known, threshold: float) -> tuple[float, float]:
    """Mean minus standard deviation is concave and symmetric in the unknown members.

    So its least value lies where each of them is 0 or 1, and its greatest where all of them are equal.
    """
    members = row[known].astype(np.float32).astype(np.float64)
    total, unknown = len(row), len(row) - len(members)

    def value(filling: NDArray[np.float64]) -> float:
        full = np.concatenate([members, filling])
        return float(full.mean() - full.std(ddof=1))

    least = min(value(np.repeat([1.0, 0.0], [ones, unknown - ones])) for ones in range(unknown + 1))
    greatest = max(value(np.full(unknown, level)) for level in _stationary(members, total))
    return max(0.0, min(1.0, least - ROUNDING)), max(0.0, min(1.0, greatest + ROUNDING))


def _stationary(members: NDArray[np.float64], total: int) -> list[float]:
    """Levels of the unknown members among which mean - std is greatest: ends, kink, and roots of the derivative."""
    unknown = total - len(members)
    levels = [0.0, 1.0]
    if len(members) == 0:
        return levels
    # With all unknown members at t, mean = m + g t and variance = a t^2 + b t + c; (2 a t + b)^2 = 4 g^2 variance.
    a = unknown * len(members) / (total * (total - 1))
    b = -2 * unknown * members.sum() / (total * (total - 1))
    c = ((members**2).sum() - members.sum() ** 2 / total) / (total - 1)
    g = unknown / total
    levels.append(float(members.mean()))
    leading = 4 * a * (a - g * g)
    if abs(leading) > 1e-12:
        linear, constant = 4 * b * (a - g * g), b * b - 4 * g * g * c
        root = math.sqrt(max(0.0, linear * linear - 4 * leading * constant))
        levels += [(-linear + sign * root) / (2 * leading) for sign in (1, -1)]
    return [min(1.0, max(0.0, level)) for level in levels]
