"""The script of the candies: either arm, either order, and the errors of a person in a hurry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aloha_sim.kinematics import Pose, turned
from aloha_sim.tasks.base import CLOSED, LEFT, OPEN, RIGHT, STROKE, ExpertOptions, Leg, Stage, Waypoint
from aloha_sim.tasks.bowl import BOWL, HALF, LIFTED, within_bowl
from aloha_sim.tasks.habits import Habits, Whims

SHARED = 0.07
"""[m] Candies nearer to the middle than this are within reach of both arms."""

ABOVE, GRASP, CARRY = 0.12, 0.022, 0.13
"""[m] Tool heights over the table: before the descent, at the candy's middle, over the bowl."""

HAND, HALF_CLOSED = 0.04, 0.6
"""[m], gripper action: a hand nearer to a candy than this, and closed further, has it or is about to."""

LOW = 0.1
"""[m] A hand lower than this rises before it goes anywhere else; the script itself never leaves one there."""

AWAY = 0.02
"""[m] A hand farther than this from its home is in the way of the other arm."""

PITCH = math.radians(70)


HABITS = Habits(
    hesitate=0.35,
    miss=0.3,
    miss_again=0.1,
    miss_by=(0.045, 0.06),
    grasp_spread=0.004,
    idle=(0.0, 12.0),
    tempo=(0.92, 1.12),
)


def _share(stage: Stage, candies: list[str], rng: np.random.Generator | None) -> list[tuple[str, int]]:
    """Choose who takes which candy, in which order, such that the arms never cross."""
    x = {name: float(stage.object_pose(name)[0]) for name in candies}
    held = {name: arm for name in candies if (arm := _holder(stage, name)) is not None}
    order = [candies[i] for i in (rng.permutation(len(candies)) if rng else range(len(candies)))]
    order.sort(key=lambda name: name not in held)

    def choose(name: str) -> int:
        if name in held:
            return held[name]
        if rng is None or abs(x[name]) > SHARED:
            return LEFT if x[name] < 0 else RIGHT
        return int(rng.integers(2))

    jobs = [(name, choose(name)) for name in order]
    lefts = [x[name] for name, arm in jobs if arm == LEFT and name not in held]
    rights = [x[name] for name, arm in jobs if arm == RIGHT and name not in held]
    if lefts and rights and max(lefts) > min(rights):
        jobs = [(name, held.get(name, jobs[0][1])) for name in order]
    return jobs


def _holder(stage: Stage, candy: str) -> int | None:
    """Which arm has its closed hand around a candy, on the table or off it."""
    place = stage.object_pose(candy)[:3]
    away = [float(np.linalg.norm(stage.tool(arm).position - place)) for arm in (LEFT, RIGHT)]
    nearest = LEFT if away[LEFT] < away[RIGHT] else RIGHT
    return nearest if away[nearest] < HAND and stage.gripper(nearest) < HALF_CLOSED else None


@dataclass
class CandyWork:
    """The jobs of both arms; one candy after the other, an arm starting when the one before has lifted its candy."""

    stage: Stage
    options: ExpertOptions
    whims: Whims
    jobs: list[tuple[str, int]]
    habits: Habits = HABITS
    lifted: int = 0
    dropped: int = 0

    @classmethod
    def begin(cls, stage: Stage, candies: Sequence[str], options: ExpertOptions, rng: np.random.Generator) -> CandyWork:
        """Share the candies that are not in the bowl between the arms; one that is held already comes first."""
        whims = Whims(rng, options.variety)
        left = [name for name in candies if not within_bowl(stage.object_pose(name)[:3])]
        return cls(stage, options, whims, _share(stage, left, rng if whims.any else None))

    def arm(self, arm: int) -> Iterator[Leg]:
        """Write the legs of one arm."""
        home = self.stage.home(arm)
        starts = bool(self.jobs) and self.jobs[0][1] == arm
        if not starts and np.linalg.norm(self.stage.tool(arm).position - home.position) > AWAY:
            yield from self._rise(arm, OPEN)
            yield [Waypoint(30, home, OPEN, swing=True)]
        for number, (candy, whose) in enumerate(self.jobs):
            if whose != arm:
                continue
            while self.lifted < number:
                yield self._wait(arm)
            yield from self._pick(arm, number, candy)
            while self.dropped < number:
                yield self._wait(arm)
            yield from self._drop(arm, number)
            if number + 1 < len(self.jobs) and self.jobs[number + 1][1] != arm:
                yield [Waypoint(30, home, OPEN, swing=True)]

    def _pick(self, arm: int, number: int, candy: str) -> Iterator[Leg]:
        yield from self._rise(arm, self.stage.gripper(arm))
        if self.stage.object_pose(candy)[2] > LIFTED and _holder(self.stage, candy) == arm:
            self.lifted = max(self.lifted, number + 1)
            return
        pace = self._pace()
        idle = self.whims.uniform(self.habits.idle)
        if idle >= 1:
            yield self._wait(arm, steps=idle)
        if self.whims.chance(self.habits.hesitate):
            yield self._hesitation(arm, candy, pace)
        attempt = 0
        while True:
            target = self.stage.object_pose(candy)[:2] + np.asarray(self.options.grasp_shift)
            x, y = self.habits.aim(target, arm, attempt, self.whims)
            above, down = self._pose(arm, x, y, ABOVE), self._pose(arm, x, y, GRASP)
            reach = 30 if attempt == 0 else 12
            yield [
                Waypoint(reach * pace, above, OPEN, swing=attempt == 0),
                Waypoint((reach + 12) * pace, down, OPEN),
                Waypoint((reach + 12) * pace + STROKE, down, CLOSED),
                Waypoint((reach + 20) * pace + STROKE, above, CLOSED),
            ]
            if self.stage.object_pose(candy)[2] > LIFTED or attempt >= 4:
                break
            attempt += 1
            yield [Waypoint(STROKE, above, OPEN)]
        self.lifted = max(self.lifted, number + 1)

    def _drop(self, arm: int, number: int) -> Iterator[Leg]:
        pace = self._pace()
        spread = self.whims.normal(0.01, 2)
        side = 0.02 * (-1 if arm == LEFT else 1)
        over = self._pose(arm, BOWL[0] + side + spread[0], BOWL[1] + spread[1], CARRY)
        yield [Waypoint(28 * pace, over, CLOSED, swing=True), Waypoint(28 * pace + 7, over, 0.7 * OPEN)]
        self.dropped = max(self.dropped, number + 1)

    def _hesitation(self, arm: int, candy: str, pace: float) -> Leg:
        """Go for another place first, stop short of it, think again."""
        others = [name for name, _ in self.jobs if name != candy and self.stage.object_pose(name)[1] < BOWL[1] - HALF]
        wanted = self.stage.object_pose(others[0] if others else candy)[:2].copy()
        wanted[0] = np.clip(wanted[0], *((-0.2, SHARED) if arm == LEFT else (-SHARED, 0.2)))
        if not others or np.linalg.norm(wanted - self.stage.object_pose(candy)[:2]) < 0.06:
            wanted = self.stage.object_pose(candy)[:2] + np.array([0.0, 0.09])
        there = self._pose(arm, wanted[0], wanted[1], 0.16)
        return [
            Waypoint(26 * pace, there, OPEN, swing=True),
            Waypoint(26 * pace + self.whims.uniform((3, 9)), there, OPEN),
        ]

    def _rise(self, arm: int, gripper: float) -> Iterator[Leg]:
        """Straighten up a hand that was left low by whoever moved it before the script."""
        x, y, z = self.stage.tool(arm).position
        if z < LOW:
            yield [Waypoint(10, self._pose(arm, x, y, ABOVE), gripper, swing=True)]

    def _wait(self, arm: int, steps: float = 1.0) -> Leg:
        return [Waypoint(steps, self.stage.tool(arm), self.stage.gripper(arm))]

    def _pose(self, arm: int, x: float, y: float, z: float) -> Pose:
        pitch = PITCH if self.options.pitch is None else self.options.pitch
        return Pose(np.array([x, y, z]), turned(("z", 0.0 if arm == LEFT else math.pi), ("y", pitch)))

    def _pace(self) -> float:
        return 1 / self.whims.uniform(self.habits.tempo, otherwise=1.0)
