"""What scripts share that behave like a person: chance, and aim that falls short."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aloha_sim.tasks.base import LEFT

SHOULDERS = np.array([[-0.469, 0.5], [0.469, 0.5]])
"""[m] Where the arms are mounted, left and right, in the table frame."""


@dataclass
class Whims:
    """Draws that only a human script makes.

    Args:
        rng: of the demonstration.
        variety: 0 is always the plain script, 1 as the task's habits say.
    """

    rng: np.random.Generator
    variety: float

    @property
    def any(self) -> bool:
        """Whether anything is left to chance."""
        return self.variety > 0

    def uniform(self, bounds: tuple[float, float], otherwise: float = 0.0) -> float:
        """Draw between two bounds."""
        return float(self.rng.uniform(*bounds)) if self.any else otherwise

    def normal(self, spread: float, shape: int | tuple[int, ...]) -> np.ndarray:
        """Draw around zero."""
        return self.rng.normal(0, spread, shape) if self.any else np.zeros(shape)

    def chance(self, probability: float) -> bool:
        """Decide."""
        return bool(self.rng.random() < probability * self.variety)


def short_of(target: np.ndarray, arm: int, distance: float) -> np.ndarray:
    """Return the place [m] on the table that an arm reaches when it stops short of a target."""
    shoulder = SHOULDERS[0 if arm == LEFT else 1]
    radial = (target - shoulder) / np.linalg.norm(target - shoulder)
    return target - radial * distance
