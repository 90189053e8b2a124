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
    and follower grippers turn through different angles, and differently in every hardware generation; two arms of a
    cell may be of different ones.

    Args:
        leaders, followers: names of the arms, one leader per follower, in the same order.
        joint_names: of a command, the gripper last.
        lower, upper: limits of a follower's joints [rad].
        velocity: largest speed that is commanded [rad/s].
        leader_gripper, follower_gripper: motor angles [rad], closed and open: two numbers for all arms, or two per
            arm in the order of the names.
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
            values, pairs = getattr(self, name), len(self.followers)
            if len(values) not in (2, 2 * pairs) or not all(map(math.isfinite, values)):
                self._refuse(name, f"{list(values)}: give a closed and an open angle, or those of all {pairs} arms")
            for pair in range(pairs):
                closed, opened = self._span(values, pair)
                if closed >= opened:
                    self._refuse(name, f"{closed} .. {opened} is no closed and open angle. The closed one is smaller")
        for pair, follower in enumerate(self.followers):
            low, high = (limits[-1] for limits in self.limits(pair))
            if low >= high:
                self._refuse("follower_gripper", f"{follower}: all of it lies beyond lower or upper. Correct either")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                self._refuse(name, f"{value} is not in [{low:g}, {high:g}]. Choose a value inside")

    @property
    def period(self) -> float:
        """Time between commands [s]."""
        return 1.0 / self.rate

    def follower_target(self, leader: Vector, pair: int = 0) -> Vector:
        """Turn a leader's (7,) joints into its follower's, within the limits: grippers by their share of the way."""
        target = np.array(leader, dtype=np.float64)
        closed, opened = self._span(self.follower_gripper, pair)
        target[-1] = closed + self.opening(leader, pair) * (opened - closed)
        return self.within_limits(target, pair)

    def within_limits(self, target: Vector, pair: int) -> Vector:
        """Cut (7,) joints of a follower to what it may do."""
        return np.clip(target, *self.limits(pair))

    def limits(self, pair: int) -> tuple[Vector, Vector]:
        """Return the lower and upper (7,) limits of a follower, its gripper within its own angles."""
        lower, upper = np.array(self.lower, dtype=np.float64), np.array(self.upper, dtype=np.float64)
        closed, opened = self._span(self.follower_gripper, pair)
        lower[-1], upper[-1] = max(lower[-1], closed), min(upper[-1], opened)
        return lower, upper

    def opening(self, leader: Vector, pair: int = 0) -> float:
        """Return how open a leader's gripper is, 0 closed .. 1 open, beyond both where it was calibrated otherwise."""
        closed, opened = self._span(self.leader_gripper, pair)
        return float((leader[-1] - closed) / (opened - closed))

    @staticmethod
    def _span(values: Sequence[float], pair: int) -> tuple[float, float]:
        first = 0 if len(values) == 2 else 2 * pair
        return values[first], values[first + 1]

    def _refuse(self, name: str, problem: str) -> None:
        raise SettingsError(f"teleop: {name}: {problem}.")
