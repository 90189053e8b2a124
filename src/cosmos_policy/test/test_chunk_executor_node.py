"""The chunk executor over real DDS: what it executes, what it refuses, and that every end has its name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from executor_rig import DOMAIN, PATIENT, Client, FakeArms, Result, Rig, rig, wait_until
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, String

from aloha_nodes.spinning import spinning
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import Mode, Termination
from cosmos_policy_msgs.action import ExecuteChunk

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", autouse=True)
def ros() -> Iterator[None]:
    rclpy.init(domain_id=DOMAIN)
    yield
    rclpy.try_shutdown()


@pytest.fixture
def robot() -> Iterator[Rig]:
    with rig() as made:
        yield made


def largest_speed(robot: Rig) -> np.ndarray:
    """Largest step between two commands over the limit's step, per joint."""
    return np.abs(np.diff(robot.arms.commands(), axis=0)).max(axis=0) * robot.contract.command_rate


def test_the_core_and_the_action_name_every_end_alike() -> None:
    constants = {name: getattr(Result, name) for name in dir(Result) if name.isupper() and name != "SLOT_TYPES"}
    assert constants == {reason.name: reason.value for reason in Termination}


def test_the_core_and_the_action_name_every_mode_alike() -> None:
    assert {mode.name: getattr(ExecuteChunk.Goal, mode.name) for mode in Mode} == {m.name: m.value for m in Mode}


def test_a_plan_made_while_the_arms_move_takes_over_in_time(robot: Rig) -> None:
    first = robot.client.send(robot.client.goal(robot.sway(0.2), steps=40))
    wait_until(lambda: robot.commanded() > 20, "motion")
    late = robot.client.goal(robot.sway(0.2), steps=30, mode=ExecuteChunk.Goal.OVERLAP)
    began = robot.commanded()
    wait_until(lambda: robot.commanded() > began + 16, "the time a plan takes")
    second = robot.client.send(late)
    assert robot.client.result(first)[1].termination == Result.REPLACED
    result = robot.client.result(second)[1]
    assert (result.termination, result.mode, result.idle) == (Result.COMPLETED, ExecuteChunk.Goal.OVERLAP, 0.0)
    assert 6 <= result.steps_dropped <= 15 and result.steps_dropped + result.steps_executed == 30
    assert result.steps_blended >= 1 and result.seam_acceleration > 0.0
    last = robot.client.feedback[-1]
    assert (last.mode, last.steps_dropped, last.step) == (result.mode, result.steps_dropped, 29)
    assert np.all(largest_speed(robot) <= robot.contract.velocity_limits + 1e-6)


def test_a_chunk_is_executed_by_both_arms_in_the_same_ticks_and_then_held(robot: Rig) -> None:
    chunk = robot.sway()
    status, result = robot.client.result(robot.client.send(robot.client.goal(chunk)))
    assert (result.termination, result.message, status) == (Result.COMPLETED, "", GoalStatus.STATUS_SUCCEEDED)
    assert (result.steps_executed, result.steps_clamped) == (50, 0)
    wait_until(lambda: np.allclose(robot.arms.action, chunk[-1], atol=1e-9), "the last action")
    left, right = ([stamp for stamp, _ in messages] for messages in robot.arms.received)
    assert left[:90] == right[:90] and len(set(left)) == len(left)
    steps = [feedback.step for feedback in robot.client.feedback]
    assert steps == sorted(set(steps)) and steps[-1] == 49 and len(steps) > 45
    count = robot.commanded()
    wait_until(lambda: robot.commanded() > count + 5, "the hold to be repeated")
    np.testing.assert_allclose(robot.arms.commands()[-5:], np.tile(chunk[-1], (5, 1)), atol=1e-12)


def test_a_cancelled_chunk_leaves_the_arms_held(robot: Rig) -> None:
    handle = robot.client.send(robot.client.goal(robot.sway()))
    wait_until(lambda: robot.commanded() > 20, "motion")
    handle.cancel_goal_async()
    status, result = robot.client.result(handle)
    assert (result.termination, status) == (Result.CANCELLED, GoalStatus.STATUS_CANCELED)
    assert 0 < result.steps_executed < 50
    count = robot.commanded() + 2
    wait_until(lambda: robot.commanded() > count + 8, "the hold")
    assert np.ptp(robot.arms.commands()[count:], axis=0).max() == 0.0


def test_a_second_goal_replaces_the_first_without_a_step_above_the_velocity_limit(robot: Rig) -> None:
    first = robot.client.send(robot.client.goal(robot.sway(0.4)))
    wait_until(lambda: robot.commanded() > 20, "motion")
    target = robot.sway(-0.4) + np.where(robot.arms.action > 0.5, 0.1, 0.15)
    second = robot.client.send(
        robot.client.goal(np.clip(target, robot.contract.action_lower, robot.contract.action_upper), steps=20)
    )
    status, result = robot.client.result(first)
    assert (result.termination, status) == (Result.REPLACED, GoalStatus.STATUS_ABORTED)
    assert robot.client.result(second)[1].termination == Result.COMPLETED
    assert np.all(largest_speed(robot) <= robot.contract.velocity_limits + 1e-6)


def test_a_goal_that_would_not_replace_is_refused_while_another_runs(robot: Rig) -> None:
    first = robot.client.send(robot.client.goal(robot.sway(), steps=15))
    wait_until(lambda: robot.commanded() > 3, "motion")
    refused = robot.client.run(robot.client.goal(robot.sway(), policy=ExecuteChunk.Goal.REJECT_IF_BUSY))
    assert refused.termination == Result.BUSY and "REPLACE_NOW" in refused.message
    assert robot.client.result(first)[1].termination == Result.COMPLETED


def nan(goal: ExecuteChunk.Goal) -> None:
    goal.chunk.positions[30] = float("nan")


def swapped_joints(goal: ExecuteChunk.Goal) -> None:
    goal.chunk.joint_names = [*goal.chunk.joint_names[7:], *goal.chunk.joint_names[:7]]


def short(goal: ExecuteChunk.Goal) -> None:
    goal.chunk.positions = goal.chunk.positions[:-14]


def empty(goal: ExecuteChunk.Goal) -> None:
    goal.chunk = type(goal.chunk)()


def other_rate(goal: ExecuteChunk.Goal) -> None:
    goal.chunk.period = Duration(nanosec=20_000_000)


def stale(goal: ExecuteChunk.Goal) -> None:
    goal.chunk.observation_stamp.sec -= 11


def without_stamp(goal: ExecuteChunk.Goal) -> None:
    goal.chunk.observation_stamp = Time()


def far(goal: ExecuteChunk.Goal) -> None:
    goal.chunk.positions[0] += 0.5


def beyond_limits(goal: ExecuteChunk.Goal) -> None:
    goal.chunk.positions[14 * 20 + 1] = 2.0


def test_bad_goals_are_refused_with_their_reason_and_nothing_moves(robot: Rig) -> None:
    cases: list[tuple[Callable[[ExecuteChunk.Goal], None], int, str]] = [
        (nan, Result.BAD_NUMBERS, "action 2 of follower_left/elbow is nan"),
        (swapped_joints, Result.BAD_JOINTS, "follower_right/waist"),
        (empty, Result.BAD_JOINTS, "missing"),
        (short, Result.BAD_LENGTH, "686 numbers"),
        (other_rate, Result.BAD_LENGTH, "0.02 s"),
        (stale, Result.STALE, "fresh observation"),
        (without_stamp, Result.STALE, "none"),
        (far, Result.TOO_FAR, "follower_left/waist"),
        (beyond_limits, Result.LIMIT, "follower_left/shoulder"),
    ]
    for spoil, reason, says in cases:
        goal = robot.client.goal(robot.still())
        spoil(goal)
        status, result = robot.client.result(robot.client.send(goal))
        assert (result.termination, status) == (reason, GoalStatus.STATUS_ABORTED), spoil.__name__
        assert says in result.message, spoil.__name__
    assert robot.commanded() == 0


def test_arms_that_fall_silent_are_held_and_named(robot: Rig) -> None:
    handle = robot.client.send(robot.client.goal(robot.sway()))
    wait_until(lambda: robot.commanded() > 10, "motion")
    robot.arms.silent.add("follower_right")
    _, result = robot.client.result(handle)
    assert result.termination == Result.STATES_LOST and result.message.startswith("follower_right")
    assert robot.client.run(robot.client.goal(robot.still())).termination == Result.STATES_LOST
    robot.arms.silent.clear()
    wait_until(
        lambda: robot.node._states.age(robot.node.get_clock().now().nanoseconds * 1e-9) < 0.05, "the arm's return"
    )
    assert robot.client.run(robot.client.goal(robot.still(), steps=3)).termination == Result.COMPLETED


def test_a_fault_reported_by_an_arm_holds_both(robot: Rig) -> None:
    wait_until(lambda: robot.client.fault_topic.get_subscription_count(), "the fault's subscriber")
    handle = robot.client.send(robot.client.goal(robot.sway()))
    wait_until(lambda: robot.commanded() > 10, "motion")
    robot.client.fault_topic.publish(String(data="motor 4 (elbow): overload"))
    _, result = robot.client.result(handle)
    assert result.termination == Result.FAULT and "follower_right: motor 4 (elbow): overload" in result.message
    assert robot.client.run(robot.client.goal(robot.still())).termination == Result.FAULT
    robot.client.fault_topic.publish(String(data=""))
    wait_until(lambda: not robot.node._core.faults, "the fault to be cleared")
    count, ticks = robot.commanded(), robot.node._periods.count
    wait_until(lambda: robot.node._periods.count > ticks + 10, "ticks in which it could have commanded")
    assert robot.commanded() == count
    assert robot.client.run(robot.client.goal(robot.still(), steps=3)).termination == Result.COMPLETED


def test_the_emergency_stop_silences_commands_and_only_a_person_releases_it(robot: Rig) -> None:
    wait_until(lambda: robot.client.stop_topic.get_subscription_count() >= 1, "the stop's subscriber")
    handle = robot.client.send(robot.client.goal(robot.sway()))
    wait_until(lambda: robot.commanded() > 10, "motion")
    robot.client.stop_topic.publish(Bool(data=True))
    _, result = robot.client.result(handle)
    assert result.termination == Result.EMERGENCY_STOP
    time.sleep(0.05)  # what was on the wire
    count = robot.commanded()
    robot.client.stop_topic.publish(Bool(data=False))
    refused = robot.client.run(robot.client.goal(robot.still()))
    assert refused.termination == Result.EMERGENCY_STOP and "/emergency_stop/set" in refused.message
    assert robot.commanded() == count
    assert "Released" in robot.client.set_stop(False)
    wait_until(lambda: robot.client.stops and robot.client.stops[-1] is False, "the release to be published")
    assert robot.client.run(robot.client.goal(robot.still(), steps=3)).termination == Result.COMPLETED
    robot.client.set_stop(True)
    wait_until(lambda: robot.client.stops[-1] is True, "the stop to be published")


def test_a_goal_for_arms_that_are_not_there_says_whom_it_waits_for() -> None:
    with rig(arms_silent=True) as robot:
        result = robot.client.run(robot.client.goal(robot.still()))
        assert result.termination == Result.NOT_READY and "follower_left" in result.message
        assert robot.commanded() == 0


def test_an_executor_that_knows_no_time_yet_is_not_ready_and_does_not_take_a_chunk_for_one_of_the_future() -> None:
    with rig(sim_time=True) as robot:
        goal = robot.client.goal(robot.still())
        goal.chunk.observation_stamp = Time(sec=2)  # the planner hears the simulation already
        result = robot.client.run(goal)
        assert result.termination == Result.NOT_READY and "/clock" in result.message
        assert robot.commanded() == 0


def test_an_inactive_executor_is_not_ready_and_deactivation_ends_the_goal_with_the_arms_held() -> None:
    with rig(active=False) as robot:
        result = robot.client.run(robot.client.goal(robot.still()))
        assert result.termination == Result.NOT_READY and "Activate" in result.message
        robot.node.trigger_activate()
        handle = robot.client.send(robot.client.goal(robot.sway()))
        wait_until(lambda: robot.commanded() > 10, "motion")
        robot.node.trigger_deactivate()
        _, result = robot.client.result(handle)
        assert result.termination == Result.SHUTDOWN
        time.sleep(0.05)  # what was on the wire
        count = robot.commanded()
        commands = robot.arms.commands()
        assert np.abs(commands[-1] - commands[-2]).max() == 0.0
        robot.node.trigger_activate()
        assert robot.client.run(robot.client.goal(robot.still(), steps=3)).termination == Result.COMPLETED
        assert robot.commanded() > count


def test_diagnostics_tell_mode_timing_and_whose_states_are_missing(robot: Rig) -> None:
    heard: list[DiagnosticStatus] = []

    def keep(message: DiagnosticArray) -> None:
        heard.extend(status for status in message.status if status.name.startswith("chunk_executor"))

    robot.client.create_subscription(DiagnosticArray, "/diagnostics", keep, 10)
    wait_until(lambda: heard, "diagnostics")
    status = heard[-1]
    values = {pair.key: pair.value for pair in status.values}
    assert status.name == "chunk_executor: commands"
    assert values["activity"] == "silent" and float(values["period_error_p99_ms"]) >= 0.0
    robot.arms.silent.add("follower_left")
    wait_until(lambda: "follower_left" in heard[-1].message, "the missing arm to be named")


def test_simulated_time_drives_the_chunk() -> None:
    with rig(sim_time=True) as robot:
        clock = robot.client.create_publisher(Clock, "/clock", 1)
        wait_until(lambda: clock.get_subscription_count() >= 3, "the clock's subscribers")
        handle, ended, now = None, None, 10_000_000_000
        for tick in range(2000):
            now += 10_000_000
            clock.publish(Clock(clock=Time(sec=now // 1_000_000_000, nanosec=now % 1_000_000_000)))
            time.sleep(0.004)
            if handle is None and robot.node._states.complete and tick > 20:
                future = robot.client.actions.send_goal_async(robot.client.goal(robot.sway(), steps=25))
                handle, started = future, now
            if handle is not None and ended is None and handle.done():
                ended = handle.result().get_result_async()
            if ended is not None and ended.done():
                break
        result = ended.result().result
        assert result.termination == Result.COMPLETED, result.message
        assert 0.95 < (now - started) * 1e-9 < 2.0
        np.testing.assert_array_equal(np.diff([stamp for stamp, _ in robot.arms.received[0]]) % 10_000_000, 0)


def test_deactivation_by_service_ends_the_goal_too(robot: Rig) -> None:
    change = robot.client.create_client(ChangeState, "/chunk_executor/change_state")
    assert change.wait_for_service(timeout_sec=10.0)
    handle = robot.client.send(robot.client.goal(robot.sway()))
    wait_until(lambda: robot.commanded() > 10, "motion")
    asked = change.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE)))
    assert robot.client.result(handle)[1].termination == Result.SHUTDOWN
    wait_until(asked.done, "the transition")
    assert asked.result().success and robot.node.state == "inactive"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_goal_as_shutdown_and_the_process_without_a_traceback(number: signal.Signals) -> None:
    contract = Embodiment.load(PATIENT)
    arms, client = FakeArms(contract), Client(contract)
    process = subprocess.Popen(
        [sys.executable, "-m", "cosmos_policy.chunk_executor_node", "--ros-args", "-p", f"embodiment:={PATIENT}"],
        env=os.environ | {"ROS_DOMAIN_ID": str(DOMAIN)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with spinning(arms, client):
            robot = Rig(None, arms, client)
            assert client.actions.wait_for_server(timeout_sec=45.0)  # a loaded machine starts Python in 20 s
            while (result := client.run(client.goal(robot.still(), steps=1))).termination == Result.NOT_READY:
                time.sleep(0.05)
            assert result.termination == Result.COMPLETED, result.message
            handle = client.send(client.goal(robot.sway()))
            wait_until(lambda: robot.commanded() > 15, "motion")
            process.send_signal(number)
            _, result = client.result(handle)
            assert result.termination == Result.SHUTDOWN
        output = process.communicate(timeout=5.0)[0]
        assert process.returncode == 0, output
        assert "Traceback" not in output and "Error" not in output
    finally:
        process.kill()
