"""Taking over in time: what has passed is dropped, the rest is blended, and no seam is felt."""

from __future__ import annotations

import numpy as np
import pytest
from execution_kit import NAMES, SETTINGS, TICK, Rig, Vector, chunk, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_policy_core.execution import Activity, Mode, Run, Termination

ARM_JOINTS = [index for index, name in enumerate(NAMES) if not name.endswith("gripper")]
ALIGNED = (Mode.OVERLAP, Mode.DEADLINE)


def straight(start: Vector, speed: float = 0.3) -> Vector:
    """Every joint at one speed, [rad/s]; grippers stand still."""
    travel = np.zeros((SETTINGS.horizon, 6))
    travel[:, ARM_JOINTS] = np.arange(1, SETTINGS.horizon + 1)[:, None] * SETTINGS.period * speed
    return np.asarray(start + travel)


def answer(rig: Rig, actions: Vector, stamp: float, mode: Mode, steps: int = 0) -> Run:
    return rig.executor.start(chunk(actions, stamp), rig.now, rig.states, mode=mode, steps=steps)


def wait(rig: Rig, ticks: int, draw: np.random.Generator, jitter: float) -> None:
    for _ in range(ticks):
        rig.tick(TICK * (1.0 + jitter * draw.uniform(-1.0, 1.0)))


def run_to_its_end(rig: Rig, run: Run) -> None:
    for _ in range(500):
        rig.tick()
        if run.outcome is not None:
            return
    raise AssertionError("the chunk did not end")


def moving(speed: float = 0.3) -> Rig:
    """A rig that has executed 20 actions of a straight chunk."""
    rig = Rig()
    rig.tick()
    rig.start(straight(rig.pose, speed))
    rig.ticks(40)
    return rig


@pytest.mark.parametrize("mode", ALIGNED)
@pytest.mark.parametrize("late", [0, 1, 7, 20])
def test_actions_whose_time_has_passed_are_dropped_and_counted(mode: Mode, late: int) -> None:
    rig = moving()
    observed = rig.pose.copy()
    stamp = rig.now
    rig.ticks(2 * late)
    run = answer(rig, straight(observed), stamp, mode)
    assert (run.mode, run.steps_dropped, run.step) == (mode, late, late)
    run_to_its_end(rig, run)
    assert run.outcome is Termination.COMPLETED
    assert run.steps_executed == 50 - late
    np.testing.assert_allclose(rig.pose, straight(observed)[-1], atol=1e-9)


def test_a_plan_that_continues_the_motion_is_not_felt() -> None:
    rig = moving()
    observed, stamp = rig.pose.copy(), rig.now
    rig.ticks(13)
    run = answer(rig, straight(observed), stamp, Mode.OVERLAP)
    assert run.steps_blended == 0 and run.idle == 0.0
    rig.commands.clear()
    rig.ticks(60)
    velocity = np.diff(np.array(rig.commands), axis=0)[:, ARM_JOINTS] / TICK
    np.testing.assert_allclose(velocity, 0.3, atol=1e-6)


def test_a_plan_that_differs_is_blended_in_and_the_blended_steps_are_counted() -> None:
    rig = moving()
    other = straight(rig.pose, 0.2)
    stamp = rig.now
    rig.ticks(20)
    run = answer(rig, other, stamp, Mode.OVERLAP)
    rig.ticks(40)
    assert 2 <= run.steps_blended <= 12
    run_to_its_end(rig, run)
    np.testing.assert_allclose(rig.pose, other[-1], atol=1e-9)


def test_time_at_rest_drops_no_action() -> None:
    rig = moving()
    rig.ticks(80)
    assert rig.executor.activity is Activity.HOLDING
    stamp = rig.now
    rig.ticks(30)
    run = answer(rig, straight(rig.pose), stamp, Mode.OVERLAP)
    assert (run.mode, run.steps_dropped) == (Mode.HOLD, 0)
    assert run.idle == pytest.approx(50 * TICK, abs=2 * TICK)


def test_a_plan_that_comes_after_the_seam_goes_on_where_the_arms_came_to_rest() -> None:
    rig = moving()
    first = straight(rig.pose - 20 * SETTINGS.period * 0.3 * np.isin(np.arange(6), ARM_JOINTS))
    rig.ticks(40)
    observed, stamp = rig.pose.copy(), rig.now
    rig.ticks(50)  # 10 periods of motion are left, then the arms wait
    assert rig.executor.activity is Activity.HOLDING
    plan = np.concatenate([first[40:], np.tile(first[-1], (40, 1))])
    np.testing.assert_allclose(observed, first[39], atol=1e-6)
    run = answer(rig, plan, stamp, Mode.OVERLAP)
    assert run.outcome is None and run.steps_dropped == 10 and run.mode is Mode.HOLD and run.idle > 0.3


def test_a_plan_that_is_over_before_it_comes_is_refused_and_the_motion_goes_on() -> None:
    rig = moving()
    stamp, observed = rig.now, rig.pose.copy()
    rig.ticks(30)
    run = answer(rig, straight(observed), stamp, Mode.OVERLAP, steps=15)
    assert run.outcome is Termination.STALE and "15" in run.message and "Plan in less time" in run.message
    assert rig.executor.run is not None and rig.executor.activity is Activity.RUNNING


def test_what_is_far_from_the_arms_by_now_is_refused() -> None:
    rig = moving()
    stamp, observed = rig.now, rig.pose.copy()
    rig.ticks(20)
    away = straight(observed)
    away[:, 3] -= 1.2 * SETTINGS.start_distance
    run = answer(rig, away, stamp, Mode.OVERLAP)
    assert run.outcome is Termination.TOO_FAR and "right/waist" in run.message


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    when=st.integers(2, 110),
    late=st.integers(0, 60),
    stride=st.sampled_from([0.01, 0.05, 0.2, 0.5]),
    mode=st.sampled_from(list(Mode)),
    jitter=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_no_seam_of_any_two_chunks_steps_above_position_or_velocity_limits(
    seed: int, when: int, late: int, stride: float, mode: Mode, jitter: float
) -> None:
    rig, draw = Rig(), np.random.default_rng(seed)
    before = rig.pose.copy()
    rig.tick()
    rig.start(np.vstack([rig.pose, walk(seed, rig.pose, stride)[:-1]]))
    wait(rig, when, draw, jitter)
    observed, stamp = rig.pose.copy(), rig.now
    wait(rig, late, draw, jitter)
    target = np.clip(observed + draw.uniform(-0.3, 0.3, 6), SETTINGS.lower, SETTINGS.upper)
    run = answer(rig, np.vstack([target, walk(seed + 1, target, stride)[:-1]]), stamp, mode)
    if run.outcome is None:
        run_to_its_end(rig, run)
        assert run.outcome is Termination.COMPLETED
        assert run.steps_dropped + run.steps_executed == 50
        # Counted in ticks: in seconds, 58 ticks divided by a step of two are a rounding error less than 29 steps.
        assert run.steps_dropped * round(SETTINGS.period / TICK) <= late * (1.0 + jitter)
    else:
        assert run.outcome in (Termination.TOO_FAR, Termination.STALE)
        rig.ticks(20)
    path = np.concatenate([before[None], np.array(rig.commands)])
    assert np.all(np.abs(np.diff(path, axis=0)) <= SETTINGS.velocity * TICK + 1e-9)
    assert np.all(path >= SETTINGS.lower - 1e-12) and np.all(path <= SETTINGS.upper + 1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    late=st.integers(0, 50),
    apart=st.floats(0.0, 0.1),
    mode=st.sampled_from(list(Mode)),
)
def test_a_seam_adds_no_more_acceleration_than_the_settings_allow(
    seed: int, late: int, apart: float, mode: Mode
) -> None:
    draw = np.random.default_rng(seed)
    rig = Rig(np.zeros(6) + 0.3)
    rig.tick()
    speeds = draw.uniform(-0.4, 0.4, (2, 6)) * np.isin(np.arange(6), ARM_JOINTS)
    travel = np.arange(1, 51)[:, None] * SETTINGS.period
    rig.start(rig.pose + travel * speeds[0])
    rig.ticks(30)
    observed, stamp = rig.pose.copy(), rig.now
    rig.ticks(late)
    other = observed + draw.uniform(-apart, apart, 6) * np.isin(np.arange(6), ARM_JOINTS) + travel * speeds[1]
    rig.commands = rig.commands[-2:]
    run = answer(rig, other, stamp, mode)
    if run.outcome is not None:
        assert run.outcome is Termination.TOO_FAR
        return
    rig.ticks(45)
    felt = np.abs(np.diff(np.array(rig.commands), n=2, axis=0)).max(axis=0)[ARM_JOINTS] / TICK**2
    assert np.all(felt <= 1.05 * SETTINGS.bounds.acceleration[ARM_JOINTS])
    assert felt.max() <= 1.05 * run.seam_acceleration + 1e-6
