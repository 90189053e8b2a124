"""Choose among candidate chunks by the values of their imagined futures (paper section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosmos_policy_core.errors import ModelError
from cosmos_policy_core.planning.aggregate import aggregate
from cosmos_policy_core.planning.pruning import contenders, score


@dataclass(frozen=True)
class Decision:
    """One choice among candidates.

    Attributes:
        index: the chosen candidate.
        candidate_values: (n,) aggregated value of every candidate in [0, 1]; NaN where none is known.
    """

    index: int
    candidate_values: NDArray[np.float64]


def choose(values: ArrayLike, scheme: str = "majority_mean", threshold: float = 0.05) -> Decision:
    """Aggregate every candidate's value predictions and take the first strict maximum.

    The published server keeps the base candidate unless another one is strictly better; with the base
    candidate first, that is the first maximum.

    Args:
        values: (n, futures, members), each in [0, 1]. A candidate with a NaN was not fully valued: never chosen.
        scheme: aggregation over all futures and members jointly; see :func:`aggregate`.
        threshold: value above which a member counts as a success.

    Raises:
        ModelError: no candidate has values, or a value lies outside [0, 1].
        ConfigurationError: the scheme is unknown.
    """
    flat = _checked(values)
    totals = np.full(len(flat), np.nan)
    for index in np.flatnonzero(np.isfinite(flat).all(axis=1)):
        totals[index] = aggregate(flat[index], scheme, threshold)
    if not np.isfinite(flat).all(axis=1).any():
        raise ModelError(
            f"none of the {len(flat)} candidates has a full set of values. Read the scorers' log for the cause."
        )
    if not np.isfinite(totals).any():
        raise ModelError(
            f"'{scheme}' of {flat.shape[1]} value(s) is undefined. Use more futures or members, or another scheme."
        )
    ranking = np.where(np.isfinite(totals), totals, -np.inf)
    return Decision(index=int(np.argmax(ranking)), candidate_values=totals)


def choose_so_far(
    values: ArrayLike, known: NDArray[np.bool_], scheme: str = "majority_mean", threshold: float = 0.05
) -> Decision:
    """Choose with some values still unknown; with all known, or pruned, the same choice as `choose` of all.

    Candidates that can no longer win are out. Those of the others that have values are compared by the members that all
    of them have, so that nobody wins by having been asked an easier question; the first is kept where there is no such
    member, or where nobody has values.

    Args:
        values: (n, futures, members), read where known; NaN there is a failed prediction: never chosen.
        known: (n, futures, members).

    Returns:
        candidate_values aggregate each candidate's known members: a score only where all are known.

    Raises:
        ModelError: every candidate failed, or a value lies outside [0, 1].
    """
    asked = np.asarray(known).reshape(len(known), -1)
    flat = _checked(np.where(known, values, np.nan))
    able = contenders(flat, asked, scheme, threshold)
    if not able.any():
        raise ModelError(f"all {len(flat)} candidates failed to be valued. Read the scorers' log for the cause.")
    totals = np.array([_estimate(row[mask], scheme, threshold) for row, mask in zip(flat, asked, strict=True)])
    valued = able & asked.any(axis=1)
    compared = valued if valued.any() else able
    shared = asked[compared].all(axis=0)
    ranking = np.array([_estimate(row[shared], scheme, threshold) for row in flat])
    ranking = np.where(compared, np.nan_to_num(ranking, nan=0.0), -np.inf)
    return Decision(index=int(np.argmax(ranking)), candidate_values=totals)


def _estimate(members: NDArray[np.float64], scheme: str, threshold: float) -> float:
    """Score of the known members; their mean where the scheme needs more of them."""
    if len(members) == 0 or np.isnan(members).any():
        return np.nan
    if len(members) == 1 and scheme == "lcb":
        return float(members[0])
    return score(members, scheme, threshold)


def _checked(values: ArrayLike) -> NDArray[np.float64]:
    """(n, futures, members) -> (n, futures * members), every number in [0, 1] or NaN."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 3 or table.shape[0] == 0 or table[0].size == 0:
        raise ModelError(
            f"values have shape {table.shape}, not (candidates, futures, members). Score at least one candidate."
        )
    outside = np.argwhere((table < 0) | (table > 1))
    if len(outside):
        candidate, future, member = outside[0]
        raise ModelError(
            f"value {table[candidate, future, member]:g} of candidate {candidate} (future {future}, member {member}) "
            "is outside [0, 1]. The scorer runs another version or is broken; restart it from this checkpoint."
        )
    return table.reshape(len(table), -1)
