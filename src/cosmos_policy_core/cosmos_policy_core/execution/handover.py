"""Taking over: from what is commanded now onto the trajectory of a chunk, in time and without a jolt."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.execution.trajectory import Matrix, Motion, Spline, Vector, through

# Peak velocity and acceleration of a rest-to-rest quintic, as multiples of distance / time and distance / time^2.
QUINTIC_PEAK = 15.0 / 8.0
QUINTIC_ACCELERATION = 10.0 / math.sqrt(3.0)
# Part of the velocity limit that arms at rest may use in one period to reach the first action without a ramp.
FREE_CORRECTION = 0.4
# Lengths of the blend that are tried, in periods; the shortest that keeps velocity and acceleration in bounds is taken.
BLEND_PERIODS = np.arange(1, 26)
SAMPLES = 12  # per length
NEGLIGIBLE = 1e-9  # no difference, but rounding
# Quintics in s on [0, 1] with value, slope or curvature 1 at the start and nothing else at either end; s^5 first.
DECAYS = np.array([[-6.0, 15.0, -10.0, 0.0, 0.0, 1.0], [-3.0, 8.0, -6.0, 0.0, 1.0, 0.0], [-0.5, 1.5, -1.5, 0.5, 0, 0]])


class Bounds(NamedTuple):
    """What a take-over must respect."""

    period: float  # between two actions [s]
    velocity: Vector  # (A,) limits [1/s]
    acceleration: Vector  # (A,) that a take-over may add to the chunk's own [1/s^2]


class Correction:
    """The difference between what is commanded and the chunk, fading out with continuous acceleration.

    Args:
        gap: commanded motion minus the chunk's at the take-over.
        time: (A,) until the difference is gone [s].
    """

    def __init__(self, gap: Motion, time: Vector) -> None:
        self.time = time
        scaled = (gap.position, gap.velocity * time, gap.acceleration * time**2)
        self._rows = np.stack([sum(w * part for w, part in zip(column, scaled, strict=True)) for column in DECAYS.T])
        self._s = np.empty_like(time)
        self._value = np.empty_like(time)

    def add(self, time: float, out: Vector) -> None:
        """Add the (A,) difference that is left to `out`."""
        np.divide(time, self.time, out=self._s)
        np.minimum(self._s, 1.0, out=self._s)
        self._value[:] = self._rows[0]
        for row in self._rows[1:]:
            np.multiply(self._value, self._s, out=self._value)
            np.add(self._value, row, out=self._value)
        np.add(out, self._value, out=out)

    def motion(self, times: Vector) -> Motion:
        """Evaluate [T, A] position, velocity and acceleration of the difference."""
        s = np.minimum(np.asarray(times)[:, None] / self.time, 1.0)
        powers = np.arange(5, 0, -1.0)[:, None]
        first = self._rows[:-1] * powers
        second = first[:-1] * (powers[:-1] - 1.0)
        return Motion(_horner(self._rows, s), _horner(first, s) / self.time, _horner(second, s) / self.time**2)


class Course:
    """A spline entered at `lead` seconds, plus a correction that fades out."""

    def __init__(self, spline: Spline, lead: float, correction: Correction) -> None:
        self.spline, self.lead, self.correction = spline, lead, correction
        self.blend_time = float(correction.time.max())
        self.duration = max(spline.duration - lead, self.blend_time)

    def position(self, time: float, out: Vector) -> Vector:
        """Evaluate the (A,) position into `out`; after the end it stays."""
        self.spline.position(time + self.lead, out)
        if time < self.blend_time:
            self.correction.add(time, out)
        return out

    def motion(self, time: float) -> Motion:
        """Evaluate position, velocity and acceleration; at rest after the end."""
        own, extra = self.spline.motion(time + self.lead), self.correction.motion(np.array([time]))
        return Motion(*(a + b[0] for a, b in zip(own, extra, strict=True)))

    def accelerations(self, times: Vector) -> Matrix:
        """Evaluate [T, A] accelerations."""
        return self.spline.sample(times + self.lead).acceleration + self.correction.motion(times).acceleration


class ChunkPlan(NamedTuple):
    """A trajectory through the actions of a chunk and the time at which each is reached."""

    course: Course
    action_times: list[float]  # [s] since the start, increasing; of the actions that were not dropped
    dropped: int
    seam: float  # [s] that the take-over lasts, ramp or blend
    blend: float  # [s] that the blend lasts; 0 where there is none


def plan_chunk(start: Motion, actions: Matrix, bounds: Bounds, elapsed: float = 0.0, at_rest: bool = True) -> ChunkPlan:
    """Lay a C2 trajectory from the current motion into a chunk and through the rest of it, ending at rest.

    Action k is due k + 1 periods after the chunk's observation; what is due by now is dropped. The difference between
    the current motion and the chunk's fades out as fast as `bounds` allow, while the chunk goes on in time. Only arms
    at rest and far from the next action get a quintic ramp in front, which delays the chunk. A chunk that ends in full
    motion slows down over its last actions.

    Args:
        start: what is being commanded now.
        actions: [K, A] absolute targets.
        elapsed: time that counts since the observation [s], less than K periods.
        at_rest: the arms stand still.
    """
    period, dropped = bounds.period, steps_passed(elapsed, bounds.period)
    kept, lead = actions[dropped:], max(elapsed - dropped * period, 0.0)
    ramp = _ramp(start, kept, bounds) if at_rest else kept[:0]
    if len(ramp):
        points = np.concatenate([start.position[None], ramp, kept])
        times = _times(points, bounds)
        course = Course(through(times, points, start), 0.0, Correction(_none(start), np.full(len(kept[0]), period)))
        return ChunkPlan(course, [float(t) for t in times[1 + len(ramp) :]], dropped, float(times[1 + len(ramp)]), 0.0)
    before = actions[dropped - 1] if dropped else 2.0 * kept[0] - kept[min(1, len(kept) - 1)]
    points = np.concatenate([before[None], kept])
    times = _times(points, bounds)
    speed = (points[1] - points[0]) / period
    spline = through(times, points, Motion(before, speed, np.zeros_like(speed)))
    own = spline.motion(lead)
    gap = Motion(*(now - then for now, then in zip(start, own, strict=True)))
    course = Course(spline, lead, Correction(gap, _blend_times(gap, start, spline, lead, bounds)))
    blend = course.blend_time if max(float(np.abs(part).max()) for part in gap) > NEGLIGIBLE else 0.0
    return ChunkPlan(course, [float(t) - lead for t in times[1:]], dropped, max(blend, period), blend)


def steps_passed(elapsed: float, period: float) -> int:
    """How many actions are due by `elapsed` seconds after their observation."""
    return int(elapsed / period + 1e-6)


def due_position(actions: Matrix, elapsed: float, period: float) -> Vector:
    """Where the chunk wants the arms `elapsed` seconds after its observation: (A,), between two actions."""
    dropped = steps_passed(elapsed, period)
    after = actions[min(dropped, len(actions) - 1)]
    before = actions[dropped - 1] if dropped else after
    return np.asarray(before + (after - before) * (elapsed / period - dropped))


def _times(points: Matrix, bounds: Bounds) -> Vector:
    """When each point is due [s]: one period after the other, but for those over which a fast end slows down to rest.

    The speed along the path falls evenly to zero over the last n intervals, which then take 2 n periods.
    """
    times = np.arange(len(points), dtype=np.float64)
    stop = float(np.max(np.abs(points[-1] - points[-2]) / bounds.acceleration)) / bounds.period**2
    if 1.5 * stop > 1.0:  # a cubic's peak when it stops within one period
        n = min(math.ceil(stop / 2.0), len(points) - 1)
        times[-n:] = times[-n - 1] + 2 * n * (1.0 - np.sqrt(1.0 - np.arange(1, n + 1) / n))
    return bounds.period * times


def _blend_times(gap: Motion, start: Motion, spline: Spline, lead: float, bounds: Bounds) -> Vector:
    """Choose the shortest (A,) blend that adds no more acceleration than allowed and stays below the velocity limits.

    A chunk that is itself too fast, or that begins while the arms are too fast, is not held against the blend.
    """
    times = np.full_like(gap.position, bounds.period * BLEND_PERIODS[-1])
    open_ = np.ones(len(times), dtype=bool)
    for length in bounds.period * BLEND_PERIODS:
        moments = np.linspace(0.0, length, SAMPLES)
        own = spline.sample(moments + lead).velocity
        extra = Correction(gap, np.full_like(times, length)).motion(moments)
        allowed = np.maximum(np.maximum(np.abs(own), np.abs(start.velocity)), bounds.velocity)
        slow = (np.abs(own + extra.velocity) <= allowed + 1e-9).all(axis=0)
        calm = np.abs(extra.acceleration).max(axis=0) <= np.maximum(bounds.acceleration, np.abs(gap.acceleration))
        fits = open_ & slow & calm
        times[fits] = length
        open_ &= ~fits
        if not open_.any():
            break
    return times


def _ramp(start: Motion, actions: Matrix, bounds: Bounds) -> Matrix:
    """Via points of a quintic from the current motion to the first action; none when it is close enough."""
    period, velocity = bounds.period, bounds.velocity
    gap = np.abs(actions[0] - start.position - start.velocity * period)
    strides = float(np.max(gap / (velocity * period)))
    if strides <= FREE_CORRECTION:
        return np.empty((0, actions.shape[1]))
    calm = float(np.max(np.sqrt(QUINTIC_ACCELERATION * gap / bounds.acceleration))) / period
    count = 1 + math.ceil(max(QUINTIC_PEAK * strides, calm))
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


def _none(like: Motion) -> Motion:
    return Motion(*(np.zeros_like(part) for part in like))


def _horner(rows: NDArray[np.float64], s: Matrix) -> Matrix:
    value = np.broadcast_to(rows[0], s.shape).copy()
    for row in rows[1:]:
        value *= s
        value += row
    return value
