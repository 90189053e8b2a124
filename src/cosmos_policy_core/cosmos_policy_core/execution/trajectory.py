"""Splines with continuous acceleration: through the actions of a chunk, or to rest."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Motion(NamedTuple):
    """Position, velocity and acceleration of all joints, each (A,), or [T, A] of T moments."""

    position: Vector
    velocity: Vector
    acceleration: Vector


class Spline:
    """Piecewise polynomials over time that start at 0 and rest after the last knot.

    `coefficients` is [segments, degree + 1, A], highest power first, in time since the segment's start [s].
    """

    def __init__(self, knots: Vector, coefficients: NDArray[np.float64]) -> None:
        self.knots = knots
        self.duration = float(knots[-1])
        self._starts = [float(t) for t in knots[:-1]]
        self._coefficients = coefficients
        powers = np.arange(coefficients.shape[1] - 1, 0, -1, dtype=np.float64)
        self._first = coefficients[:, :-1] * powers[None, :, None]
        self._second = self._first[:, :-1] * (powers[:-1] - 1.0)[None, :, None]

    def position(self, time: float, out: Vector) -> Vector:
        """Evaluate the (A,) position into `out`; before the start and after the end the ends hold."""
        return _horner(self._coefficients, *self._locate(time), out)

    def motion(self, time: float) -> Motion:
        """Evaluate position, velocity and acceleration; at rest after the end."""
        place = self._locate(time)
        size = self._coefficients.shape[2]
        position = _horner(self._coefficients, *place, np.empty(size))
        if time >= self.duration:
            return Motion(position, np.zeros(size), np.zeros(size))
        return Motion(
            position, _horner(self._first, *place, np.empty(size)), _horner(self._second, *place, np.empty(size))
        )

    def sample(self, times: Vector) -> Motion:
        """Evaluate [T, A] position, velocity and acceleration at many moments; at rest after the end."""
        inside = np.clip(times, 0.0, self.duration)
        segments = np.maximum(np.searchsorted(self._starts, inside, side="right") - 1, 0)
        local = (inside - self.knots[segments])[:, None]
        moving = (np.asarray(times) < self.duration)[:, None]
        position, velocity, acceleration = (
            _polynomial(rows[segments], local) for rows in (self._coefficients, self._first, self._second)
        )
        return Motion(position, velocity * moving, acceleration * moving)

    def _locate(self, time: float) -> tuple[int, float]:
        time = min(max(time, 0.0), self.duration)
        segment = max(bisect_right(self._starts, time) - 1, 0)
        return segment, time - self._starts[segment]


def through(times: Vector, points: Matrix, start: Motion) -> Spline:
    """Interpolate points by cubics with continuous acceleration, given velocity and acceleration at both ends.

    A cubic spline has two free numbers and the ends ask for four, so one free knot is added inside the first and one
    inside the last interval (Biagiotti and Melchiorri, Trajectory Planning for Automatic Machines and Robots, 2008,
    section 4.4.4). The end is at rest.

    Args:
        times: (N,) increasing, from 0 [s]; N at least 2.
        points: [N, A]; points[0] is start.position.
    """
    first, last = (1 / 3, 2 / 3) if len(times) == 2 else (0.5, 0.5)
    early = times[0] + first * (times[1] - times[0])
    late = times[-2] + last * (times[-1] - times[-2])
    knots = np.concatenate([times[:1], [early], times[1:-1], [late], times[-1:]])
    values = np.concatenate([points[:1], points[:1], points[1:-1], points[-1:], points[-1:]]).astype(np.float64)
    h = np.diff(knots)
    # Position of a free knot = what the end conditions fix + (h^2 / 6) * its own acceleration.
    values[1] = start.position + h[0] * start.velocity + h[0] ** 2 / 3.0 * start.acceleration
    accelerations = _accelerations(h, values, start.acceleration)
    values[1] += h[0] ** 2 / 6.0 * accelerations[1]
    values[-2] += h[-1] ** 2 / 6.0 * accelerations[-2]
    return Spline(knots, _cubics(h, values, accelerations))


def brake(start: Motion, time: float) -> Spline:
    """Come to rest from any motion in `time` seconds with continuous acceleration, as straight on as possible."""
    v, a = start.velocity * time, start.acceleration * time**2
    # The velocity falls along a cubic Hermite curve; this is its integral in s = t / time.
    in_s = np.stack([v / 2 + a / 4, -v - 2 * a / 3, a / 2, v, start.position])
    coefficients = in_s / (time ** np.arange(4, -1, -1.0))[:, None]
    return Spline(np.array([0.0, time]), coefficients[None])


def _accelerations(h: Vector, values: Matrix, first: Vector) -> Matrix:
    """Solve velocity continuity at the inner knots for their accelerations, [knots, A]."""
    inner = len(h) - 1
    slopes = np.diff(values, axis=0) / h[:, None]
    right = 6.0 * np.diff(slopes, axis=0)
    right[0] -= h[0] * first
    diagonal = 2.0 * (h[:-1] + h[1:])
    upper, lower = h[1:-1].copy(), h[1:-1].copy()
    # The free knots move with their own acceleration, which changes their columns.
    for column, own in ((0, h[0] ** 2), (inner - 1, h[-1] ** 2)):
        diagonal[column] += own * (1.0 / h[column] + 1.0 / h[column + 1])
        if column > 0:
            upper[column - 1] -= own / h[column]
        if column < inner - 1:
            lower[column] -= own / h[column + 1]
    bands = np.zeros((3, inner))
    bands[0, 1:], bands[1], bands[2, :-1] = upper, diagonal, lower
    accelerations = np.zeros((len(h) + 1, values.shape[1]))
    accelerations[0] = first
    accelerations[1:-1] = solve_banded((1, 1), bands, right, check_finite=False)
    return accelerations


def _cubics(h: Vector, values: Matrix, accelerations: Matrix) -> NDArray[np.float64]:
    """Coefficients [segments, 4, A] from positions and accelerations at the knots."""
    width = h[:, None]
    now, then = accelerations[:-1], accelerations[1:]
    jerk = (then - now) / (6.0 * width)
    slope = np.diff(values, axis=0) / width - width * (2.0 * now + then) / 6.0
    return np.stack([jerk, now / 2.0, slope, values[:-1]], axis=1)


def _polynomial(rows: NDArray[np.float64], time: Matrix) -> Matrix:
    """Evaluate [T, A] polynomials whose coefficients are [T, degree + 1, A]."""
    value = rows[:, 0]
    for power in range(1, rows.shape[1]):
        value = value * time + rows[:, power]
    return value


def _horner(coefficients: NDArray[np.float64], segment: int, time: float, out: Vector) -> Vector:
    rows = coefficients[segment]
    out[:] = rows[0]
    for row in rows[1:]:
        np.multiply(out, time, out=out)
        np.add(out, row, out=out)
    return out
