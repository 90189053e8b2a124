"""The executor's state machine, and the promise that no command ever steps above a velocity limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from execution_kit import SETTINGS, TICK, Rig, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import Activity, ExecutorSettings, Termination


def steps_within_limits(rig: Rig, before: np.ndarray, tick: float = TICK) -> None:
    path = np.concatenate([before[None], np.array(rig.commands)])
    assert np.all(np.abs(np.diff(path, axis=0)) <= SETTINGS.velocity * tick + 1e-9)
    assert np.all(path >= SETTINGS.lower - 1e-12) and np.all(path <= SETTINGS.upper + 1e-12)


def test_a_chunk_is_executed_to_its_last_action_and_held() -> None:
    rig = Rig()
    actions = walk(1, rig.pose, stride=0.01)
    run = rig.start(actions)
    rig.ticks(125)
    assert run.outcome is Termination.COMPLETED and run.message == ""
    assert (run.steps_executed, run.steps_clamped) == (50, 0)
    np.testing.assert_allclose(rig.pose, actions[-1], atol=1e-9)
    assert rig.executor.activity is Activity.HOLDING
    held = rig.pose.copy()
    rig.ticks(10)
    np.testing.assert_array_equal(rig.pose, held)


def test_a_held_pose_is_given_up_when_the_arms_were_taken_elsewhere() -> None:
    rig = Rig()
    rig.start(walk(1, rig.pose, stride=0.01))
    rig.ticks(125)
    held = rig.pose.copy()
    rig.pose = held - 0.02
    assert rig.tick() is not None
    rig.pose = held - 1.1 * SETTINGS.start_distance
    assert rig.tick() is None and rig.executor.activity is Activity.SILENT
    assert rig.start(walk(2, rig.pose, stride=0.01)).outcome is None


def test_a_held_pose_is_given_up_when_the_arms_jump_as_only_a_reset_makes_them() -> None:
    rig = Rig()
    rig.start(walk(1, rig.pose, stride=0.01))
    rig.ticks(125)
    assert SETTINGS.start_distance > 0.2 > 2 * SETTINGS.velocity[0] * TICK
    rig.pose = rig.pose + np.array([0.2, 0.0, 0.0] * 2)
    assert rig.tick() is None and rig.executor.activity is Activity.SILENT


def test_every_second_tick_of_a_chunk_is_one_of_its_actions_once_it_has_taken_over() -> None:
    rig = Rig()
    actions = walk(2, rig.pose, stride=0.01)
    rig.tick()
    run = rig.start(actions)
    rig.ticks(100)
    assert 0 < run.steps_blended < 5
    between = slice(run.steps_blended - 1, -3)  # the last ones slow down
    np.testing.assert_allclose(rig.commands[1::2][between], actions[between], atol=1e-6)


def test_only_the_requested_actions_are_executed() -> None:
    rig = Rig()
    actions = walk(3, rig.pose)
    run = rig.start(actions, steps=10)
    rig.ticks(40)
    assert run.outcome is Termination.COMPLETED and run.steps_executed == 10
    np.testing.assert_allclose(rig.pose, actions[9], atol=1e-9)


def test_nothing_is_commanded_before_the_first_chunk() -> None:
    rig = Rig()
    assert rig.tick() is None and rig.executor.activity is Activity.SILENT


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    when=st.integers(0, 120),
    stride=st.sampled_from([0.01, 0.1, 0.5]),
    jitter=st.floats(0.0, 0.9),
)
def test_a_second_goal_replaces_the_first_without_a_step_above_the_velocity_limit(
    seed: int, when: int, stride: float, jitter: float
) -> None:
    rig = Rig()
    before, draw = rig.pose.copy(), np.random.default_rng(seed)
    rig.tick()
    first = rig.start(np.vstack([rig.pose, walk(seed, rig.pose, stride)[:-1]]))
    for _ in range(when):
        rig.tick(TICK * (1.0 + jitter * draw.uniform(-1.0, 1.0)))
    target = np.clip(rig.pose + draw.uniform(-0.34, 0.34, 6), SETTINGS.lower, SETTINGS.upper)
    second = rig.start(np.vstack([target, walk(seed + 1, target, stride)[:-1]]))
    assert first.outcome in (Termination.COMPLETED, Termination.REPLACED)
    for _ in range(2000):
        rig.tick(TICK * (1.0 + jitter * draw.uniform(-1.0, 1.0)))
        if second.outcome is not None:
            break
    assert second.outcome is Termination.COMPLETED
    steps_within_limits(rig, before)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), when=st.integers(1, 60))
def test_a_hand_over_between_gentle_chunks_does_not_stop_or_jerk(seed: int, when: int) -> None:
    rig = Rig(pose=[0.0, 0.0, 0.5, 0.0, 0.0, 0.5])
    speed = np.array([0.4, -0.3, 0.0, 0.2, 0.3, 0.0])
    rig.tick()
    rig.start(rig.pose + np.outer(np.arange(1, 51) * SETTINGS.period, speed))
    rig.ticks(when + 2)
    rig.commands = rig.commands[-2:]
    rig.start(rig.pose + np.outer(np.arange(1, 51) * SETTINGS.period, speed * 1.1))
    rig.ticks(30)
    acceleration = np.diff(np.array(rig.commands), n=2, axis=0) / TICK**2
    assert np.abs(acceleration).max() < 15.0
    assert np.abs(np.diff(np.array(rig.commands), axis=0)[3:, 0]).min() > 0.3 * TICK


def test_the_replaced_goal_says_so() -> None:
    rig = Rig()
    first = rig.start(walk(4, rig.pose))
    rig.ticks(20)
    second = rig.start(walk(5, rig.pose))
    assert first.outcome is Termination.REPLACED and 3 <= first.steps_executed <= 10
    assert second.outcome is None and rig.executor.run is second


def test_a_busy_executor_refuses_a_goal_that_would_not_replace() -> None:
    rig = Rig()
    first = rig.start(walk(4, rig.pose))
    rig.ticks(5)
    second = rig.start(walk(5, rig.pose), replace=False)
    assert second.outcome is Termination.BUSY and first.outcome is None
    rig.ticks(125)
    assert first.outcome is Termination.COMPLETED
    assert rig.start(walk(5, rig.pose), replace=False).outcome is None


def test_a_cancelled_goal_comes_to_rest_within_80_ms_and_holds() -> None:
    rig = Rig()
    run = rig.start(walk(6, rig.pose))
    before = rig.pose.copy()
    rig.ticks(30)
    rig.executor.cancel(run)
    rig.ticks(5)
    assert run.outcome is Termination.CANCELLED
    held = rig.pose.copy()
    rig.ticks(20)
    np.testing.assert_array_equal(rig.pose, held)
    steps_within_limits(rig, before)


def test_cancelling_a_goal_that_has_ended_leaves_the_next_one_alone() -> None:
    rig = Rig()
    first = rig.start(walk(4, rig.pose))
    second = rig.start(walk(5, rig.pose))
    rig.executor.cancel(first)
    rig.ticks(125)
    assert second.outcome is Termination.COMPLETED


def test_a_refused_goal_leaves_the_running_one_alone() -> None:
    rig = Rig()
    first = rig.start(walk(4, rig.pose))
    rig.ticks(5)
    assert rig.start(walk(4, rig.pose) * np.nan).outcome is Termination.BAD_NUMBERS
    rig.ticks(125)
    assert first.outcome is Termination.COMPLETED


def test_silent_arms_end_the_run_and_are_held() -> None:
    rig = Rig()
    run = rig.start(walk(7, rig.pose))
    before = rig.pose.copy()
    rig.ticks(20)
    for _ in range(14):
        rig.tick(silent_arms=True)
    assert run.outcome is Termination.STATES_LOST
    assert "left" in run.message and "driver" in run.message
    held = rig.pose.copy()
    rig.ticks(10)
    np.testing.assert_array_equal(rig.pose, held)
    steps_within_limits(rig, before)


@pytest.mark.parametrize(("speed", "allowed"), [(0.3, 0.1), (1.0, 0.1), (3.0, 0.15)])
def test_arms_of_the_real_cell_stand_still_soon_after_their_last_state(speed: float, allowed: float) -> None:
    timeout = ExecutorSettings.from_contract(Embodiment.load("aloha")).state_timeout
    rig = Rig(pose=[0.0, 0.0, 0.5, 0.0, 0.0, 0.5], settings=replace(SETTINGS, state_timeout=timeout))
    travel = np.outer(np.arange(1, 51) * SETTINGS.period, [speed, 0, 0, 0, 0, 0])
    run = rig.start(np.clip(rig.pose + travel, SETTINGS.lower, SETTINGS.upper))
    rig.ticks(40)
    while rig.executor.activity is not Activity.SILENT:
        rig.tick(silent_arms=True)
    still = next(k for k in range(len(rig.commands)) if np.array_equal(rig.commands[k], rig.commands[-1]))
    assert run.outcome is Termination.STATES_LOST
    assert (still - 39) * TICK <= allowed + 1e-9


def test_one_silent_arm_is_enough_and_is_named() -> None:
    rig = Rig()
    run = rig.start(walk(7, rig.pose))
    for _ in range(20):
        rig.now += TICK
        rig.states.update(0, rig.now, ("waist", "elbow", "gripper"), [0.1, 0.2, 0.4])
        rig.executor.tick(rig.now, rig.states)
    assert run.outcome is Termination.STATES_LOST and run.message.startswith("right")


def test_failed_bus_reads_count_as_silence() -> None:
    rig = Rig()
    run = rig.start(walk(7, rig.pose))
    for _ in range(20):
        rig.now += TICK
        for arm in range(2):
            assert not rig.states.update(arm, rig.now, ("waist", "elbow", "gripper"), [-np.pi] * 3)
        rig.executor.tick(rig.now, rig.states)
    assert run.outcome is Termination.STATES_LOST and rig.states.rejected == [20, 20]


def test_the_emergency_stop_silences_at_once_and_stays_latched() -> None:
    rig = Rig()
    run = rig.start(walk(8, rig.pose))
    rig.ticks(10)
    rig.executor.stop("operator")
    assert run.outcome is Termination.EMERGENCY_STOP and "operator" in run.message
    assert rig.tick() is None
    refused = rig.start(walk(8, rig.pose))
    assert refused.outcome is Termination.EMERGENCY_STOP and "/emergency_stop/set" in refused.message
    rig.executor.release()
    assert rig.tick() is None
    again = rig.start(walk(8, rig.pose))
    rig.ticks(125)
    assert again.outcome is Termination.COMPLETED


def test_a_fault_of_one_arm_brakes_both_and_refuses_goals_until_it_is_over() -> None:
    rig = Rig()
    run = rig.start(walk(9, rig.pose))
    rig.ticks(10)
    rig.executor.set_fault("right", "motor 4 (elbow): overload")
    rig.ticks(6)
    assert run.outcome is Termination.FAULT and "overload" in run.message and rig.executor.activity is Activity.SILENT
    assert rig.start(walk(9, rig.pose)).outcome is Termination.FAULT
    rig.pose = rig.pose + 0.05  # the arm without torque was moved a little
    rig.tick()
    rig.executor.set_fault("right", "")
    assert [rig.tick() for _ in range(10)] == [None] * 10  # it stays where its driver took it back
    before = rig.pose.copy()
    rig.commands.clear()
    assert rig.start(walk(9, rig.pose)).outcome is None
    rig.ticks(110)
    steps_within_limits(rig, before)


def test_a_fault_that_is_over_before_the_arms_stand_still_is_followed_by_silence() -> None:
    rig = Rig()
    run = rig.start(walk(9, rig.pose, stride=0.05))
    rig.ticks(20)
    rig.executor.set_fault("right", "motor 4 (elbow): overload")
    rig.tick()
    assert rig.executor.activity is Activity.BRAKING
    rig.executor.set_fault("right", "")
    assert run.outcome is Termination.FAULT and "overload" in run.message
    assert rig.tick() is None


def test_a_fault_while_a_pose_is_held_or_a_cancelled_chunk_brakes_is_followed_by_silence() -> None:
    for cancelled in (False, True):
        rig = Rig()
        run = rig.start(walk(1, rig.pose, stride=0.05))
        rig.ticks(20 if cancelled else 125)
        if cancelled:
            rig.executor.cancel(run)
            rig.tick()
        rig.executor.set_fault("left", "the driver is not active")
        rig.ticks(20)
        assert run.outcome is (Termination.CANCELLED if cancelled else Termination.COMPLETED)
        rig.executor.set_fault("left", "")
        assert rig.tick() is None


@pytest.mark.parametrize("ticks", [10, 125])
def test_an_arm_that_was_not_heard_for_a_while_stays_where_it_is_when_it_is_back(ticks: int) -> None:
    rig = Rig()
    rig.start(walk(6, rig.pose, stride=0.01))
    rig.ticks(ticks)
    for _ in range(20):
        rig.tick(silent_arms=True)
    assert rig.executor.activity is Activity.SILENT
    assert rig.tick() is None


def test_shutting_down_ends_the_goal_and_leaves_one_command_to_hold() -> None:
    rig = Rig()
    run = rig.start(walk(10, rig.pose))
    rig.ticks(10)
    last = rig.executor.shut_down()
    assert run.outcome is Termination.SHUTDOWN
    assert last is not None
    np.testing.assert_array_equal(last, rig.pose)
    assert rig.tick() is None and rig.executor.shut_down() is None


def test_a_new_start_after_silence_begins_at_the_arms_not_at_the_old_command() -> None:
    rig = Rig()
    rig.start(walk(11, rig.pose))
    rig.ticks(110)
    rig.executor.shut_down()
    rig.pose = np.array([1.0, 1.0, 0.2] * 2)
    rig.tick()
    before = rig.pose.copy()
    rig.commands.clear()
    assert rig.start(walk(12, rig.pose)).outcome is None
    rig.ticks(110)
    steps_within_limits(rig, before)


def test_a_stall_of_the_executor_delays_the_chunk_instead_of_jumping() -> None:
    rig = Rig()
    before = rig.pose.copy()
    run = rig.start(walk(13, rig.pose))
    rig.ticks(10)
    rig.tick(elapsed=0.5)
    assert run.steps_executed <= 7
    rig.ticks(110)
    assert run.outcome is Termination.COMPLETED
    steps_within_limits(rig, before)


def test_a_stall_of_the_executor_itself_is_not_taken_for_silent_arms() -> None:
    rig = Rig()
    run = rig.start(walk(13, rig.pose))
    rig.ticks(10)
    rig.tick(elapsed=0.5, silent_arms=True)
    rig.ticks(125)
    assert run.outcome is Termination.COMPLETED


def test_arms_that_stay_silent_after_a_stall_are_noticed() -> None:
    rig = Rig()
    run = rig.start(walk(13, rig.pose))
    rig.ticks(10)
    rig.tick(elapsed=0.5, silent_arms=True)
    for _ in range(6):
        rig.tick(silent_arms=True)
    assert run.outcome is Termination.STATES_LOST


def test_a_clock_that_jumps_back_ends_the_run_instead_of_running_on_old_states() -> None:
    rig = Rig()
    run = rig.start(walk(14, rig.pose))
    rig.ticks(10)
    rig.tick(elapsed=-5.0, silent_arms=True)
    rig.ticks(6)
    assert run.outcome is Termination.STATES_LOST and "jumped back" in run.message


def test_commands_cut_by_a_limit_are_counted() -> None:
    rig = Rig(pose=[0.0, 1.45, 0.5, 0.0, 0.0, 0.5])
    actions = np.tile(rig.pose, (50, 1))
    actions[25:, 2] = 1.0
    run = rig.start(actions)
    rig.ticks(200)
    assert run.outcome is Termination.COMPLETED and run.steps_clamped > 0
    assert rig.pose[2] == pytest.approx(1.0)


def test_the_period_error_is_what_the_clock_says() -> None:
    rig = Rig()
    run = rig.start(walk(15, rig.pose))
    for index in range(130):
        rig.tick(TICK + (0.001 if index % 2 else -0.001))
    assert run.outcome is Termination.COMPLETED
    assert run.period_error_p50 == pytest.approx(0.001, abs=1e-9)
    assert run.period_error_p99 == pytest.approx(0.001, abs=1e-9)


def test_an_object_in_the_gripper_is_no_tracking_error() -> None:
    rig = Rig()
    rig.start(walk(16, rig.pose))
    rig.ticks(20)
    pose = rig.pose.copy()
    pose[2] += 0.4
    pose[0] += 0.02
    rig.report(pose)
    assert rig.executor.tracking_error(rig.states) == pytest.approx(0.02, abs=1e-9)
