"""What scripts share that behave like a person: chance, and aim that falls short."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aloha_sim.tasks.base import LEFT

SHOULDERS = np.array([[-0.469, 0.5], [0.469, 0.5]])
"""[m] Where the arms are mounted, left and right, in the table frame."""


@dataclass(frozen=True)
class Habits:
    """How a hand that picks errs.

    Args:
        hesitate: probability, per pick, of going for another place first.
        miss, miss_again: probability of closing short of the object, at the first attempt and at later ones.
        miss_by: shortest and longest distance of a miss [m].
        grasp_spread: standard deviation of where the hand closes [m].
        idle: shortest and longest rest before a pick [control steps].
        tempo: slowest and fastest speed, relative to the plain script.
    """

    hesitate: float
    miss: float
    miss_again: float
    miss_by: tuple[float, float]
    grasp_spread: float
    idle: tuple[float, float]
    tempo: tuple[float, float]

    def aim(self, target: np.ndarray, arm: int, attempt: int, whims: Whims) -> np.ndarray:
        """Return where on the table [m] the hand closes: at the target, or clearly short of it."""
        target = target + whims.normal(self.grasp_spread, 2)
        if whims.chance(self.miss_again if attempt else self.miss):
            return short_of(target, arm, whims.uniform(self.miss_by))
        return target


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
