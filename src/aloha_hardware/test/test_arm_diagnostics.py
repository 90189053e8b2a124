"""Every verdict of an arm driver's diagnostics, and what brings it about."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from arm_kit import follower, settings

pytest.importorskip("rclpy", reason="needs ROS 2: source it, or run through `make test`")

from aloha_hardware import arm_diagnostics
from aloha_hardware.arm import Arm
from aloha_hardware.arm_loop import ArmLoop
from aloha_hardware.arm_reading import Health
from aloha_hardware.arm_settings import JOINTS
from aloha_hardware.setpoints import Mode, Setpoints

REST = [0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.0]


@pytest.fixture
def loop() -> Iterator[ArmLoop]:
    with follower() as line:
        chosen = settings(line)
        yield ArmLoop(Arm(chosen, [].append), Setpoints(chosen, REST), threading.Lock(), None)  # type: ignore[arg-type]


def said(loop: ArmLoop, before: arm_diagnostics.Counts) -> dict[str, tuple[bytes, str]]:
    return {s.name.rpartition(" ")[2]: (s.level, s.message) for s in arm_diagnostics.report(loop, before)}


def test_a_healthy_arm_is_ok_in_all_three(loop: ArmLoop) -> None:
    found = said(loop, arm_diagnostics.Counts.of(loop))
    assert found == {
        "bus": (arm_diagnostics.OK, "running"),
        "motors": (arm_diagnostics.OK, "healthy"),
        "commands": (arm_diagnostics.OK, "hold"),
    }


def test_instructions_that_need_a_second_try_are_a_warning(loop: ArmLoop) -> None:
    before = arm_diagnostics.Counts.of(loop)
    loop.arm.bus.counts.total += 200
    loop.arm.bus.counts.retries += 5
    level, text = said(loop, before)["bus"]
    assert (level, text[:6]) == (arm_diagnostics.WARN, "2.5 % ")


def test_motors_that_stopped_by_themselves_are_a_warning_once(loop: ArmLoop) -> None:
    before = arm_diagnostics.Counts.of(loop)
    loop.timing.watchdog_stops += 1
    level, text = said(loop, before)["bus"]
    assert (level, text[:24]) == (arm_diagnostics.WARN, "the driver was kept from")
    assert said(loop, arm_diagnostics.Counts.of(loop))["bus"][0] == arm_diagnostics.OK


def test_a_silent_bus_is_stale_and_says_who_is_silent(loop: ArmLoop) -> None:
    loop.stale = True
    loop.setpoints.stop("bus", "bus silent: motor 4 (elbow) silent")
    found = said(loop, arm_diagnostics.Counts.of(loop))
    assert found["bus"] == (arm_diagnostics.STALE, "bus silent: motor 4 (elbow) silent")
    assert found["commands"] == (arm_diagnostics.ERROR, "bus silent: motor 4 (elbow) silent")


def test_a_hot_motor_is_a_warning_and_one_that_shut_down_an_error(loop: ArmLoop) -> None:
    loop.arm.health[9] = Health(12.0, 70.0)
    assert said(loop, arm_diagnostics.Counts.of(loop))["motors"] == (
        arm_diagnostics.WARN,
        "motor 9 (gripper) hot. Let the arm rest",
    )
    loop.setpoints.stop("motors", "motor 9 (gripper): overload.")
    assert said(loop, arm_diagnostics.Counts.of(loop))["motors"][0] == arm_diagnostics.ERROR


def test_a_motor_near_its_current_limit_is_a_warning_before_it_shuts_down(loop: ArmLoop) -> None:
    loop.arm.current_limits[1] = 4.4
    loop.arm.health[1] = Health(12.0, 30.0, -3.4)
    assert said(loop, arm_diagnostics.Counts.of(loop))["motors"] == (arm_diagnostics.OK, "healthy")
    loop.arm.health[1] = Health(12.0, 30.0, -3.6)
    level, text = said(loop, arm_diagnostics.Counts.of(loop))["motors"]
    assert (level, text[:44]) == (arm_diagnostics.WARN, "motor 1 (waist) draws 3.6 A of 4.4 A. Take t")
    values = {
        pair.key: pair.value for s in arm_diagnostics.report(loop, arm_diagnostics.Counts.of(loop)) for pair in s.values
    }
    assert values["motor 1 (waist) current_a"] == "-3.60"


def test_an_arm_without_torque_is_an_error_that_says_how_it_gets_it_back(loop: ArmLoop) -> None:
    loop.setpoints.stop("torque", "torque is off; call ~/set_torque with data: true")
    found = said(loop, arm_diagnostics.Counts.of(loop))
    assert found["motors"] == (arm_diagnostics.ERROR, "torque is off; call ~/set_torque with data: true")


def test_an_arm_that_is_not_driven_says_so() -> None:
    (status,) = arm_diagnostics.inactive("follower_left", "unconfigured")
    assert (status.name, status.message) == ("arm_driver: follower_left bus", "unconfigured")


def test_commands_that_stop_coming_are_a_warning_once(loop: ArmLoop) -> None:
    before = arm_diagnostics.Counts.of(loop)
    assert loop.setpoints.receive(JOINTS, REST, 0.0, time.monotonic() - 1.0) == ""
    loop.setpoints.tick(time.monotonic(), 0.01)
    assert loop.setpoints.mode is Mode.HOLD
    level, text = said(loop, before)["commands"]
    assert level == arm_diagnostics.WARN
    assert text == "commands stopped coming; the arm holds. Unless their sender says why, see whether it is well"
    assert said(loop, arm_diagnostics.Counts.of(loop))["commands"][0] == arm_diagnostics.OK
