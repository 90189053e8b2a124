"""Choose among candidate chunks by the values of their imagined futures (paper section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosmos_policy_core.errors import ModelError
from cosmos_policy_core.planning.aggregate import aggregate


@dataclass(frozen=True)
class Decision:
    """One choice among candidates.

    Attributes:
        index: the chosen candidate.
        candidate_values: (n,) aggregated value of every candidate in [0, 1]; NaN where none is known.
    """

    index: int
    candidate_values: NDArray[np.float64]


def choose(values: ArrayLike, scheme: str = "majority_mean") -> Decision:
    """Aggregate every candidate's value predictions and take the first strict maximum.

    The published server keeps the base candidate unless another one is strictly better; with the base
    candidate first, that is the first maximum.

    Args:
        values: (n, futures, members), each in [0, 1]. A candidate with a NaN was not fully valued: never chosen.
        scheme: aggregation over all futures and members jointly; see :func:`aggregate`.

    Raises:
        ModelError: no candidate has values.
        ConfigurationError: the scheme is unknown.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 3 or table.shape[0] == 0 or table[0].size == 0:
        raise ModelError(
            f"values have shape {table.shape}, not (candidates, futures, members). Score at least one candidate."
        )
    flat = table.reshape(table.shape[0], -1)
    valued = np.isfinite(flat).all(axis=1)
    if not valued.any():
        raise ModelError(
            f"none of the {len(flat)} candidates has a full set of values. Read the scorers' log for the cause."
        )
    totals = np.full(len(flat), np.nan)
    totals[valued] = np.asarray(aggregate(flat[valued].T, scheme), dtype=np.float64)
    if not np.isfinite(totals).any():
        raise ModelError(
            f"'{scheme}' of {flat.shape[1]} value(s) is undefined. Use more futures or members, or another scheme."
        )
    ranking = np.where(np.isfinite(totals), totals, -np.inf)
    return Decision(index=int(np.argmax(ranking)), candidate_values=totals)
