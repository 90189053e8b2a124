"""Forward kinematics of a description, for one posture or for many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from cosmos_policy_core.geometry.rotations import Array, about
from cosmos_policy_core.geometry.urdf import Joint, RobotDescription


def link_poses(
    robot: RobotDescription, positions: Mapping[str, ArrayLike], links: Sequence[str] | None = None
) -> dict[str, Array]:
    """Return where links are, seen from the root.

    Args:
        positions: joint positions by name, each (...) [rad or m]; joints that are not named are at 0.
        links: the links that are wanted; None: all.

    Returns:
        (..., 4, 4) by link.

    Raises:
        DescriptionError: there is no such link.
    """
    shape = np.broadcast_shapes(*(np.shape(value) for value in positions.values()))
    poses: dict[str, Array] = {robot.root: np.broadcast_to(np.eye(4), (*shape, 4, 4))}
    wanted = robot.joints if links is None else [joint for link in links for joint in robot.chain(link)]
    for joint in wanted:
        if joint.child not in poses:
            poses[joint.child] = poses[joint.parent] @ joint.origin @ _motion(joint, positions)
    return poses if links is None else {link: poses[link] for link in links}


def _motion(joint: Joint, positions: Mapping[str, ArrayLike]) -> Array:
    if not joint.moves:
        return np.eye(4)
    if joint.mimic is not None and joint.name not in positions:
        followed = np.asarray(positions.get(joint.mimic.joint, 0.0), dtype=np.float64)
        position = joint.mimic.multiplier * followed + joint.mimic.offset
    else:
        position = np.asarray(positions.get(joint.name, 0.0), dtype=np.float64)
    motion = np.broadcast_to(np.eye(4), (*np.shape(position), 4, 4)).copy()
    if joint.kind == "prismatic":
        motion[..., :3, 3] = position[..., None] * joint.axis
    else:
        motion[..., :3, :3] = about(joint.axis, position)
    return motion
