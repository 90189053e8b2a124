"""The transfer-cube task: where the cube starts and when it counts as handed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

STAGES = ("untouched", "touched", "lifted", "left touches", "transferred")
"""Names of the published rewards 0 to 4 (ALOHA's simulated TransferCubeTask)."""

CUBE_HEIGHT = 0.05
"""[m] The cube starts slightly above the table, as published, and drops onto it."""


@dataclass(frozen=True)
class Judgement:
    """What the contacts say at one instant.

    Args:
        stage: published reward, 0 to 4: touched by the right hand, lifted, touched by the left, off the table with it.
        holds: the left gripper has the cube between both fingers, the right hand is off and so is the table.
    """

    stage: int
    holds: bool


def sample_cube(seed: int, x: Sequence[float], y: Sequence[float], yaw: Sequence[float]) -> np.ndarray:
    """Draw a start pose: (7,) x y z [m] qw qx qy qz.

    With the published ranges and yaw 0 a seed gives the same cube as `gym_aloha`. Seeds count modulo 2**32.
    """
    rng = np.random.RandomState(seed % 2**32)
    position = rng.uniform([x[0], y[0], CUBE_HEIGHT], [x[1], y[1], CUBE_HEIGHT])
    half = rng.uniform(yaw[0], yaw[1]) / 2
    return np.concatenate([position, [np.cos(half), 0.0, 0.0, np.sin(half)]])


class TransferCubeJudge:
    """Reads the contacts of the cube."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._cube = model.geom("red_box").id
        self._table = model.geom("table").id
        self._left = [model.geom(f"vx300s_left/10_{side}_gripper_finger").id for side in ("left", "right")]
        self._right = [model.geom(f"vx300s_right/10_{side}_gripper_finger").id for side in ("left", "right")]

    def judge(self, data: mujoco.MjData) -> Judgement:
        """Judge the present contacts."""
        touching = set()
        for first, second in data.contact.geom:
            if first == self._cube:
                touching.add(int(second))
            elif second == self._cube:
                touching.add(int(first))
        off_table = self._table not in touching
        stage = 0
        if self._right[1] in touching:  # the published code looks at one finger of either hand
            stage = 2 if off_table else 1
        if self._left[0] in touching:
            stage = 4 if off_table else 3
        grasped = all(finger in touching for finger in self._left)
        released = not any(finger in touching for finger in self._right)
        return Judgement(stage, grasped and released and off_table)
