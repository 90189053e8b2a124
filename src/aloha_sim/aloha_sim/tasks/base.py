"""What a task of the cell consists of: objects, where they start, a judge, and a script for either arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np

from aloha_sim.kinematics import Pose

LEFT, RIGHT = 0, 1
"""Arms, in the order of the action vector."""

FINGERS = tuple(
    tuple(f"{prefix}/10_{side}_gripper_finger" for side in ("left", "right"))
    for prefix in ("vx300s_left", "vx300s_right")
)
"""Geoms of the finger pads: [arm][finger]."""

OPEN = 1.0
CLOSED = 0.0
"""Gripper actions."""

STROKE = 9
"""[control steps] A whole gripper stroke, in a straight line: 2.8 strokes/s, below what an executor may limit."""


@dataclass(frozen=True)
class Region:
    """Where the objects of a task start: x and y [m] in the table frame, heading [rad]; lower and upper bounds."""

    x: Sequence[float]
    y: Sequence[float]
    yaw: Sequence[float] = (0.0, 0.0)


@dataclass(frozen=True)
class Judgement:
    """What can be said at one instant.

    Args:
        stage: how far the task is, 0 to 4; names in the task's `stages`.
        done: the task is accomplished now.
        score: share of it that is, 0 to 1.
    """

    stage: int
    done: bool
    score: float


@dataclass(frozen=True)
class Waypoint:
    """At `time` [control steps since the leg began] the tool is here and the gripper so.

    `swing`: reached along a straight line of the joints, not of the tool. From the start pose to the grasp a straight
    tool path unbends the wrist, and at the singularity the two rolls may flip by half a turn within a few steps.
    """

    time: float
    pose: Pose
    gripper: float
    swing: bool = False


Leg = Sequence[Waypoint]
"""Waypoints with rising times; an arm is done with a leg at the time of its last one."""

Script = Iterator[Leg]
"""Legs of one arm. It is resumed when the arm has finished a leg, and may then look at the scene."""


@dataclass(frozen=True)
class ExpertOptions:
    """How a demonstration may differ from the plain one.

    Args:
        steps: length of the demonstration in control steps.
        tempo: speed relative to the plain script; the rest of the steps is spent at the final pose.
        pitch: of a hand at the grasp, below the horizon [rad]; None: the task's own.
        grasp_shift: error of the believed object position x, y [m]; 0.03 makes most grasps fail.
        noise: standard deviation of the joint noise while executing [rad].
        noise_memory: its AR(1) coefficient per control step.
        holds: expected number of pauses at random steps.
        hold_range: their shortest and longest duration [s].
        variety: how human the script is, for tasks with a choice: 0 is always the same best way, 1 chooses objects,
            arms and timing at random, hesitates and misses as the task's data want it.
    """

    steps: int = 150
    tempo: float = 1.0
    pitch: float | None = None
    grasp_shift: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    noise_memory: float = 0.9
    holds: float = 0.0
    hold_range: tuple[float, float] = (0.2, 1.0)
    variety: float = 1.0


class Stage(Protocol):
    """What a script may see."""

    def object_pose(self, name: str) -> np.ndarray:
        """(7,) of an object: x y z [m], qw qx qy qz."""

    def tool(self, arm: int) -> Pose:
        """Where the arm was last told to be."""

    def home(self, arm: int) -> Pose:
        """Where the arm is after a reset."""

    def gripper(self, arm: int) -> float:
        """How open the hand was last told to be."""


class Task(Protocol):
    """One task. Instances live in the table `TASKS`.

    Attributes:
        instruction: the task in words. mjcf: file among the assets of gym-aloha. objects: name -> free joint.
        region: where objects start unless told otherwise. stages: names of the stages 0 to 4.
        max_steps: time limit of an episode [control steps]. coloured: geoms whose colour a domain may change.
        resumes: the scripts go on from wherever the arms and objects are, not from the start alone.
    """

    @property
    def instruction(self) -> str: ...
    @property
    def mjcf(self) -> str: ...
    @property
    def objects(self) -> Mapping[str, str]: ...
    @property
    def region(self) -> Region: ...
    @property
    def stages(self) -> tuple[str, ...]: ...
    @property
    def max_steps(self) -> int: ...
    @property
    def coloured(self) -> tuple[str, ...]: ...
    @property
    def resumes(self) -> bool: ...

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add or replace what the published MJCF lacks."""

    def place(self, seed: int, region: Region) -> Mapping[str, np.ndarray]:
        """Draw the start: object -> (7,) x y z [m] qw qx qy qz."""

    def judge(self, model: mujoco.MjModel) -> Callable[[mujoco.MjData], Judgement]:
        """Make the judge of a compiled cell."""

    def scripts(self, stage: Stage, options: ExpertOptions, rng: np.random.Generator) -> tuple[Script, Script]:
        """Write the expert's scripts for the left and the right arm from the present scene."""


def touching(data: mujoco.MjData, geom: int) -> set[int]:
    """Return the geoms in contact with one."""
    pairs = data.contact.geom
    return {int(b if a == geom else a) for a, b in pairs[(pairs == geom).any(axis=1)]}


def finger_ids(model: mujoco.MjModel) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Geom ids of the finger pads, [arm][finger]."""
    left, right = (tuple(int(model.geom(name).id) for name in arm) for arm in FINGERS)
    return left, right


def upright(x: float, y: float, z: float, yaw: float = 0.0) -> np.ndarray:
    """(7,) pose of an object that stands on the table."""
    return np.array([x, y, z, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def heading(pose: np.ndarray) -> float:
    """Yaw [rad] of an upright (7,) pose."""
    return float(2 * np.arctan2(pose[6], pose[3]))


def placed(model: Any, data: Any, joint: str) -> np.ndarray:
    """(7,) pose of a free joint."""
    address = int(model.joint(joint).qposadr[0])
    return data.qpos[address : address + 7].copy()
