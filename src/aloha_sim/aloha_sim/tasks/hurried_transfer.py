"""The cube against the clock: the script of a person in a hurry, who hesitates and closes the hand too early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aloha_sim.kinematics import Pose, turned
from aloha_sim.tasks.base import CLOSED, OPEN, RIGHT, STROKE, ExpertOptions, Leg, Script, Stage, Waypoint
from aloha_sim.tasks.habits import Habits, Whims
from aloha_sim.tasks.transfer_cube import ABOVE, BESIDE, GRASP, HANDOVER, PITCH, ROLLED, TransferCube

LIFTED = 0.045
"""[m] A cube whose middle is higher than this has left the table."""

CHECK = 0.07
"""[m] Tool height at which the script looks whether it has the cube."""

ATTEMPTS = 5


HABITS = Habits(
    hesitate=0.3,
    miss=0.4,
    miss_again=0.1,
    miss_by=(0.045, 0.06),
    grasp_spread=0.003,
    idle=(0.0, 5.0),
    tempo=(0.95, 1.15),
)


class HurriedTransfer(TransferCube):
    """The same scene and the same end within 4.8 s: a miss or a second thought costs the success.

    A clean demonstration takes 90 to 110 steps, one with a miss or a hesitation 30 to 50 more. What imitates them all
    fails as often as they err; what can tell a good chunk from a bad one need not.
    """

    max_steps = 120

    def scripts(self, stage: Stage, options: ExpertOptions, rng: np.random.Generator) -> tuple[Script, Script]:
        """The left arm gets ready, and moves in when the cube is off the table."""
        work = _Work(stage, options, Whims(rng, options.variety))
        return work.left(), work.right()


@dataclass
class _Work:
    """What both arms know: the pace, and whether the cube has been lifted."""

    stage: Stage
    options: ExpertOptions
    whims: Whims
    habits: Habits = HABITS
    lifted: bool = False

    def __post_init__(self) -> None:
        self._pace = 1 / self.whims.uniform(self.habits.tempo, otherwise=1.0)

    def right(self) -> Iterator[Leg]:
        """Pick the cube, as often as it takes, carry it to the middle, let go and retreat."""
        pace, cube = self._pace, self.stage.object_pose("cube")[:2].copy()
        idle = self.whims.uniform(self.habits.idle)
        if idle >= 1:
            yield [Waypoint(idle, self.stage.tool(RIGHT), self.stage.gripper(RIGHT))]
        if self.whims.chance(self.habits.hesitate):
            there = self._over(cube + np.array([0.0, 0.09 if cube[1] < 0.5 else -0.09]), 0.16)
            pause = 26 * pace + self.whims.uniform((3, 9))
            yield [Waypoint(26 * pace, there, OPEN, swing=True), Waypoint(pause, there, OPEN)]
        for attempt in range(ATTEMPTS):
            yield self._grasp(attempt)
            if self.stage.object_pose("cube")[2] > LIFTED:
                break
            yield [Waypoint(STROKE, self.stage.tool(RIGHT), OPEN)]
        self.lifted = True
        there, away = self._carried(np.zeros(3)), self._carried(np.array([0.12, 0.0, 0.06]))
        yield [
            Waypoint(24 * pace, there, CLOSED, swing=True),
            Waypoint(45 * pace, there, CLOSED),
            Waypoint(45 * pace + STROKE, there, OPEN),
            Waypoint(70 * pace + STROKE, away, OPEN),
        ]

    def left(self) -> Iterator[Leg]:
        """Wait beside the middle with the hand rolled a quarter turn, take the cube, move back with it."""
        pace = self._pace
        ready, there, back = (Pose(HANDOVER - np.array([far, 0.0, 0.0]), ROLLED) for far in (BESIDE, 0.0, 0.08))
        yield [Waypoint(44 * pace, ready, OPEN)]
        while not self.lifted:
            yield [Waypoint(1, ready, OPEN)]
        yield [
            Waypoint(16 * pace, ready, OPEN),
            Waypoint(33 * pace, there, OPEN),
            Waypoint(34 * pace + STROKE, there, CLOSED),
            Waypoint(50 * pace + STROKE, there, CLOSED),
            Waypoint(70 * pace + STROKE, back, CLOSED),
        ]

    def _grasp(self, attempt: int) -> Leg:
        target = self.stage.object_pose("cube")[:2] + np.asarray(self.options.grasp_shift)
        aim = self.habits.aim(target, RIGHT, attempt, self.whims)
        above, down, up = (self._over(aim, height) for height in (ABOVE, GRASP, CHECK))
        pace = self._pace
        reach = 12 if attempt else 24
        return [
            Waypoint(reach * pace, above, OPEN, swing=not attempt),
            Waypoint((reach + 11) * pace, down, OPEN),
            Waypoint((reach + 11) * pace + STROKE, down, CLOSED),
            Waypoint((reach + 17) * pace + STROKE, up, CLOSED),
        ]

    def _over(self, place: np.ndarray, height: float) -> Pose:
        return Pose(np.array([place[0], place[1], height]), self._hand())

    def _carried(self, offset: np.ndarray) -> Pose:
        return Pose(HANDOVER + offset, self._hand())

    def _hand(self) -> np.ndarray:
        return turned(("z", np.pi), ("y", PITCH if self.options.pitch is None else self.options.pitch))
