"""The gripper's crank linkage: motor angle [rad] <-> finger position [m], and the normalised units of ALOHA data.

Source: Interbotix xs_driver (linkage); ALOHA `constants.py` (the open and close values, handed in by the caller).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_MIN_SLOPE = 2e-3
"""[m/rad] Near the dead centre the motor hardly moves the finger; the inverse slope is bounded there."""


@dataclass(frozen=True)
class GripperLinkage:
    """A horn of radius r turns; an arm of length L pushes the finger along a rail.

    Args:
        horn_radius: r [m].
        arm_length: L [m].
    """

    horn_radius: float = 0.022
    arm_length: float = 0.036

    def finger_from_motor(self, angle: float) -> float:
        """Return the distance of one finger from the centre line [m] at a motor angle [rad]."""
        r, length = self.horn_radius, self.arm_length
        return r * math.sin(angle) + math.sqrt(length**2 - (r * math.cos(angle)) ** 2)

    def motor_from_finger(self, finger: float) -> float:
        """Return the motor angle [rad] that puts a finger at a position [m]; out of reach is clipped to the nearest."""
        r, length = self.horn_radius, self.arm_length
        reached = min(max(finger, length - r), length + r)
        cosine = (r**2 + reached**2 - length**2) / (2 * r * reached)
        return math.pi / 2 - math.acos(min(max(cosine, -1.0), 1.0))

    def slope(self, angle: float) -> float:
        """Return d(finger)/d(motor) [m/rad], never below a small positive bound."""
        r, length = self.horn_radius, self.arm_length
        sine, cosine = math.sin(angle), math.cos(angle)
        return max(r * cosine + r**2 * sine * cosine / math.sqrt(length**2 - (r * cosine) ** 2), _MIN_SLOPE)


@dataclass(frozen=True)
class Gripper:
    """One follower gripper: linkage and the constants its data are normalised with.

    The state is normalised in finger metres, the action in motor radians; the two differ between the ends.

    Args:
        position_open, position_close: finger position [m] that reads 1 and 0 as a state.
        joint_open, joint_close: motor angle [rad] that means 1 and 0 as an action.
    """

    position_open: float = 0.05800
    position_close: float = 0.01844
    joint_open: float = 1.4910
    joint_close: float = -0.6213
    linkage: GripperLinkage = GripperLinkage()

    def state_from_finger(self, finger: float) -> float:
        """Normalise a finger position [m]: 0 closed, 1 open."""
        return (finger - self.position_close) / (self.position_open - self.position_close)

    def motor_from_action(self, action: float) -> float:
        """Return the motor angle [rad] of a normalised action: 0 closed, 1 open."""
        return action * (self.joint_open - self.joint_close) + self.joint_close

    def action_from_motor(self, angle: float) -> float:
        """Normalise a motor angle [rad]: 0 closed, 1 open."""
        return (angle - self.joint_close) / (self.joint_open - self.joint_close)

    def action_from_finger(self, finger: float) -> float:
        """Return the normalised action that brings the finger to a position [m]."""
        return self.action_from_motor(self.linkage.motor_from_finger(finger))
