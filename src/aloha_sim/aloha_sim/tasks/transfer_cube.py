"""The right arm picks a cube and hands it to the left one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import mujoco
import numpy as np

from aloha_sim.kinematics import Pose, turned
from aloha_sim.tasks.base import (
    CLOSED,
    OPEN,
    RIGHT,
    STROKE,
    ExpertOptions,
    Judgement,
    Region,
    Script,
    Stage,
    Waypoint,
    finger_ids,
    heading,
    touching,
)

CUBE_HEIGHT = 0.05
"""[m] The cube starts slightly above the table, as published, and drops onto it."""

HANDOVER = np.array([0.0, 0.5, 0.28])
"""[m] Where the cube changes hands."""

ABOVE = 0.12
GRASP = 0.022
"""[m] Tool heights over the table: before the descent, and at the cube's middle."""

PITCH = math.radians(60)

BESIDE = 0.12
"""[m] From the handover to where the left hand waits, along x."""

ROLLED = turned(("x", math.pi / 2))
"""Of the left hand: a quarter turn, so that the hands take the cube by different faces."""


def sample_cube(seed: int, x: Sequence[float], y: Sequence[float], yaw: Sequence[float]) -> np.ndarray:
    """Draw a start pose: (7,) x y z [m] qw qx qy qz.

    With the published ranges and yaw 0 a seed gives the same cube as `gym_aloha`. Seeds count modulo 2**32.
    """
    rng = np.random.RandomState(seed % 2**32)
    position = rng.uniform([x[0], y[0], CUBE_HEIGHT], [x[1], y[1], CUBE_HEIGHT])
    half = rng.uniform(yaw[0], yaw[1]) / 2
    return np.concatenate([position, [np.cos(half), 0.0, 0.0, np.sin(half)]])


class TransferCube:
    """The published task with a stricter end: the left hand holds the cube alone, off the table."""

    instruction = "transfer the cube to the left arm"
    mjcf = "bimanual_viperx_transfer_cube.xml"
    objects: Mapping[str, str] = {"cube": "red_box_joint"}
    region = Region((0.0, 0.2), (0.4, 0.6))
    stages = ("untouched", "touched", "lifted", "left touches", "transferred")
    """Names of the published rewards 0 to 4 (ALOHA's simulated TransferCubeTask)."""
    max_steps = 300
    coloured = ("red_box",)
    resumes = False

    def build(self, spec: mujoco.MjSpec) -> None:
        """Take the published scene as it is."""

    def place(self, seed: int, region: Region) -> Mapping[str, np.ndarray]:
        """Draw where the cube starts."""
        return {"cube": sample_cube(seed, region.x, region.y, region.yaw)}

    def judge(self, model: mujoco.MjModel) -> Callable[[mujoco.MjData], Judgement]:
        """Read the contacts of the cube."""
        cube, table = model.geom("red_box").id, model.geom("table").id
        left, right = finger_ids(model)

        def judge(data: mujoco.MjData) -> Judgement:
            contacts = touching(data, cube)
            off_table = table not in contacts
            stage = 0
            if right[1] in contacts:  # the published code looks at one finger of either hand
                stage = 2 if off_table else 1
            if left[0] in contacts:
                stage = 4 if off_table else 3
            alone = contacts.issuperset(left) and contacts.isdisjoint(right) and off_table
            return Judgement(stage, alone, float(alone))

        return judge

    def scripts(self, stage: Stage, options: ExpertOptions, rng: np.random.Generator) -> tuple[Script, Script]:
        """One leg per arm, timed so that they meet."""
        right = _right(stage.object_pose("cube"), stage.tool(RIGHT), options)
        return iter([_left()]), iter([right])


def _right(cube: np.ndarray, start: Pose, options: ExpertOptions) -> list[Waypoint]:
    """Pick the cube, carry it to the middle, let go and retreat."""
    x, y = cube[:2] + np.asarray(options.grasp_shift)
    pitch = PITCH if options.pitch is None else options.pitch
    yaw = (heading(cube) + math.pi / 4) % (math.pi / 2) - math.pi / 4  # the nearest pair of faces
    grasp = turned(("z", math.pi + yaw), ("y", pitch))
    carry = turned(("z", math.pi), ("y", pitch))
    above, down = Pose(np.array([x, y, ABOVE]), grasp), Pose(np.array([x, y, GRASP]), grasp)
    handover = Pose(HANDOVER, carry)
    away = Pose(HANDOVER + np.array([0.12, 0.0, 0.06]), carry)
    return [
        Waypoint(28, above, OPEN, swing=True),
        Waypoint(42, down, OPEN),
        Waypoint(43, down, OPEN),
        Waypoint(43 + STROKE, down, CLOSED),
        Waypoint(54, down, CLOSED),
        Waypoint(80, handover, CLOSED),
        Waypoint(102, handover, CLOSED),
        Waypoint(102 + STROKE, handover, OPEN),
        Waypoint(130, away, OPEN),
        Waypoint(150, away, OPEN),
    ]


def _left() -> list[Waypoint]:
    """Wait beside the middle with the hand rolled a quarter turn, take the cube, move back with it."""
    ready, handover, back = (Pose(HANDOVER - np.array([far, 0.0, 0.0]), ROLLED) for far in (BESIDE, 0.0, 0.08))
    return [
        Waypoint(50, ready, OPEN),
        Waypoint(74, ready, OPEN),
        Waypoint(91, handover, OPEN),
        Waypoint(92, handover, OPEN),
        Waypoint(92 + STROKE, handover, CLOSED),
        Waypoint(118, handover, CLOSED),
        Waypoint(140, back, CLOSED),
        Waypoint(150, back, CLOSED),
    ]
