"""In which order the value table of a plan is filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.planning.best_of_n import choose_so_far
from cosmos_policy_core.planning.pruning import Table, contenders

COMMON_PAIRS = 2
"""Pairs that all candidates are asked before the leader is followed to its end."""

Cell = tuple[int, int, int]
"""(candidate, future, member) of one value prediction."""

Known = NDArray[np.bool_]


def cheapest_first(future_costs: Sequence[int], value_costs: Sequence[int]) -> list[tuple[int, int]]:
    """Order (future, member) pairs so that something is known soon and every later answer rests on more.

    The next pair is always the one that costs the fewest network calls, the future's own included when it has not
    been imagined yet; the first in the table among equals. All candidates are asked the same pair in the same round,
    so they stay comparable.
    """
    waiting = [(future, member) for future in range(len(future_costs)) for member in range(len(value_costs))]
    imagined: set[int] = set()
    order = []
    while waiting:
        pair = min(waiting, key=lambda p: (0 if p[0] in imagined else future_costs[p[0]]) + value_costs[p[1]])
        waiting.remove(pair)
        imagined.add(pair[0])
        order.append(pair)
    return order


def next_round(known: Known, able: NDArray[np.bool_], order: Sequence[tuple[int, int]], size: int) -> list[Cell]:
    """Take the next cells of the candidates that can still win: whole columns, about `size` cells in all.

    Args:
        known: (n, futures, values), cells that have been evaluated.
        able: (n,).
    """
    cells: list[Cell] = []
    for future, member in order:
        column = [(int(k), future, member) for k in np.flatnonzero(able & ~known[:, future, member])]
        if cells and len(cells) + len(column) > size:
            break
        cells += column
    return cells


def contested_round(
    values: Table,
    known: Known,
    order: Sequence[tuple[int, int]],
    size: int,
    scheme: str,
    threshold: float,
    finish_best: bool = False,
) -> list[Cell]:
    """Take the cells that decide soonest; none when the choice is certain.

    The leader of the first pairs is valued to its end before the others go on: its exact score is what they have to
    beat, and bounds of half-known scores hardly ever exclude anyone. On candidates whose values differ this needs
    half the predictions that asking everybody the same would.

    Args:
        values, known: (n, futures, values).
        finish_best: go on until the best candidate is valued to its end. Its score is then exact, so it can be compared
            with the best of candidates that were valued elsewhere; the best of these bests is the best of all.
    """
    n = len(known)
    able = contenders(values.reshape(n, -1), known.reshape(n, -1), scheme, threshold)
    if able.sum() <= 1:
        return next_round(known, able, order, size) if finish_best else []
    if all(known[able, future, member].all() for future, member in order[:COMMON_PAIRS]):
        leader = choose_so_far(values, known, scheme, threshold).index
        if cells := next_round(known, np.arange(n) == leader, order, size):
            return cells
    return next_round(known, able, order, size)
