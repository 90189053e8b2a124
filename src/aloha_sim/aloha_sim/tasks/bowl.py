"""The bowl on the table, and what lies in it."""

from __future__ import annotations

import mujoco
import numpy as np

BOWL = np.array([0.0, 0.64])
HALF, WALL, RIM = 0.075, 0.005, 0.03
"""[m] Of the bowl: centre in the table frame, half its inner width, half its wall's thickness, height of the rim."""

LIFTED = 0.045
"""[m] A candy whose middle is higher than this has left the table."""

STACKED = 0.075
"""[m] A candy over the bowl whose middle is lower than this lies in it, on the floor or on the other candy."""


def add_bowl(spec: mujoco.MjSpec) -> None:
    """Put the bowl into a scene."""
    body = spec.worldbody.add_body(name="bowl", pos=[*BOWL, 0])
    walls = [((0.0, 0.0, 0.002), (HALF, HALF, 0.002))]
    for sign in (-1, 1):
        walls.append(((sign * (HALF + WALL), 0.0, RIM / 2), (WALL, HALF + 2 * WALL, RIM / 2)))
        walls.append(((0.0, sign * (HALF + WALL), RIM / 2), (HALF, WALL, RIM / 2)))
    for index, (position, size) in enumerate(walls):
        body.add_geom(
            name=f"bowl_{index}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=position,
            size=size,
            rgba=(0.75, 0.78, 0.85, 1.0) if index else (0.55, 0.58, 0.65, 1.0),
        )


def within_bowl(positions: np.ndarray) -> np.ndarray:
    """Tell of positions (..., 3) [m] which lie in the bowl, or are held just above its floor: (...) bool."""
    return (np.abs(positions[..., :2] - BOWL) < HALF).all(axis=-1) & (positions[..., 2] < STACKED)
