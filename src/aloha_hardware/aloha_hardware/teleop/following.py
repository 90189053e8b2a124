"""What followers are told, tick by tick: nothing until it is safe, a ramp to the leaders, then what the leaders do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from aloha_hardware.setpoints import EASING
from aloha_hardware.teleop.settings import TeleopSettings, Vector

UNREAD = -math.pi  # [rad] what the vendor's driver publishes for every joint that it could not read
RESUME = "call ~/resume to go on"
STILL = 0.1  # [s] the shortest ramp


class Phase(Enum):
    """Who decides where the followers are."""

    WAITING = "waiting"
    """Nobody: something is missing, and the followers hold."""
    ALIGNING = "aligning"
    """A slow ramp from where the followers are to where the leaders are."""
    FOLLOWING = "following"
    """The leaders."""
    PAUSED = "paused"
    """Nobody, until a person says so."""


@dataclass(frozen=True)
class Seen:
    """Joints of an arm (7,) [rad] and when they were measured [s]."""

    positions: Vector
    time: float


class Teleoperation:
    """Both pairs of arms together: what stops one stops the other. Not thread-safe.

    Args:
        settings: of all pairs.
    """

    def __init__(self, settings: TeleopSettings) -> None:
        self._settings = settings
        self.phase, self.reason = Phase.WAITING, ""
        self.stopped = ""
        self.faults: dict[str, str] = {}
        self._commands: dict[str, Vector] = {}
        self._leaders: dict[str, Vector] = {}
        self._begin: dict[str, Vector] = {}
        self._began, self._duration = 0.0, STILL

    def pause(self, reason: str = "paused by the operator") -> None:
        """Command nothing until `resume`; the drivers hold the followers."""
        self.phase, self.reason = Phase.PAUSED, f"{reason}; {RESUME}"
        self._commands.clear()

    def resume(self) -> None:
        """Begin again: wait for what is needed, then align."""
        if self.phase is Phase.PAUSED:
            self.phase, self.reason = Phase.WAITING, ""

    def stop(self, reason: str) -> None:
        """Obey a stop (empty: lifted); lifting it does not set anything in motion."""
        if reason:
            self.pause(reason)
        self.stopped = reason

    def set_fault(self, arm: str, text: str) -> None:
        """Note what keeps an arm from moving, as its driver says (empty: nothing); its end sets nothing in motion."""
        if text:
            self.faults[arm] = text
        else:
            self.faults.pop(arm, None)

    @property
    def fault(self) -> str:
        """What the drivers say is wrong; empty: nothing."""
        return "; ".join(f"{arm}: {text}" for arm, text in self.faults.items())

    def tick(self, now: float, arms: Mapping[str, Seen]) -> dict[str, Vector]:
        """Advance by one period.

        Args:
            now: time [s] on the clock of the arms' times.
            arms: the newest states of leaders and followers by name.

        Returns:
            Follower -> (7,) joints [rad]; empty: command nothing, and the drivers hold.
        """
        if self.phase is Phase.PAUSED:
            return {}
        if self.fault:
            if self.phase is Phase.WAITING:
                self.reason = self.fault
            else:  # an arm whose motor was just restarted must not go straight to where its leader is by now
                self.pause(self.fault)
            return {}
        lost = self._lost(now, arms)
        if lost:
            if self.phase is Phase.FOLLOWING:
                self.pause(lost)
            else:  # nobody has led yet: begin again when it is back, with closed grippers
                self.phase, self.reason = Phase.WAITING, lost
            return {}
        if self.phase is Phase.WAITING:
            return self._try_to_begin(now, arms)
        jumped = self._jumped(arms)
        if jumped:
            self.pause(jumped)
            return {}
        return self._step(now, arms)

    # Steps --------------------------------------------------------------------------------------------------------

    def _try_to_begin(self, now: float, arms: Mapping[str, Seen]) -> dict[str, Vector]:
        self.reason = self.stopped or self._open_grippers(arms) or self._too_far(arms)
        if self.reason:
            return {}
        self._begin = {
            follower: self._settings.within_limits(arms[follower].positions, pair)
            for pair, follower in enumerate(self._settings.followers)
        }
        self._commands = dict(self._begin)
        self._remember(arms)
        distance = max(float(np.abs(self._target(f, arms) - self._begin[f]).max()) for f in self._settings.followers)
        self._began, self._duration = now, max(EASING * distance / self._settings.align_speed, STILL)
        self.phase = Phase.ALIGNING
        return dict(self._commands)

    def _step(self, now: float, arms: Mapping[str, Seen]) -> dict[str, Vector]:
        share = min(max((now - self._began) / self._duration, 0.0), 1.0)
        if self.phase is Phase.ALIGNING and share >= 1.0:
            self.phase = Phase.FOLLOWING
        eased = 1.0 if self.phase is Phase.FOLLOWING else share**3 * (10 - 15 * share + 6 * share * share)
        step = np.asarray(self._settings.velocity) * self._settings.period
        for follower in self._settings.followers:
            begin, last = self._begin[follower], self._commands[follower]
            wanted = begin + (self._target(follower, arms) - begin) * eased
            self._commands[follower] = last + np.clip(wanted - last, -step, step)
        self._remember(arms)
        return dict(self._commands)

    def _remember(self, arms: Mapping[str, Seen]) -> None:
        self._leaders = {leader: arms[leader].positions for leader in self._settings.leaders}

    def _target(self, follower: str, arms: Mapping[str, Seen]) -> Vector:
        pair = list(self._settings.followers).index(follower)
        return self._settings.follower_target(arms[self._settings.leaders[pair]].positions, pair)

    # Reasons not to move --------------------------------------------------------------------------------------------

    def _lost(self, now: float, arms: Mapping[str, Seen]) -> str:
        for name in (*self._settings.leaders, *self._settings.followers):
            seen = arms.get(name)
            if seen is None:
                return f"{name}: no joint states yet; start its driver"
            if not np.isfinite(seen.positions).all() or len(seen.positions) != len(self._settings.joint_names):
                return f"{name}: joint states that are no numbers; check its driver"
            if np.allclose(seen.positions, UNREAD, rtol=0.0, atol=1e-3):
                return f"{name}: its driver could not read its motors (every joint at -pi); read its log"
            if not -self._settings.state_timeout <= now - seen.time <= self._settings.state_timeout:
                return (
                    f"{name}: joint states are {now - seen.time:.2f} s old; check its driver, its cable and the clocks"
                )
        return ""

    def _open_grippers(self, arms: Mapping[str, Seen]) -> str:
        if not self._settings.close_to_start:
            return ""
        opened = [
            leader
            for pair, leader in enumerate(self._settings.leaders)
            if self._settings.opening(arms[leader].positions, pair) > self._settings.closed_below
        ]
        return f"close the gripper of {_and(opened)} to start" if opened else ""

    def _too_far(self, arms: Mapping[str, Seen]) -> str:
        for follower in self._settings.followers:
            distances = np.abs(self._target(follower, arms) - arms[follower].positions)[:-1]
            joint = int(distances.argmax())
            if distances[joint] > self._settings.align_distance:
                return (
                    f"{follower}: {self._settings.joint_names[joint]} is {distances[joint]:.2f} rad from its leader; "
                    f"bring the leader within {self._settings.align_distance:g} rad"
                )
        return ""

    def _jumped(self, arms: Mapping[str, Seen]) -> str:
        for leader in self._settings.leaders:
            distances = np.abs(arms[leader].positions - self._leaders[leader])
            joint = int(distances.argmax())
            if distances[joint] > self._settings.jump:
                return (
                    f"{leader}: {self._settings.joint_names[joint]} jumped by {distances[joint]:.2f} rad; "
                    "check its motor and its cable"
                )
        return ""


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
