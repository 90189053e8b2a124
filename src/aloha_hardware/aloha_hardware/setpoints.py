"""Where the arm is told to be, tick by tick: newest command, held pose or ramped move, never faster than allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.units import Angles
from aloha_nodes.joint_commands import objection

Vector = NDArray[np.float64]
EASING = 1.875  # the peak speed of the minimum-jerk profile, over its mean
SETTLED = 0.1  # [s] after which an arm has caught up with a setpoint that stays


class Mode(Enum):
    """Who decides where the arm is."""

    HOLD = "hold"
    FOLLOW = "follow"
    MOVE = "move"


class Setpoints:
    """The setpoint of every joint [rad]. Not thread-safe: the caller holds a lock.

    A stop (emergency stop, fault, a partner's fault) is a reason with a name; while any is raised nothing moves and
    every command is refused.
    """

    def __init__(self, settings: ArmSettings, measured: Angles) -> None:
        self._settings = settings
        self._names = tuple(settings.joint_names)
        self._lower, self._upper = np.array(settings.lower), np.array(settings.upper)
        self._speed = np.array(settings.speed)
        self.setpoint: Vector = np.array(measured, dtype=np.float64)
        self.measured: Vector = self.setpoint.copy()
        self._target: Vector = self.setpoint.copy()
        self.mode = Mode.HOLD
        self.stops: dict[str, str] = {}
        self.accepted = self.refused = self.clamped = self.held = 0
        self._commanded_at = -math.inf
        self._move: tuple[Vector, Vector, float, float] | None = None
        self._still = 0.0  # [s] since the setpoint last changed

    def receive(self, names: Sequence[str], positions: Sequence[float], age: float, now: float) -> str:
        """Take a command, or refuse it.

        Args:
            names: of joints, in any order; joints left out stay where they are told to be.
            positions: [rad], same order.
            age: of the command on arrival [s]; infinite where it carries no stamp.
            now: [s] of a monotonic clock.

        Returns:
            Empty, or why the command was refused.
        """
        reason = self._objection(names, positions, age)
        if reason:
            self.refused += 1
            return reason
        target = self._target.copy() if self.mode is Mode.FOLLOW else self.setpoint.copy()
        for name, position in zip(names, positions, strict=True):
            target[self._names.index(name)] = position
        inside = np.clip(target, self._lower, self._upper)
        reason = self._too_far(names, positions, inside)
        if reason:
            self.refused += 1
            return reason
        commanded = [self._names.index(name) for name in names]
        self.clamped += bool((inside != target)[commanded].any())
        # A joint that rests outside the limits (the sleep pose of a sagging arm) is not moved unless it is told to.
        self._target = target
        self._target[commanded] = inside[commanded]
        self.mode, self._commanded_at = Mode.FOLLOW, now
        self.accepted += 1
        return ""

    def tick(self, now: float, period: float) -> Vector:
        """Advance by one period [s] and return the setpoint."""
        before = self.setpoint
        self._advance(now, period)
        self._still = self._still + period if np.array_equal(before, self.setpoint) else 0.0
        return self.setpoint

    def _advance(self, now: float, period: float) -> None:
        if self.mode is Mode.FOLLOW:
            if now - self._commanded_at > self._settings.command_timeout:
                self.mode = Mode.HOLD
                self.held += 1
            else:
                step = self._speed * period
                self.setpoint = self.setpoint + np.clip(self._target - self.setpoint, -step, step)
        elif self.mode is Mode.MOVE and self._move is not None:
            start, goal, began, duration = self._move
            share = min(max((now - began) / duration, 0.0), 1.0)
            self.setpoint = start + (goal - start) * share**3 * (10 - 15 * share + 6 * share * share)
            if share >= 1.0:
                self.mode, self._move = Mode.HOLD, None

    def move(self, goal: Angles, now: float) -> float:
        """Start a ramped move and return how long it takes [s]."""
        start, end = self.setpoint.copy(), np.array(goal, dtype=np.float64)
        distance = float(np.abs(end - start).max())
        duration = max(EASING * distance / self._settings.move_speed, 0.1)
        self._move, self.mode = (start, end, now, duration), Mode.MOVE
        return duration

    def hold(self, measured: Angles | None = None) -> None:
        """Stay: at the setpoint, or where the arm was measured. The gripper keeps its squeeze either way."""
        if measured is not None:
            gripper = self.setpoint[-1]
            self.setpoint = np.array(measured, dtype=np.float64)
            self.setpoint[-1] = gripper
        self.mode, self._move = Mode.HOLD, None
        self._target = self.setpoint.copy()

    def come_to_rest(self) -> None:
        """Hold where the arm is; one that has come to rest by now keeps its setpoint.

        Aiming anew would be a motion: a loaded arm hangs below its setpoint, and would sink by as much each time.
        """
        self.hold(self.measured if self._still < SETTLED else None)

    def stop(self, name: str, reason: str) -> None:
        """Raise a stop: come to rest, refuse every command until it is lifted."""
        if name not in self.stops:
            self.come_to_rest()
        self.stops[name] = reason

    def lift(self, name: str) -> None:
        """Lift a stop; the arm holds until a new command comes."""
        self.stops.pop(name, None)

    def fed(self, now: float) -> bool:
        """Whether commands are coming in."""
        return now - self._commanded_at <= self._settings.command_timeout

    def _objection(self, names: Sequence[str], positions: Sequence[float], age: float) -> str:
        if self.stops:
            return next(iter(self.stops.values()))
        if self.mode is Mode.MOVE:
            return "a move to a pose is running; wait until it has ended"
        reason = objection(names, positions, self._names)
        if reason:
            return reason
        limit = self._settings.command_timeout
        if math.isinf(age):
            return "without a stamp, so that nobody can tell how old it is; put the time of sending into header.stamp"
        if age > limit:
            return f"stale: made {age:.3f} s ago, more than the {limit:.3f} s of command_timeout; send it sooner"
        if age < -limit:
            return f"from the future: stamped {-age:.3f} s ahead; use one clock for all nodes (use_sim_time, NTP)"
        return ""

    def _too_far(self, names: Sequence[str], positions: Sequence[float], inside: Vector) -> str:
        indices = [self._names.index(name) for name in names]
        for name, position, index in zip(names, positions, indices, strict=True):
            if abs(position - inside[index]) > self._settings.clamp_tolerance:
                low, high = self._lower[index], self._upper[index]
                return f"beyond the limits: {name} to {position:.3f} rad, allowed {low:.3f}..{high:.3f}"
        if self.mode is not Mode.HOLD:
            return ""
        for name, index in zip(names, indices, strict=True):
            distance = abs(inside[index] - self.setpoint[index])
            if index < len(self._names) - 1 and distance > self._settings.start_distance:
                return (
                    f"too far: {name} is {distance:.2f} rad away and the arm holds, start_distance is "
                    f"{self._settings.start_distance:g} rad; ramp towards it, or call ~/go_to_start first"
                )
        return ""
