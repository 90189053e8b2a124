"""Leaders without arms: a rehearsed motion, and keys."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aloha_hardware.arm_settings import JOINTS
from aloha_hardware.teleop.settings import Vector

AMPLITUDE = (0.25, 0.12, 0.12, 0.2, 0.15, 0.3)
"""[rad] How far the rehearsed motion goes from the start pose, per joint."""
PERIOD = 8.0
"""[s] Of the rehearsed motion."""
REST = 2.0
"""[s] Closed and still at the start pose, so that teleoperation begins."""

KEYS = {
    **{key: (joint, +1) for joint, key in enumerate("qwerty")},
    **{key: (joint, -1) for joint, key in enumerate("asdfgh")},
    "u": (6, +1),
    "j": (6, -1),
}
"""Key -> joint and direction: the row above raises, the row below lowers, waist to wrist; u and j are the gripper."""
SWITCH = "\t"
STEP, GRIP_STEP = 0.03, 0.15
"""[rad] per key press, and share of the gripper's way."""


def rehearsed(start: Sequence[float], gripper: Sequence[float], seconds: float) -> Vector:
    """Return the (7,) joints of a rehearsed leader: still, then slow circles of every joint and the gripper.

    Args:
        start: pose to move around; joints [rad], the gripper 0 closed .. 1 open.
        gripper: closed and open motor angle of the leader [rad].
        seconds: since the motion began.
    """
    pose = np.array(start, dtype=np.float64)
    phase = max(0.0, seconds - REST)
    eased = min(1.0, phase / PERIOD)  # the first round grows from nothing
    for joint, amplitude in enumerate(AMPLITUDE):
        pose[joint] += eased * amplitude * math.sin(2 * math.pi * phase / PERIOD * (1 + joint / 10))
    opening = 0.5 - 0.5 * math.cos(2 * math.pi * phase / PERIOD)
    pose[-1] = gripper[0] + opening * (gripper[1] - gripper[0])
    return pose


class KeyedLeaders:
    """Leaders that keys jog, one at a time.

    Args:
        leaders: their names.
        start: pose they begin at, with the gripper closed.
        lower, upper: limits [rad]; the gripper's are its closed and open motor angles of the leader.
    """

    def __init__(self, leaders: Sequence[str], start: Sequence[float], lower: Vector, upper: Vector) -> None:
        self._lower, self._upper = np.asarray(lower), np.asarray(upper)
        pose = np.array([*start[:-1], self._lower[-1]])
        self.poses: dict[str, Vector] = {name: pose.copy() for name in leaders}
        self.chosen = next(iter(self.poses))

    def press(self, key: str) -> str:
        """Obey a key; return what it did, empty for a key that does nothing."""
        names = list(self.poses)
        if key == SWITCH:
            self.chosen = names[(names.index(self.chosen) + 1) % len(names)]
            return f"{self.chosen} is moved now"
        if key.lower() not in KEYS:
            return ""
        joint, sign = KEYS[key.lower()]
        span = self._upper[joint] - self._lower[joint]
        step = GRIP_STEP * span if joint == len(JOINTS) - 1 else STEP
        pose = self.poses[self.chosen]
        pose[joint] = float(np.clip(pose[joint] + sign * step, self._lower[joint], self._upper[joint]))
        return f"{self.chosen} {JOINTS[joint]} {pose[joint]:+.2f} rad"
