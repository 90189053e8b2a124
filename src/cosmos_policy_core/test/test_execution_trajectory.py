"""Up-sampling: through every action, continuous up to the acceleration, at rest in the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_policy_core.execution import Spline, brake, plan_chunk
from cosmos_policy_core.execution.trajectory import Motion

PERIOD = 0.04
VELOCITY = np.array([np.pi, np.pi, 3.0])


def chunk_of(seed: int, length: int, stride: float = 0.05) -> np.ndarray:
    """A random walk of actions, [length, 3]."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(length, 3)) * stride, axis=0)


def motion_of(seed: int, near: np.ndarray) -> Motion:
    """A moving start close to the first action."""
    draw = np.random.default_rng(seed)
    return Motion(near + draw.normal(size=3) * 0.02, draw.normal(size=3) * 0.3, draw.normal(size=3) * 3.0)


def jumps(spline: Spline) -> list[float]:
    """Largest discontinuity of position, velocity and acceleration at any inner knot."""
    sides = [(spline.motion(t - 1e-9), spline.motion(t + 1e-9)) for t in spline.knots[1:-1]]
    return [max(float(np.abs(a[order] - b[order]).max()) for a, b in sides) for order in range(3)]


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_every_action_is_reached_one_period_after_the_other(length: int) -> None:
    actions = chunk_of(1, length)
    start = Motion(actions[0], np.zeros(3), np.zeros(3))
    plan = plan_chunk(start, actions, PERIOD, VELOCITY)
    assert plan.action_times == pytest.approx([PERIOD * (k + 1) for k in range(length)])
    reached = [plan.spline.motion(time).position for time in plan.action_times]
    np.testing.assert_allclose(reached, actions, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 60))
def test_position_velocity_and_acceleration_never_jump(seed: int, length: int) -> None:
    actions = chunk_of(seed, length)
    start = motion_of(seed, actions[0])
    spline = plan_chunk(start, actions, PERIOD, VELOCITY).spline
    for is_, was in zip(spline.motion(0.0), start, strict=True):
        np.testing.assert_allclose(is_, was, atol=1e-9)
    position, velocity, acceleration = jumps(spline)
    assert position < 1e-6 and velocity < 1e-5 and acceleration < 1e-2


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 60))
def test_the_last_action_is_a_resting_point(seed: int, length: int) -> None:
    actions = chunk_of(seed, length)
    spline = plan_chunk(motion_of(seed, actions[0]), actions, PERIOD, VELOCITY).spline
    end = spline.motion(spline.duration - 1e-9)
    np.testing.assert_allclose(end.position, actions[-1], atol=1e-6)
    np.testing.assert_allclose(end.velocity, 0.0, atol=1e-5)
    np.testing.assert_allclose(end.acceleration, 0.0, atol=1e-2)
    np.testing.assert_array_equal(
        spline.motion(spline.duration + 5.0).position, spline.motion(spline.duration).position
    )


def test_a_constant_speed_stays_a_constant_speed_between_the_ends() -> None:
    actions = np.outer(np.arange(1, 51), [0.02, -0.01, 0.0])
    start = Motion(np.zeros(3), actions[0] / PERIOD, np.zeros(3))
    spline = plan_chunk(start, actions, PERIOD, VELOCITY).spline
    for time in np.linspace(0.0, 1.6, 100):
        np.testing.assert_allclose(spline.motion(float(time)).position, actions[0] / PERIOD * time, atol=1e-6)


def test_a_far_first_action_is_approached_by_a_ramp_below_the_velocity_limit() -> None:
    actions = np.tile([0.3, -0.2, 0.5], (50, 1))
    start = Motion(np.zeros(3), np.zeros(3), np.zeros(3))
    plan = plan_chunk(start, actions, PERIOD, VELOCITY)
    speeds = [np.abs(plan.spline.motion(float(t)).velocity) for t in np.linspace(0.0, plan.spline.duration, 2000)]
    assert np.all(np.max(speeds, axis=0) <= VELOCITY)
    assert plan.action_times[0] > PERIOD
    assert np.diff(plan.action_times) == pytest.approx([PERIOD] * 49)


def test_braking_comes_to_rest_without_turning_back() -> None:
    start = Motion(np.array([0.1, 0.2, 0.3]), np.array([1.0, -2.0, 0.0]), np.zeros(3))
    spline = brake(start, 0.08)
    positions = np.array([spline.motion(float(t)).position for t in np.linspace(0.0, 0.08, 50)])
    assert np.all(np.diff(positions[:, 0]) >= 0) and np.all(np.diff(positions[:, 1]) <= 0)
    np.testing.assert_allclose(positions[-1] - start.position, start.velocity * 0.04, atol=1e-12)
    np.testing.assert_allclose(spline.motion(0.08 - 1e-9).velocity, 0.0, atol=1e-6)
