"""The joints the motors move: one angle, pulled by every motor on its shaft, stopped by what is in its way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TIME_CONSTANT = 0.02  # [s] from a wanted to a real speed
VISCOSITY = 0.1  # share of a motor's stall torque it takes to turn at its top speed
FALL_SPEED = 1.0  # [rad/s] of a limp joint towards where it rests


@dataclass(frozen=True)
class Drive:
    """What one motor wants of its joint, in the joint's direction.

    Args:
        velocity: [rad/s] it would turn with.
        push: [N·m] it exerts when it is kept from turning.
        limit: [N·m] it can exert at most.
    """

    velocity: float
    push: float
    limit: float


@dataclass
class Joint:
    """A joint without inertia worth the name: first-order velocity, hard stops.

    Args:
        angle: [rad].
        rest: angle it sinks to while nothing holds it [rad]; None: it stays.
        load: external torque its motors must carry [N·m].
        low, high: mechanical stops or obstacles [rad].
    """

    angle: float = 0.0
    rest: float | None = None
    load: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    velocity: float = field(default=0.0, init=False)
    blocked: bool = field(default=False, init=False)

    def step(self, drives: list[Drive], dt: float) -> list[float]:
        """Move for a time [s] and return the torque each motor exerts [N·m]."""
        if drives:
            wanted = sum(drive.velocity for drive in drives) / len(drives)
        elif self.rest is None or abs(self.rest - self.angle) < 1e-3:
            wanted = 0.0
        else:
            wanted = math.copysign(min(FALL_SPEED, abs(self.rest - self.angle) / dt), self.rest - self.angle)
        self.velocity += (wanted - self.velocity) * min(1.0, dt / TIME_CONSTANT)
        target = self.angle + self.velocity * dt
        self.angle = min(max(target, self.low), self.high)
        self.blocked = self.angle != target
        if self.blocked:
            self.velocity = 0.0
        return [self._torque(drive, len(drives)) for drive in drives]

    def _torque(self, drive: Drive, sharing: int) -> float:
        torque = self.load / sharing
        if self.blocked:
            torque += drive.push
        else:  # two motors that disagree work against each other
            torque += (drive.velocity - self.velocity) / 3.0 * drive.limit * (sharing > 1)
            torque += VISCOSITY * self.velocity
        return min(max(torque, -drive.limit), drive.limit)
