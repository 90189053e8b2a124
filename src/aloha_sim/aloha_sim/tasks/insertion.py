"""The right arm picks a peg, the left one a socket, and they are put together in the air."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import mujoco
import numpy as np

from aloha_sim.kinematics import Pose, turned
from aloha_sim.tasks.base import (
    CLOSED,
    LEFT,
    OPEN,
    RIGHT,
    STROKE,
    ExpertOptions,
    Judgement,
    Leg,
    Region,
    Script,
    Stage,
    Waypoint,
    finger_ids,
    touching,
    upright,
)
from aloha_sim.tasks.habits import Whims

DROP = 0.05
"""[m] Objects start slightly above the table, as published, and drop onto it."""

GRIP = {"peg": 0.02, "socket": 0.022}
"""[m] Tool heights over the table at the grasp."""

ABOVE = 0.12

APART, NEAR, TOGETHER = 0.16, 0.128, 0.088
"""[m] Distance of the middles along x: facing each other, just before they meet, and a push beyond the pin (0.10)."""

PITCH = math.radians(60)


@dataclass(frozen=True)
class Habits:
    """How demonstrations differ: who moves, where, how fast. Durations in control steps."""

    idle: tuple[float, float] = (0.0, 15.0)
    tempo: tuple[float, float] = (0.9, 1.1)
    grasp_spread: float = 0.004
    meet_x: tuple[float, float] = (-0.03, 0.03)
    meet_y: tuple[float, float] = (0.46, 0.54)
    meet_z: tuple[float, float] = (0.18, 0.26)
    moves: tuple[float, ...] = (0.0, 0.5, 1.0)
    """Share of the last move that the left arm makes."""


class Insertion:
    """The published task: success is the peg's touch of the pin inside the socket, both held off the table."""

    instruction = "insert the peg into the socket"
    mjcf = "bimanual_viperx_insertion.xml"
    objects: Mapping[str, str] = {"peg": "red_peg_joint", "socket": "blue_socket_joint"}
    region = Region((0.1, 0.2), (0.4, 0.6))
    """Of the peg; the socket's is its mirror image."""
    stages = ("untouched", "both touched", "both lifted", "peg at the socket", "inserted")
    """Names of the published rewards 0 to 4 (ALOHA's simulated InsertionTask)."""
    max_steps = 300
    coloured = ("red_peg", "socket-1", "socket-2", "socket-3", "socket-4")
    resumes = False

    def build(self, spec: mujoco.MjSpec) -> None:
        """Take the published scene as it is."""

    def place(self, seed: int, region: Region) -> Mapping[str, np.ndarray]:
        """Draw peg and socket; with the published ranges and yaw 0 a seed gives the same as `gym_aloha`."""
        rng = np.random.RandomState(seed % 2**32)
        (x0, x1), (y0, y1) = region.x, region.y
        peg = rng.uniform([x0, y0, DROP], [x1, y1, DROP])
        socket = rng.uniform([-x1, y0, DROP], [-x0, y1, DROP])
        yaws = rng.uniform(region.yaw[0], region.yaw[1], 2)
        return {
            "peg": upright(peg[0], peg[1], peg[2], yaws[0]),
            "socket": upright(socket[0], socket[1], socket[2], yaws[1]),
        }

    def judge(self, model: mujoco.MjModel) -> Callable[[mujoco.MjData], Judgement]:
        """Read the contacts of peg, socket and pin."""
        peg, pin, table = (int(model.geom(name).id) for name in ("red_peg", "pin", "table"))
        socket = {int(model.geom(f"socket-{wall}").id) for wall in range(1, 5)}
        left, right = finger_ids(model)

        def judge(data: mujoco.MjData) -> Judgement:
            of_peg = touching(data, peg)
            of_socket = set().union(*(touching(data, wall) for wall in socket))
            touched = right[1] in of_peg and left[0] in of_socket  # the published code looks at one finger of each
            lifted = table not in of_peg and table not in of_socket
            stage = int(touched)
            if touched and lifted:
                stage = 2 + bool(of_peg & socket)
            if pin in of_peg and lifted:
                stage = 4
            return Judgement(stage, stage == 4, float(stage == 4))

        return judge

    def scripts(self, stage: Stage, options: ExpertOptions, rng: np.random.Generator) -> tuple[Script, Script]:
        """Pick at the arms' own pace, meet, look, insert."""
        work = _Work(stage, options, Whims(rng, options.variety))
        return work.arm(LEFT, "socket"), work.arm(RIGHT, "peg")


@dataclass
class _Work:
    """What both arms agree on: where they meet, who moves, and when both are there."""

    stage: Stage
    options: ExpertOptions
    whims: Whims
    habits: Habits = field(default_factory=Habits)

    def __post_init__(self) -> None:
        habits, whims = self.habits, self.whims
        ranges = np.array([habits.meet_x, habits.meet_y, habits.meet_z])
        self._meet = whims.rng.uniform(ranges[:, 0], ranges[:, 1]) if whims.any else ranges.mean(axis=1)
        self._left_share = float(whims.rng.choice(habits.moves)) if whims.any else 0.5
        self._ready: set[int] = set()
        self._pace = [whims.uniform(habits.tempo, 1.0) for _ in range(2)]
        self._idle = [whims.uniform(habits.idle) for _ in range(2)]
        self._spread = whims.normal(habits.grasp_spread, (2, 2))

    def arm(self, arm: int, name: str) -> Iterator[Leg]:
        """Write the legs of one arm."""
        pace = 1 / self._pace[arm]
        if self._idle[arm] >= 1:
            yield self._stay(arm, self._idle[arm])
        x, y = self.stage.object_pose(name)[:2] + self._spread[arm] + np.asarray(self.options.grasp_shift)
        above, down = (self._pose(arm, np.array([x, y, z])) for z in (ABOVE, GRIP[name]))
        yield [
            Waypoint(30 * pace, above, OPEN, swing=True),
            Waypoint(44 * pace, down, OPEN),
            Waypoint(44 * pace + STROKE, down, CLOSED),
            Waypoint(44 * pace + STROKE + 2, down, CLOSED),
            Waypoint(58 * pace + STROKE + 2, above, CLOSED),
        ]
        sign = -1 if arm == LEFT else 1
        yield [Waypoint(28 * pace, self._bringing(arm, name, sign * APART / 2), CLOSED)]
        yield [Waypoint(8, self._bringing(arm, name, sign * APART / 2), CLOSED)]  # what slipped is put right
        self._ready.add(arm)
        while len(self._ready) < 2:
            yield self._stay(arm, 1)
        share = self._left_share if arm == LEFT else 1 - self._left_share
        for distance, steps in ((NEAR, 16), (NEAR, 6), (TOGETHER, 26)):
            way = (APART - distance) * share
            yield [Waypoint(steps, self._bringing(arm, name, sign * (APART / 2 - way)), CLOSED)]

    def _bringing(self, arm: int, name: str, offset: float) -> Pose:
        """Where the hand must be for its object to be at the meeting place, shifted along x."""
        slip = self.stage.tool(arm).position - self.stage.object_pose(name)[:3]
        return self._pose(arm, self._meet + np.array([offset, 0.0, 0.0]) + slip)

    def _stay(self, arm: int, steps: float) -> Leg:
        return [Waypoint(steps, self.stage.tool(arm), self.stage.gripper(arm))]

    def _pose(self, arm: int, position: np.ndarray) -> Pose:
        pitch = PITCH if self.options.pitch is None else self.options.pitch
        return Pose(position, turned(("z", 0.0 if arm == LEFT else math.pi), ("y", pitch)))
