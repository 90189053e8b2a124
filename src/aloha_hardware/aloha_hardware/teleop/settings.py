"""What teleoperation must know, checked before anything moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aloha_hardware.arm_settings import JOINTS
from aloha_hardware.errors import SettingsError

Vector = NDArray[np.float64]
SPAN = ("closed", "open")
RANGES = {
    "rate": (10.0, 200.0),
    "state_timeout": (0.02, 1.0),
    "align_speed": (0.05, 1.5),
    "align_distance": (0.05, 7.0),
    "jump": (0.01, 3.2),
    "closed_below": (0.0, 1.0),
}


@dataclass(frozen=True)
class TeleopSettings:
    """Everything contract-dependent arrives here, as node parameters of the same names.

    Lists of limits hold the seven joints in vendor order, the gripper last; grippers are motor angles [rad]. Leader
    and follower grippers turn through different angles, and differently in every hardware generation.

    Args:
        leaders, followers: names of the arms, one leader per follower, in the same order.
        joint_names: of a command, the gripper last.
        lower, upper: limits of a follower's joints [rad].
        velocity: largest speed that is commanded [rad/s].
        leader_gripper, follower_gripper: motor angles [rad], closed and open.
        rate: of commands [Hz].
        state_timeout: age of joint states beyond which an arm counts as lost [s].
        align_speed: of the first move from a follower to its leader, at its fastest [rad/s].
        align_distance: farthest joint of such a move [rad]; beyond it somebody must bring the leader nearer.
        jump: farthest a leader's joint may go within one period [rad]; more is a fault of its encoder or its cable.
        close_to_start: begin only when both leader grippers are closed, as ALOHA's operators know it.
        closed_below: what counts as closed, 0 closed .. 1 open.
    """

    leaders: Sequence[str] = ("leader_left", "leader_right")
    followers: Sequence[str] = ("follower_left", "follower_right")
    joint_names: Sequence[str] = JOINTS
    lower: Sequence[float] = (-3.12, -1.83, -1.742, -3.12, -1.847, -3.12, -0.6213)
    upper: Sequence[float] = (3.12, 1.236, 1.585, 3.12, 2.214, 3.12, 1.4910)
    velocity: Sequence[float] = (3.14159, 3.14159, 3.14159, 3.14159, 3.14159, 3.14159, 6.337)
    leader_gripper: Sequence[float] = (-0.6842, 0.3083)
    follower_gripper: Sequence[float] = (-0.6213, 1.4910)
    rate: float = 50.0
    state_timeout: float = 0.1
    align_speed: float = 0.5
    align_distance: float = 1.5
    jump: float = 0.5
    close_to_start: bool = True
    closed_below: float = 0.15

    def __post_init__(self) -> None:
        """Refuse what could hurt.

        Raises:
            SettingsError: names the parameter and the remedy.
        """
        if not self.followers or len(self.leaders) != len(self.followers):
            self._refuse("leaders", f"{len(self.leaders)} for {len(self.followers)} followers. Name one per follower")
        if set(self.leaders) & set(self.followers) or len(set(self.followers)) != len(self.followers):
            self._refuse("leaders", "an arm cannot lead itself, or be named twice. Name every arm once")
        for name in ("lower", "upper", "velocity"):
            values = getattr(self, name)
            if len(values) != len(self.joint_names) or not all(math.isfinite(value) for value in values):
                self._refuse(name, f"needs {len(self.joint_names)} finite numbers, one per joint")
        for joint, low, high, speed in zip(self.joint_names, self.lower, self.upper, self.velocity, strict=True):
            if low >= high or speed <= 0:
                self._refuse("lower, upper, velocity", f"{joint}: {low}..{high} rad at {speed} rad/s moves nothing")
        for name in ("leader_gripper", "follower_gripper"):
            span = getattr(self, name)
            if len(span) != len(SPAN) or not all(map(math.isfinite, span)) or span[0] >= span[1]:
                self._refuse(name, f"{list(span)} is no closed and open angle. Give two, the closed one smaller")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                self._refuse(name, f"{value} is not in [{low:g}, {high:g}]. Choose a value inside")

    @property
    def period(self) -> float:
        """Time between commands [s]."""
        return 1.0 / self.rate

    def follower_target(self, leader: Vector) -> Vector:
        """Turn a leader's (7,) joints into its follower's, within the limits: grippers by their share of the way."""
        target = np.array(leader, dtype=np.float64)
        target[-1] = self.opening(leader) * (self.follower_gripper[1] - self.follower_gripper[0])
        target[-1] += self.follower_gripper[0]
        return np.clip(target, self.lower, self.upper)

    def opening(self, leader: Vector) -> float:
        """Return how open a leader's gripper is, 0 closed .. 1 open, beyond both where it was calibrated otherwise."""
        closed, opened = self.leader_gripper
        return float((leader[-1] - closed) / (opened - closed))

    def _refuse(self, name: str, problem: str) -> None:
        raise SettingsError(f"teleop: {name}: {problem}.")
