"""Which episodes are held out for validation: drawn by seed, and never none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from cosmos_policy_core.errors import DatasetError


class Splittable(Protocol):
    """What the split looks at: an episode, read or encoded."""

    @property
    def where(self) -> str: ...
    @property
    def instruction(self) -> str: ...


def split_pools(
    pools: Mapping[str, Sequence[Splittable]], share: float, seed: int
) -> dict[str, tuple[list[int], list[int]]]:
    """Split pools of episodes one by one; one in which no task has two episodes is trained on whole.

    Args: as of `split_episodes`.

    Returns:
        Per pool, indices of training and of validation episodes.

    Raises:
        DatasetError: the share is not in 0..1, or no pool has anything to hold out.
    """
    if share > 0 and not any(_divides(episodes) for episodes in pools.values()):
        raise _nothing_to_hold_out([episode for episodes in pools.values() for episode in episodes])
    return {
        name: split_episodes(episodes, share if _divides(episodes) else 0.0, seed) for name, episodes in pools.items()
    }


def split_episodes(episodes: Sequence[Splittable], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Split episodes into training and validation, task by task.

    The same episodes and seed give the same split, in whatever order they are listed. A task with two or more episodes
    has at least one in either part; a share of 0 holds none out.

    Args:
        share: of the episodes of every task, held out.
        seed: of the draw.

    Returns:
        Indices of training and of validation episodes, ascending.

    Raises:
        DatasetError: the share is not in 0..1, or nothing is left to train on.
    """
    if not 0.0 <= share < 1.0:
        raise DatasetError(f"a share of {share:g} cannot be held out. Give one from 0 up to, but not including, 1.")
    tasks: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(episodes)), key=lambda index: episodes[index].where):
        tasks[episodes[index].instruction].append(index)
    rng = np.random.default_rng(seed)
    held: list[int] = []
    for task in sorted(tasks):
        indices = tasks[task]
        count = min(max(round(share * len(indices)), 1), len(indices) - 1) if share > 0 else 0
        held.extend(rng.permutation(indices)[:count].tolist())
    kept = sorted(set(range(len(episodes))) - set(held))
    if share > 0 and not held:
        raise _nothing_to_hold_out(episodes)
    return kept, sorted(held)


def _divides(episodes: Sequence[Splittable]) -> bool:
    """Tell whether some task has two episodes."""
    return len({episode.instruction for episode in episodes}) < len(episodes)


def _nothing_to_hold_out(episodes: Sequence[Splittable]) -> DatasetError:
    tasks = {episode.instruction for episode in episodes}
    return DatasetError(f"{len(episodes)} episodes of {len(tasks)} tasks leave none to hold out. Collect more.")
