"""The arms' latest measured pose, in action space, and how old it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.execution.arms import ActionSpace

Vector = NDArray[np.float64]


class JointStates:
    """Collect joint states of all arms.

    Assumes one writer at a time. A message that cannot be a pose (NaN, missing joints, or every joint at -pi, which is
    how the vendor's driver publishes a failed read) is counted and ignored, so that its arm goes silent.
    """

    def __init__(self, space: ActionSpace) -> None:
        self._space = space
        self._stamps = [-math.inf] * len(space.arms)
        self._names: list[Sequence[str] | None] = [None] * len(space.arms)
        self._places: list[NDArray[np.intp] | None] = [None] * len(space.arms)
        self.position: Vector = np.full(space.size, np.nan)
        self.rejected = [0] * len(space.arms)

    def update(self, arm: int, stamp: float, names: Sequence[str], positions: Sequence[float]) -> bool:
        """Take one message of an arm; return whether it was usable.

        Args:
            arm: index of the arm in the contract.
            stamp: acquisition time [s].
            names: joint names of the message; more than the action's joints are fine.
            positions: the arm's own units [rad, m].
        """
        channel = self._space.arms[arm]
        places = self._lookup(arm, names)
        if places is None or len(positions) != len(names):
            self.rejected[arm] += 1
            return False
        values = np.asarray(positions, dtype=np.float64)[places]
        if not np.isfinite(values).all() or is_failed_read(values):
            self.rejected[arm] += 1
            return False
        self.position[channel.part] = (values - channel.offset) / channel.scale
        self._stamps[arm] = stamp
        return True

    def oldest(self) -> int:
        """Index of the arm whose state is the oldest."""
        return self._stamps.index(min(self._stamps))

    def stamp(self, arm: int) -> float:
        """Acquisition time of an arm's last usable state [s]; -inf before the first."""
        return self._stamps[arm]

    @property
    def complete(self) -> bool:
        """Whether every arm has been seen."""
        return min(self._stamps) > -math.inf

    def age(self, now: float) -> float:
        """Age of the oldest arm's state [s]; inf before every arm was seen."""
        return now - min(self._stamps)

    def forget(self) -> None:
        """Drop everything: what was measured before a silence says nothing about now."""
        self._stamps = [-math.inf] * len(self._stamps)
        self.position[:] = np.nan

    def _lookup(self, arm: int, names: Sequence[str]) -> NDArray[np.intp] | None:
        """Remember where the joints are: drivers send the same list of names every time."""
        if self._names[arm] != names:
            try:
                self._places[arm] = self._space.arms[arm].indices(names)
            except KeyError:
                self._places[arm] = None
            self._names[arm] = list(names)
        return self._places[arm]


def is_failed_read(values: Vector) -> bool:
    """Recognise the pose the vendor's driver makes up when a bus read fails: every joint at -pi."""
    return bool(np.all(np.abs(values + np.pi) < 1e-3))
