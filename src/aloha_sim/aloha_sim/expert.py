"""A scripted expert for the transfer-cube task: way points in space, minimum-jerk motion, inverse kinematics.

It knows the cube's true pose. Diversity for data sets is explicit: noise while executing, a shifted grasp,
pauses nobody records, other tempos and pitches. Labels stay clean: `actions` is always what the script meant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import mujoco
import numpy as np

from aloha_sim.cell import PREFIXES
from aloha_sim.kinematics import ArmKinematics, Pose, between, turned

HANDOVER = np.array([0.0, 0.5, 0.28])
"""[m] Where the cube changes hands."""

ABOVE = 0.12
GRASP = 0.022
"""[m] Tool heights over the table: before the descent, and at the cube's middle."""

WRIST_BENT = np.array([0.0, -0.4, 0.8, 0.0, 0.6, 0.0])
"""[rad] Where inverse kinematics of the grasp starts: both rolls at zero, the wrist bent the way the grasp needs."""

OPEN = 1.0
CLOSED = 0.0
"""Gripper actions."""

STROKE = 9
"""[control steps] A whole gripper stroke, in a straight line: 2.8 strokes/s, below what an executor may limit."""


@dataclass(frozen=True)
class ExpertOptions:
    """How a demonstration may differ from the plain one.

    Args:
        steps: length of the demonstration in control steps.
        tempo: speed relative to the plain script; the rest of the steps is spent at the final pose.
        pitch: of the right hand at the grasp, below the horizon [rad].
        grasp_shift: error of the believed cube position x, y [m]; 0.03 makes most grasps fail.
        noise: standard deviation of the joint noise while executing [rad].
        noise_memory: its AR(1) coefficient per control step.
        holds: expected number of pauses at random steps.
        hold_range: their shortest and longest duration [s].
    """

    steps: int = 150
    tempo: float = 1.0
    pitch: float = math.radians(60)
    grasp_shift: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    noise_memory: float = 0.9
    holds: float = 0.0
    hold_range: tuple[float, float] = (0.2, 1.0)


@dataclass(frozen=True)
class Demonstration:
    """What to record and what to do, step by step.

    Args:
        actions: (L, 14) clean absolute targets in action units: the labels.
        executed: (L, 14) the same with execution noise: what to send.
        holds: (L,) pause before each step [s], during which nothing is recorded.
    """

    actions: np.ndarray
    executed: np.ndarray
    holds: np.ndarray

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True)
class _Waypoint:
    """At `time` [control steps] the tool is here and the gripper so.

    `swing`: reached along a straight line of the joints, not of the tool. From the start pose to the grasp a straight
    tool path unbends the wrist, and at the singularity the two rolls may flip by half a turn within a few steps.
    """

    time: float
    pose: Pose
    gripper: float
    swing: bool = False


@dataclass
class Expert:
    """Plans demonstrations for one cell.

    Args:
        model: the cell.
        start_action: (14,) pose every demonstration starts from, action units.
    """

    model: mujoco.MjModel
    start_action: np.ndarray
    _arms: list[ArmKinematics] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._arms = [ArmKinematics(self.model, prefix) for prefix in PREFIXES]

    def demonstrate(
        self, cube: np.ndarray, options: ExpertOptions | None = None, rng: np.random.Generator | None = None
    ) -> Demonstration:
        """Plan a demonstration.

        Args:
            cube: (7,) pose at the start.
            options: the plain script if None.
            rng: draws noise and pauses; only needed where the options ask for them.
        """
        options = options or ExpertOptions()
        rng = rng or np.random.default_rng(0)
        start = [self._arms[arm].forward(self.start_action[7 * arm : 7 * arm + 6]) for arm in range(2)]
        grippers = self.start_action[[6, 13]]
        left = _left_script(_Waypoint(0, start[0], grippers[0]))
        right = _right_script(_Waypoint(0, start[1], grippers[1]), cube, options)
        times = np.minimum((1 + np.arange(options.steps)) * options.tempo, left[-1].time)
        actions = np.concatenate([self._track(0, left, times), self._track(1, right, times)], axis=1)
        return Demonstration(actions, actions + _noise(options, rng), _holds(options, rng))

    def _track(self, arm: int, script: list[_Waypoint], times: np.ndarray) -> np.ndarray:
        """Follow a script: (L, 7) joint targets and gripper."""
        joints = self.start_action[7 * arm : 7 * arm + 6].copy()
        track = np.empty((len(times), 7))
        for row, time in zip(track, times, strict=True):
            after = next((index for index, point in enumerate(script) if point.time >= time), len(script) - 1)
            first, second = script[max(after - 1, 0)], script[after]
            passed = min(max((time - first.time) / max(second.time - first.time, 1e-9), 0.0), 1.0)
            share = _minimum_jerk(passed)
            if second.swing:
                goal = self._arms[arm].inverse(second.pose, WRIST_BENT, iterations=100)
                joints = self.start_action[7 * arm : 7 * arm + 6] * (1 - share) + goal * share
            else:
                joints = self._arms[arm].inverse(between(first.pose, second.pose, share), joints)
            row[:6] = joints
            row[6] = first.gripper + passed * (second.gripper - first.gripper)
        return track


def _right_script(start: _Waypoint, cube: np.ndarray, options: ExpertOptions) -> list[_Waypoint]:
    """Pick the cube, carry it to the middle, let go and retreat."""
    x, y = cube[:2] + np.asarray(options.grasp_shift)
    heading = 2 * math.atan2(cube[6], cube[3])
    yaw = (heading + math.pi / 4) % (math.pi / 2) - math.pi / 4  # the nearest pair of faces
    grasp = turned(("z", math.pi + yaw), ("y", options.pitch))
    carry = turned(("z", math.pi), ("y", options.pitch))
    above, down = Pose(np.array([x, y, ABOVE]), grasp), Pose(np.array([x, y, GRASP]), grasp)
    handover = Pose(HANDOVER, carry)
    away = Pose(HANDOVER + np.array([0.12, 0.0, 0.06]), carry)
    return [
        start,
        _Waypoint(28, above, OPEN, swing=True),
        _Waypoint(42, down, OPEN),
        _Waypoint(43, down, OPEN),
        _Waypoint(43 + STROKE, down, CLOSED),
        _Waypoint(54, down, CLOSED),
        _Waypoint(80, handover, CLOSED),
        _Waypoint(102, handover, CLOSED),
        _Waypoint(102 + STROKE, handover, OPEN),
        _Waypoint(130, away, OPEN),
        _Waypoint(150, away, OPEN),
    ]


def _left_script(start: _Waypoint) -> list[_Waypoint]:
    """Wait beside the middle with the hand rolled a quarter turn, take the cube, move back with it."""
    rolled = turned(("x", math.pi / 2))
    ready, handover = Pose(HANDOVER - np.array([0.12, 0.0, 0.0]), rolled), Pose(HANDOVER, rolled)
    back = Pose(HANDOVER - np.array([0.08, 0.0, 0.0]), rolled)
    return [
        start,
        _Waypoint(50, ready, OPEN),
        _Waypoint(74, ready, OPEN),
        _Waypoint(91, handover, OPEN),
        _Waypoint(92, handover, OPEN),
        _Waypoint(92 + STROKE, handover, CLOSED),
        _Waypoint(118, handover, CLOSED),
        _Waypoint(140, back, CLOSED),
        _Waypoint(150, back, CLOSED),
    ]


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


def _holds(options: ExpertOptions, rng: np.random.Generator) -> np.ndarray:
    """Pauses at random steps: (L,) [s]."""
    chosen = rng.random(options.steps) < options.holds / options.steps
    return np.where(chosen, rng.uniform(*options.hold_range, options.steps), 0.0)
