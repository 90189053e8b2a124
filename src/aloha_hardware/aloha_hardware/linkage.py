"""The gripper's crank: motor angle -> position of a finger (Interbotix xs_driver, linear position of the gripper)."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Linkage:
    """A horn turns with the motor, an arm pushes the finger along its rail.

    Args:
        horn_radius: [m].
        arm_length: [m], longer than the horn is.
    """

    horn_radius: float = 0.022
    arm_length: float = 0.036

    def finger(self, angle: float) -> float:
        """Return the distance of a finger from the middle [m] at a motor angle [rad]."""
        rise = self.horn_radius * math.sin(angle)
        return rise + math.sqrt(max(self.arm_length**2 - (self.horn_radius * math.cos(angle)) ** 2, 0.0))

    def slope(self, angle: float) -> float:
        """Return how far a finger moves per motor angle [m/rad]."""
        sine, cosine, r = math.sin(angle), math.cos(angle), self.horn_radius
        reach = math.sqrt(max(self.arm_length**2 - (r * cosine) ** 2, 1e-12))
        return r * cosine + r * r * sine * cosine / reach
