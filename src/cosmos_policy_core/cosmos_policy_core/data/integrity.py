"""Is this data fit to train on? Every episode read, every image decoded, every oddity named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.layouts import Entry, LeftOut
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError

ImageCheck = Literal["all", "sampled", "none"]
UNLABELLED = "carries no label: taken as a demonstration"
SMALLEST_RANGE = 1e-6  # below it a dimension cannot be normalised


@dataclass(frozen=True)
class Report:
    """What one sound episode holds; `notes` are oddities that training can live with."""

    source: str
    layout: str
    instruction: str
    steps: int
    success: bool
    success_score: float
    images_checked: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """Smallest and largest value per dimension over many episodes."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @classmethod
    def empty(cls, width: int) -> Range:
        """Range of nothing."""
        return cls(np.full(width, np.inf), np.full(width, -np.inf))

    def including(self, array: NDArray[np.float32]) -> Range:
        """Range that covers (L, D) as well."""
        return Range(np.minimum(self.lower, array.min(axis=0)), np.maximum(self.upper, array.max(axis=0)))

    def constant(self, names: Sequence[str]) -> list[str]:
        """Names of the dimensions that never change."""
        return [names[index] for index in np.flatnonzero(self.upper - self.lower < SMALLEST_RANGE).tolist()]


def examine(entry: Entry, contract: Embodiment, images: ImageCheck, instruction: str | None = None) -> (
    tuple[Report, Episode] | LeftOut
):  # fmt: skip
    """Read an episode and decode its images, one at a time.

    Args:
        images: decode all of them, the first, middle and last of every camera, or none.
        instruction: for files that do not say what the task was.
    """
    try:
        episode = entry.read(contract, instruction)
        checked = _check_images(episode, images)
    except EpisodeError as error:
        return LeftOut(entry.where, str(error))
    return Report(
        source=entry.where,
        layout=entry.layout,
        instruction=episode.instruction,
        steps=len(episode),
        success=episode.success,
        success_score=episode.success_score,
        images_checked=checked,
        notes=tuple(notes(episode, contract)),
    ), episode


def notes(episode: Episode, contract: Embodiment) -> list[str]:
    """Name oddities of an episode that are no faults."""
    found = []
    if not episode.labelled:
        found.append(UNLABELLED)
    if len(episode) < contract.chunk_horizon:
        found.append(f"shorter than a chunk of {contract.chunk_horizon}: its last action is repeated")
    if episode.success != (episode.success_score == 1.0):
        found.append(f"success is {str(episode.success).lower()} with score {episode.success_score:g}")
    if contract.body is None:
        outside = ((episode.actions < contract.action_lower) | (episode.actions > contract.action_upper)).any(axis=0)
        names = [contract.action_names[index] for index in np.flatnonzero(outside).tolist()]
        if names:
            found.append(f"actions beyond the contract's limits: {', '.join(names)}")
    return found


def constant_dimensions(episodes: Iterable[Episode], contract: Embodiment) -> dict[str, list[str]]:
    """Name dimensions of successful episodes that never change, under `actions` and `proprio`."""
    actions, proprio, any_success = Range.empty(contract.action_dim), Range.empty(contract.proprio_dim), False
    for episode in episodes:
        if episode.success:
            any_success = True
            actions, proprio = actions.including(episode.actions), proprio.including(episode.proprio)
    if not any_success:
        return {"actions": [], "proprio": []}
    return {"actions": actions.constant(contract.action_names), "proprio": proprio.constant(contract.proprio_names)}


def _check_images(episode: Episode, images: ImageCheck) -> int:
    if images == "none":
        return 0
    length, checked = len(episode), 0
    for camera, frames in episode.jpegs.items():
        steps = range(length) if images == "all" else sorted({0, length // 2, length - 1})
        coded = enumerate(frames) if images == "all" else ((step, frames[step]) for step in steps)
        for step, data in coded:
            jpeg.decode(data, f"{episode.where}: {camera}[{step}]")
            checked += 1
    return checked
