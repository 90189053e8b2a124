"""Which commands an arm follows, how fast, and when it stays where it is."""

from __future__ import annotations

import numpy as np
import pytest

from aloha_hardware.arm_settings import JOINTS, ArmSettings
from aloha_hardware.setpoints import Mode, Setpoints

PERIOD = 0.01
POSE = [0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.5]


@pytest.fixture
def arm() -> Setpoints:
    return Setpoints(ArmSettings(), POSE)


def command(arm: Setpoints, now: float, age: float = 0.0, **joints: float) -> str:
    return arm.receive(list(joints), list(joints.values()), age, now)


def run(arm: Setpoints, start: float, ticks: int) -> list[float]:
    return [float(arm.tick(start + k * PERIOD, PERIOD)[0]) for k in range(ticks)]


def test_a_command_is_followed_no_faster_than_the_velocity_limit(arm: Setpoints) -> None:
    assert command(arm, 0.0, waist=0.2) == ""
    waist = run(arm, 0.0, 8)
    assert np.diff([0.0, *waist]).max() <= 3.14159 * PERIOD + 1e-9
    assert waist[-1] == pytest.approx(0.2)


def test_a_gripper_is_told_no_more_than_its_motor_can_follow(arm: Setpoints) -> None:
    assert command(arm, 0.0, gripper=1.2) == ""
    steps = np.diff([POSE[-1], *(arm.tick(k * PERIOD, PERIOD)[-1] for k in range(5))])
    assert steps.max() == pytest.approx(4.82 * PERIOD)  # the limit says 6.5


def test_joints_a_command_does_not_name_stay(arm: Setpoints) -> None:
    command(arm, 0.0, waist=0.1)
    assert arm.tick(0.0, PERIOD)[1:].tolist() == POSE[1:]


def test_the_newest_command_wins(arm: Setpoints) -> None:
    command(arm, 0.0, waist=0.25)
    run(arm, 0.0, 2)
    command(arm, 0.02, waist=-0.05)
    assert run(arm, 0.02, 5)[-1] == pytest.approx(-0.05)


def test_a_late_command_leaves_the_arm_where_it_is(arm: Setpoints) -> None:
    command(arm, 0.0, waist=0.29)
    waist = run(arm, 0.0, 20)
    assert arm.mode is Mode.HOLD
    assert waist[-1] == waist[9] < 0.29
    assert arm.held == 1


@pytest.mark.parametrize(
    ("joints", "age", "words"),
    [
        ({"waist": float("nan")}, 0.0, "not finite"),
        ({"wheel": 0.0}, 0.0, "unknown joints"),
        ({}, 0.0, "one position per name"),
        ({"shoulder": 1.5}, 0.0, "beyond the limits: shoulder"),
        ({"gripper": 2.0}, 0.0, "beyond the limits: gripper"),
        ({"waist": 1.0}, 0.0, "too far: waist is 1.00 rad away"),
        ({"waist": 0.1}, 0.2, "stale"),
        ({"waist": 0.1}, -0.2, "future"),
        ({"waist": 0.1}, float("inf"), "without a stamp"),
        (dict.fromkeys(JOINTS, -np.pi), 0.0, "beyond the limits"),
    ],
)
def test_a_command_without_meaning_is_refused(arm: Setpoints, joints: dict[str, float], age: float, words: str) -> None:
    assert words in command(arm, 0.0, age, **joints)
    assert arm.refused == 1
    assert arm.tick(0.0, PERIOD).tolist() == POSE


def test_a_target_a_little_beyond_a_limit_is_cut_to_it_and_counted(arm: Setpoints) -> None:
    arm.hold([0.0, 1.2, 1.16, 0.0, -0.3, 0.0, 0.5])
    assert command(arm, 0.0, shoulder=1.3) == ""
    for k in range(5):
        setpoint = arm.tick(k * PERIOD, PERIOD)
    assert setpoint[1] == pytest.approx(1.236)
    assert arm.clamped == 1


def test_an_arm_that_rests_beyond_its_limits_is_not_pulled_inside_by_a_command_for_another_joint(
    arm: Setpoints,
) -> None:
    arm.hold([0.0, -1.9, 1.6, 0.0, -1.9, 0.0, 0.5])
    assert command(arm, 0.0, waist=0.1) == ""
    assert arm.tick(0.0, PERIOD)[1] == -1.9


def test_a_stop_holds_where_the_arm_is_and_outlives_commands(arm: Setpoints) -> None:
    command(arm, 0.0, waist=0.29, gripper=1.0)
    run(arm, 0.0, 3)
    gripper = arm.setpoint[-1]
    arm.measured[:] = [0.05, *POSE[1:]]
    arm.stop("emergency stop", "raised")
    assert command(arm, 0.04, waist=0.29) == "raised"
    assert arm.tick(0.04, PERIOD)[0] == 0.05
    assert arm.setpoint[-1] == gripper  # it does not drop what it holds
    arm.lift("emergency stop")
    assert run(arm, 0.05, 3)[-1] == 0.05
    assert command(arm, 0.1, waist=0.1) == ""


def test_a_stop_of_an_arm_at_rest_is_no_new_goal(arm: Setpoints) -> None:
    command(arm, 0.0, waist=0.1)
    run(arm, 0.0, 20)
    arm.measured[:] = [0.09, *POSE[1:]]  # gravity, friction
    arm.stop("bus", "silent")
    assert run(arm, 0.2, 3)[-1] == pytest.approx(0.1)


def test_a_loaded_arm_that_comes_to_rest_again_and_again_sinks_no_further(arm: Setpoints) -> None:
    command(arm, 0.0, waist=0.1)
    run(arm, 0.0, 20)
    for rounds in range(1, 6):
        arm.measured[:] = [arm.setpoint[0] - 0.02, *POSE[1:]]
        arm.come_to_rest()
        assert run(arm, 0.2 * rounds, 3)[-1] == pytest.approx(0.1)


def test_every_stop_must_be_lifted(arm: Setpoints) -> None:
    arm.stop("bus", "silent")
    arm.stop("partner right", "overload")
    arm.lift("bus")
    assert command(arm, 0.0, waist=0.1) == "overload"


def test_a_move_is_smooth_slow_and_refuses_commands(arm: Setpoints) -> None:
    duration = arm.move([0.5, *POSE[1:]], 0.0)
    assert "move to a pose is running" in command(arm, 0.0, waist=0.1)
    waist = run(arm, 0.0, int(duration / PERIOD) + 2)
    speed = np.diff(waist) / PERIOD
    assert speed.max() == pytest.approx(ArmSettings().move_speed, rel=0.05)
    assert speed[0] < 0.05 and speed[-1] < 0.05
    assert waist[-1] == pytest.approx(0.5)
    assert arm.mode is Mode.HOLD


def test_a_stop_ends_a_move(arm: Setpoints) -> None:
    arm.move([0.5, *POSE[1:]], 0.0)
    run(arm, 0.0, 5)
    arm.stop("emergency stop", "raised")
    assert run(arm, 0.05, 50)[-1] == 0.0
