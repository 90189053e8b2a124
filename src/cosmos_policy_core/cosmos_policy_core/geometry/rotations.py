"""Rotations as viewers, URDF and messages write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def transform(xyz: Sequence[float] = (0, 0, 0), rpy: Sequence[float] = (0, 0, 0)) -> Array:
    """Return (4, 4) of a URDF origin: fixed-axis roll, pitch, yaw [rad], then a shift [m]."""
    roll, pitch, yaw = rpy
    matrix = np.eye(4)
    for axis, angle in (((0, 0, 1), yaw), ((0, 1, 0), pitch), ((1, 0, 0), roll)):
        matrix[:3, :3] = matrix[:3, :3] @ about(np.asarray(axis, dtype=np.float64), np.asarray(angle))
    matrix[:3, 3] = xyz
    return matrix


def about(axis: Array, angles: NDArray[np.floating]) -> Array:
    """Return (..., 3, 3) rotations about a unit axis (3,) by angles (...) [rad] (Rodrigues' formula)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, rest = np.sin(angles)[..., None, None], 1.0 - np.cos(angles)[..., None, None]
    return np.asarray(np.eye(3) + sine * cross + rest * (cross @ cross))


def quaternion(rotation: Array) -> Array:
    """Return (4,) w x y z of a (3, 3) rotation."""
    # The largest of the four numbers comes from the diagonal, the others from it: never a division by nearly zero.
    r = rotation
    squares = 1.0 + np.array(
        [np.trace(r), r[0, 0] - r[1, 1] - r[2, 2], r[1, 1] - r[0, 0] - r[2, 2], r[2, 2] - r[0, 0] - r[1, 1]]
    )
    largest = int(np.argmax(squares))
    symmetric, skew = r + r.T, r - r.T
    w = (skew[2, 1], skew[0, 2], skew[1, 0])
    rows = (
        (squares[0], *w),
        (w[0], squares[1], symmetric[0, 1], symmetric[0, 2]),
        (w[1], symmetric[0, 1], squares[2], symmetric[1, 2]),
        (w[2], symmetric[0, 2], symmetric[1, 2], squares[3]),
    )
    return np.asarray(rows[largest]) / (2.0 * np.sqrt(squares[largest]))
