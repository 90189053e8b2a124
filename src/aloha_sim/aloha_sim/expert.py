"""Performs a task's script: minimum-jerk motion through its way points, inverse kinematics, explicit imperfection.

The expert knows the true poses of the objects. Diversity for data sets is explicit: noise while executing, a shifted
grasp, pauses nobody records, other tempos. Labels stay clean: `action` is always what the script meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from aloha_sim.kinematics import ArmKinematics, Pose, between
from aloha_sim.tasks.base import ExpertOptions, Leg, Script, Task, Waypoint

__all__ = ["Expert", "ExpertOptions", "Move"]

WRIST_BENT = np.array([0.0, -0.4, 0.8, 0.0, 0.6, 0.0])
"""[rad] Where inverse kinematics of the grasp starts: both rolls at zero, the wrist bent the way the grasp needs."""


@dataclass(frozen=True)
class Move:
    """One control step of a demonstration.

    Args:
        action: (14,) clean absolute targets in action units: the label.
        executed: (14,) the same with execution noise: what to send.
        pause: [s] to hold before the step, during which nothing is recorded.
    """

    action: np.ndarray
    executed: np.ndarray
    pause: float


class Expert:
    """Scripted expert of one task in one cell model; makes any number of demonstrations.

    Args:
        model: the cell.
        prefixes: names of the arms in the MJCF, left first.
        start_action: (14,) start pose in action units.
        task: whose scripts are performed.
        object_pose: measures an object by name: (7,).
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        prefixes: tuple[str, str],
        start_action: np.ndarray,
        task: Task,
        object_pose: Callable[[str], np.ndarray],
    ) -> None:
        self._kinematics = [ArmKinematics(model, prefix) for prefix in prefixes]
        self._start, self._task = np.array(start_action, dtype=np.float64), task
        self.object_pose = object_pose
        self._trackers: list[_Tracker] = []

    def tool(self, arm: int) -> Pose:
        """Where the arm was last told to be."""
        return self._trackers[arm].pose

    def gripper(self, arm: int) -> float:
        """How open the hand was last told to be."""
        return self._trackers[arm].gripper

    def home(self, arm: int) -> Pose:
        """Where the arm is after a reset."""
        return self._kinematics[arm].forward(self._start[7 * arm : 7 * arm + 6])

    def demonstrate(self, options: ExpertOptions, rng: np.random.Generator, targets: np.ndarray) -> Iterator[Move]:
        """Perform from the present scene; a script that looks expects every move to be made before the next is asked.

        Args:
            targets: (14,) what the arms were last told; other poses than the start need a task that resumes.

        Raises:
            RuntimeError: another demonstration of this expert was begun meanwhile.
        """
        noise, pauses = _noise(options, rng), _pauses(options, rng)
        self._trackers = trackers = [
            _Tracker(arm, targets[7 * side : 7 * side + 7]) for side, arm in enumerate(self._kinematics)
        ]
        scripts = self._task.scripts(self, options, rng)
        for tracker, script in zip(trackers, scripts, strict=True):
            tracker.begin(script)
        return self._moves(trackers, noise, pauses, options.tempo)

    def _moves(self, trackers: list[_Tracker], noise: np.ndarray, pauses: np.ndarray, tempo: float) -> Iterator[Move]:
        for drift, pause in zip(noise, pauses, strict=True):
            if trackers is not self._trackers:
                raise RuntimeError("another demonstration was begun; finish one before the next.")
            action = np.concatenate([tracker.advance(tempo) for tracker in trackers])
            yield Move(action, action + drift, float(pause))


class _Tracker:
    """Follows the legs of one arm, one control step at a time."""

    def __init__(self, arm: ArmKinematics, start: np.ndarray) -> None:
        self._arm, self._joints = arm, start[:6].copy()
        self._from = Waypoint(0.0, arm.forward(start[:6]), float(start[6]))
        self._from_joints = self._joints
        self._goal: np.ndarray | None = None
        self._leg: list[Waypoint] = []
        self._clock = 0.0
        self._script: Script = iter(())
        self._row, self._resting = start.copy(), False

    @property
    def pose(self) -> Pose:
        """Of the tool, as last told."""
        return self._arm.forward(self._joints)

    @property
    def gripper(self) -> float:
        """As last told."""
        return float(self._row[6])

    def begin(self, script: Script) -> None:
        self._script = script

    def advance(self, tempo: float) -> np.ndarray:
        """Return the (7,) targets of the next step."""
        self._clock += tempo
        self._catch_up()
        if not self._leg:
            return self._row
        target = self._leg[0]
        passed = min(max((self._clock - self._from.time) / max(target.time - self._from.time, 1e-9), 0.0), 1.0)
        self._joints = self._interpolated(target, _minimum_jerk(passed))
        gripper = self._from.gripper + passed * (target.gripper - self._from.gripper)
        self._row = np.append(self._joints, gripper)
        return self._row

    def _catch_up(self) -> None:
        """Drop way points that lie behind, fetch the next leg when none is left."""
        while self._leg and self._leg[0].time < self._clock:
            self._reach(self._leg.pop(0))
        while not self._leg:
            leg: Leg | None = next(self._script, None)
            if leg is None:
                self._rest()
                return
            self._clock, self._leg = self._clock - self._from.time, list(leg)
            self._from = Waypoint(0.0, self._from.pose, self._from.gripper)

    def _rest(self) -> None:
        """Stay at the last way point, which a tempo other than 1 may have stepped over."""
        if not self._resting:
            self._joints = self._arm.inverse(self._from.pose, self._joints)
            self._row, self._resting = np.append(self._joints, self._from.gripper), True

    def _reach(self, point: Waypoint) -> None:
        self._from, self._from_joints, self._goal = point, self._joints, None

    def _interpolated(self, target: Waypoint, share: float) -> np.ndarray:
        if not target.swing:
            return self._arm.inverse(between(self._from.pose, target.pose, share), self._joints)
        if self._goal is None:
            self._goal = self._arm.inverse(target.pose, WRIST_BENT, iterations=100)
        return self._from_joints * (1 - share) + self._goal * share


def _minimum_jerk(share: float) -> float:
    return share**3 * (10 - 15 * share + 6 * share**2)


def _noise(options: ExpertOptions, rng: np.random.Generator) -> np.ndarray:
    """AR(1) noise of constant spread on the arm joints, none on the grippers: (L, 14)."""
    noise = np.zeros((options.steps, 14))
    if options.noise <= 0:
        return noise
    fresh = options.noise * math.sqrt(1 - options.noise_memory**2) * rng.standard_normal((options.steps, 14))
    for step in range(1, options.steps):
        noise[step] = options.noise_memory * noise[step - 1] + fresh[step]
    noise[:, [6, 13]] = 0
    return noise


def _pauses(options: ExpertOptions, rng: np.random.Generator) -> np.ndarray:
    """Pauses at random steps: (L,) [s]."""
    chosen = rng.random(options.steps) < options.holds / options.steps
    return np.where(chosen, rng.uniform(*options.hold_range, options.steps), 0.0)
