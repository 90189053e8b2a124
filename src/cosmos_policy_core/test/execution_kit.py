"""A small robot for the executor's tests: two arms of two joints and a gripper each, at 25 Hz and 50 Hz."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.execution import ActionSpace, ArmChannel, Chunk, ChunkExecutor, ExecutorSettings, JointStates

Vector = NDArray[np.float64]

ARMS = ("left", "right")
JOINTS = ("waist", "elbow", "gripper")
NAMES = tuple(f"{arm}/{joint}" for arm in ARMS for joint in JOINTS)
SETTINGS = ExecutorSettings(
    joint_names=NAMES,
    arm_names=ARMS,
    lower=np.array([-3.0, -1.5, 0.0] * 2),
    upper=np.array([3.0, 1.5, 1.0] * 2),
    velocity=np.array([3.0, 3.0, 2.0] * 2),
    limit_tolerance=np.array([0.25, 0.25, 0.5] * 2),
    grippers=(2, 5),
    start_distance=0.35,
    period=0.04,
    horizon=50,
    executed_steps=50,
    command_period=0.02,
    state_timeout=0.12,
)
TICK = SETTINGS.command_period


def space() -> ActionSpace:
    """The gripper's motor turns 2 rad per stroke, from -0.6 rad."""
    scale, offset = np.array([1.0, 1.0, 2.0]), np.array([0.0, 0.0, -0.6])
    return ActionSpace(
        tuple(ArmChannel(arm, slice(3 * i, 3 * i + 3), JOINTS, scale, offset) for i, arm in enumerate(ARMS)), 6
    )


def chunk(actions: Vector, stamp: float = 1.0, **changes: object) -> Chunk:
    """A good chunk, but for what the test changes."""
    good = Chunk(NAMES, SETTINGS.period, SETTINGS.horizon, np.asarray(actions, dtype=np.float64).reshape(-1), stamp)
    return replace(good, **changes)  # type: ignore[arg-type]


def walk(seed: int, start: Vector, stride: float = 0.03) -> Vector:
    """A random walk of 50 actions inside the limits, from a start."""
    steps = np.random.default_rng(seed).normal(size=(SETTINGS.horizon, 6)) * stride
    return np.clip(start + np.cumsum(steps, axis=0), SETTINGS.lower, SETTINGS.upper)


class Rig:
    """An executor whose perfect arms stand where the last command was."""

    def __init__(self, pose: Vector | None = None, settings: ExecutorSettings = SETTINGS) -> None:
        self.executor = ChunkExecutor(settings)
        self.space = space()
        self.states = JointStates(self.space)
        self.now = 1.0
        self.pose = np.array([0.1, 0.2, 0.5] * 2) if pose is None else np.array(pose, dtype=np.float64)
        self.commands: list[Vector] = []
        self.report()

    def report(self, pose: Vector | None = None) -> None:
        """Let both arms publish a pose now."""
        for index, arm in enumerate(self.space.arms):
            values = np.empty(3)
            arm.write_command(self.pose if pose is None else pose, values)
            self.states.update(index, self.now, JOINTS, values)

    def tick(self, elapsed: float = TICK, silent_arms: bool = False) -> Vector | None:
        """Let time pass and tick once."""
        self.now += elapsed
        if not silent_arms:
            self.report()
        command = self.executor.tick(self.now, self.states)
        if command is None:
            return None
        self.pose = command.copy()
        self.commands.append(self.pose)
        return self.pose

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.tick()

    def start(self, actions: Vector, **options: object):  # type: ignore[no-untyped-def]
        return self.executor.start(chunk(actions, self.now), self.now, self.states, **options)  # type: ignore[arg-type]
