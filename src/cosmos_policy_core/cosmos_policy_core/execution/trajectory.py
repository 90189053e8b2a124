"""From a chunk at the policy rate to a C2 trajectory that can be evaluated at any time."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Peak speed over mean speed of a rest-to-rest quintic.
QUINTIC_PEAK = 15.0 / 8.0
# Part of the velocity limit that a correction towards the first action may use without being stretched into a ramp.
FREE_CORRECTION = 0.4


class Motion(NamedTuple):
    """Position, velocity and acceleration of all joints, each (A,)."""

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

    def _locate(self, time: float) -> tuple[int, float]:
        time = min(max(time, 0.0), self.duration)
        segment = max(bisect_right(self._starts, time) - 1, 0)
        return segment, time - self._starts[segment]


class ChunkPlan(NamedTuple):
    """A spline through the actions of a chunk and the time at which each is reached."""

    spline: Spline
    action_times: list[float]  # [s] since the start, increasing


def plan_chunk(start: Motion, actions: Matrix, period: float, velocity: Vector) -> ChunkPlan:
    """Lay a C2 trajectory from the current motion through every action, ending at rest.

    Action k is reached (k + 1) periods after the start, as if the motion so far were the action before. When the first
    action asks for more than a small correction, a quintic ramp is put in front, long enough for the velocity limits.

    Args:
        start: what is being commanded now.
        actions: [K, A] absolute targets, K at least 1.
        period: between two actions [s].
        velocity: (A,) limits [1/s].
    """
    ramp = _ramp(start, actions, period, velocity)
    points = np.concatenate([start.position[None], ramp, actions])
    times = period * np.arange(len(points), dtype=np.float64)
    return ChunkPlan(through(times, points, start), [float(t) for t in times[1 + len(ramp) :]])


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


def _ramp(start: Motion, actions: Matrix, period: float, velocity: Vector) -> Matrix:
    """Via points of a quintic from the current motion to the first action; none when it is close enough."""
    gap = np.abs(actions[0] - start.position - start.velocity * period)
    strides = float(np.max(gap / (velocity * period)))
    if strides <= FREE_CORRECTION:
        return np.empty((0, actions.shape[1]))
    count = 1 + math.ceil(QUINTIC_PEAK * strides)
    arrival = (actions[1] - actions[0]) / period if len(actions) > 1 else np.zeros_like(actions[0])
    arrival = np.clip(arrival, -0.5 * velocity, 0.5 * velocity)
    time = count * period
    s = (np.arange(1, count, dtype=np.float64) / count)[:, None]
    v, a, w = start.velocity * time, start.acceleration * time**2, arrival * time
    d = actions[0] - start.position
    cubic = 10 * d - 6 * v - 1.5 * a - 4 * w
    quartic = -15 * d + 8 * v + 1.5 * a + 7 * w
    quintic = 6 * d - 3 * v - 0.5 * a - 3 * w
    return np.asarray(start.position + s * (v + s * (a / 2 + s * (cubic + s * (quartic + s * quintic)))))


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


def _horner(coefficients: NDArray[np.float64], segment: int, time: float, out: Vector) -> Vector:
    rows = coefficients[segment]
    out[:] = rows[0]
    for row in rows[1:]:
        np.multiply(out, time, out=out)
        np.add(out, row, out=out)
    return out
