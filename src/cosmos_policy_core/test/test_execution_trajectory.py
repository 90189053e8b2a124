"""Up-sampling: through every action, continuous up to the acceleration, at rest in the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_policy_core.execution import Bounds, brake, plan_chunk
from cosmos_policy_core.execution.handover import Course, due_position
from cosmos_policy_core.execution.trajectory import Motion

PERIOD = 0.04
VELOCITY = np.array([np.pi, np.pi, 3.0])
BOUNDS = Bounds(PERIOD, VELOCITY, VELOCITY / 0.2)


def chunk_of(seed: int, length: int, stride: float = 0.05) -> np.ndarray:
    """A random walk of actions, [length, 3]."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(length, 3)) * stride, axis=0)


def motion_of(seed: int, near: np.ndarray) -> Motion:
    """A moving start close to the first action."""
    draw = np.random.default_rng(seed)
    return Motion(near + draw.normal(size=3) * 0.02, draw.normal(size=3) * 0.3, draw.normal(size=3) * 3.0)


def jumps(course: Course) -> list[float]:
    """Largest discontinuity of position, velocity and acceleration at any inner knot and where a blend ends."""
    knots = [t for t in (*(course.spline.knots[1:-1] - course.lead), *course.correction.time) if t > 1e-6]
    sides = [(course.motion(t - 1e-9), course.motion(t + 1e-9)) for t in knots]
    return [max(float(np.abs(a[order] - b[order]).max()) for a, b in sides) for order in range(3)]


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_every_action_is_due_one_period_after_the_other_and_reached_once_the_blend_is_over(length: int) -> None:
    actions = chunk_of(1, length, stride=0.005)
    plan = plan_chunk(Motion(actions[0], np.zeros(3), np.zeros(3)), actions, BOUNDS)
    assert plan.action_times == pytest.approx([PERIOD * (k + 1) for k in range(length)])
    late = [k for k, time in enumerate(plan.action_times) if time >= plan.blend]
    assert len(late) >= length - 5
    for k in late:
        np.testing.assert_allclose(plan.course.motion(plan.action_times[k]).position, actions[k], atol=1e-9)
    np.testing.assert_allclose(plan.course.motion(plan.course.duration + 1.0).position, actions[-1], atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 60), elapsed=st.floats(0.0, 2.4))
def test_position_velocity_and_acceleration_never_jump(seed: int, length: int, elapsed: float) -> None:
    actions = chunk_of(seed, length)
    elapsed = min(elapsed, PERIOD * (length - 0.5))
    start = motion_of(seed, actions[int(elapsed / PERIOD)])
    plan = plan_chunk(start, actions, BOUNDS, elapsed, at_rest=False)
    for is_, was in zip(plan.course.motion(0.0), start, strict=True):
        np.testing.assert_allclose(is_, was, atol=1e-9)
    position, velocity, acceleration = jumps(plan.course)
    assert position < 1e-6 and velocity < 1e-5 and acceleration < 1e-2


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 60))
def test_the_last_action_is_a_resting_point(seed: int, length: int) -> None:
    actions = chunk_of(seed, length)
    course = plan_chunk(motion_of(seed, actions[0]), actions, BOUNDS).course
    end = course.motion(course.duration - 1e-9)
    np.testing.assert_allclose(end.position, actions[-1], atol=1e-6)
    np.testing.assert_allclose(end.velocity, 0.0, atol=1e-5)
    np.testing.assert_allclose(end.acceleration, 0.0, atol=1e-2)
    out = np.empty(3)
    np.testing.assert_allclose(course.position(course.duration + 5.0, out), actions[-1], atol=1e-9)


@pytest.mark.parametrize("elapsed", [0.0, 0.33, 1.0])
def test_a_motion_that_the_chunk_continues_is_not_touched(elapsed: float) -> None:
    speed = np.array([0.5, -0.25, 0.0])
    actions = np.outer(PERIOD * np.arange(1, 51), speed)
    start = Motion(speed * elapsed, speed, np.zeros(3))
    plan = plan_chunk(start, actions, BOUNDS, elapsed, at_rest=False)
    assert plan.blend == 0.0 and plan.dropped == int(elapsed / PERIOD + 1e-6)
    for time in np.linspace(0.0, 1.6 - elapsed, 50):
        np.testing.assert_allclose(plan.course.motion(float(time)).position, speed * (elapsed + time), atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), elapsed=st.floats(0.0, 1.5))
def test_a_take_over_adds_no_more_acceleration_than_allowed(seed: int, elapsed: float) -> None:
    actions = chunk_of(seed, 50, stride=0.01)
    start = motion_of(seed, due_position(actions, elapsed, PERIOD))
    course = plan_chunk(start, actions, BOUNDS, elapsed, at_rest=False).course
    times = np.linspace(0.0, course.blend_time, 200)
    chunk_alone = course.spline.sample(times + course.lead).acceleration
    at_start = np.abs(start.acceleration) + np.abs(chunk_alone[0])
    added = np.abs(course.accelerations(times) - chunk_alone).max(axis=0)
    assert np.all(added <= 1.1 * np.maximum(BOUNDS.acceleration, at_start))


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 3.0])
def test_a_chunk_that_ends_in_full_motion_slows_down_over_its_last_actions(speed: float) -> None:
    actions = np.outer(PERIOD * np.arange(1, 51), [speed, -speed / 2, 0.0])
    start = Motion(np.zeros(3), actions[0] / PERIOD, np.zeros(3))
    plan = plan_chunk(start, actions, BOUNDS, at_rest=False)
    times = np.linspace(0.0, plan.course.duration, 2000)
    assert np.abs(plan.course.accelerations(times)).max() <= 2.0 * BOUNDS.acceleration[0]
    positions = np.array([plan.course.motion(float(t)).position[0] for t in times])
    assert np.all(np.diff(positions) >= -1e-9) and positions[-1] == pytest.approx(actions[-1, 0])
    assert plan.action_times[-6] == pytest.approx(45 * PERIOD)
    assert plan.action_times[-1] <= 54 * PERIOD


def test_a_far_first_action_is_approached_by_a_ramp_below_the_velocity_limit() -> None:
    actions = np.tile([0.3, -0.2, 0.5], (50, 1))
    start = Motion(np.zeros(3), np.zeros(3), np.zeros(3))
    plan = plan_chunk(start, actions, BOUNDS)
    speeds = [np.abs(plan.course.motion(float(t)).velocity) for t in np.linspace(0.0, plan.course.duration, 2000)]
    assert np.all(np.max(speeds, axis=0) <= VELOCITY)
    assert plan.action_times[0] > PERIOD and plan.blend == 0.0
    assert np.diff(plan.action_times) == pytest.approx([PERIOD] * 49)


def test_braking_comes_to_rest_without_turning_back() -> None:
    start = Motion(np.array([0.1, 0.2, 0.3]), np.array([1.0, -2.0, 0.0]), np.zeros(3))
    spline = brake(start, 0.08)
    positions = np.array([spline.motion(float(t)).position for t in np.linspace(0.0, 0.08, 50)])
    assert np.all(np.diff(positions[:, 0]) >= 0) and np.all(np.diff(positions[:, 1]) <= 0)
    np.testing.assert_allclose(positions[-1] - start.position, start.velocity * 0.04, atol=1e-12)
    np.testing.assert_allclose(spline.motion(0.08 - 1e-9).velocity, 0.0, atol=1e-6)
