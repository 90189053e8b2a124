"""What must be right before an arm gets torque, through the real SDK against emulated motors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from arm_kit import follower, settings, wait
from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, PacketHandler, PortHandler

from aloha_hardware.arm import Arm
from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.emulator.chain import Chain
from aloha_hardware.emulator.line import EmulatedLine
from aloha_hardware.errors import BusError, MotorError, PortError, SettingsError
from aloha_hardware.motors import LEADER, with_models


@pytest.fixture
def line() -> Iterator[EmulatedLine]:
    with follower() as line:
        yield line


def bring_up(line: EmulatedLine, **changes: Any) -> Arm:
    warnings: list[str] = []
    arm = Arm(settings(line, **changes), warnings.append)
    arm.open()
    return arm


def nothing_has_torque(line: EmulatedLine) -> bool:
    return not any(motor.torque for motor in line.chain.motors)


def test_the_stock_sdk_talks_to_the_emulator(line: EmulatedLine) -> None:
    port, handler = PortHandler(line.path), PacketHandler(2.0)
    assert port.openPort()
    assert handler.ping(port, 8) == (1020, COMM_SUCCESS, 0)
    for read in ("txRxPacket", "fastSyncRead"):
        group = GroupSyncRead(port, handler, 132, 4)
        for ident in (2, 4, 9):
            group.addParam(ident)
        # The SDK allows 34 ms; a loaded machine may need a second try.
        assert COMM_SUCCESS in (getattr(group, read)() for _ in range(5))
        assert group.getData(2, 132, 4) == line.chain.motor(2).present_position()
    port.closePort()


def test_a_healthy_arm_passes_and_then_holds_where_it_is(line: EmulatedLine) -> None:
    arm = bring_up(line)
    assert nothing_has_torque(line)
    before = {name: joint.angle for name, joint in line.chain.joints.items()}
    arm.torque_on()
    assert all(motor.torque for motor in line.chain.motors)
    assert line.chain.motor(9).registers.get("operating_mode") == 5
    assert line.chain.motor(9).registers.get("goal_current") == 200
    assert line.chain.motor(3).registers.get("bus_watchdog") == 100
    reading = wait(arm.read, "a complete reading")
    assert reading.position[1] == pytest.approx(before["shoulder"], abs=0.01)
    arm.close()


def test_an_old_goal_does_not_make_the_arm_jump_when_torque_comes_on(line: EmulatedLine) -> None:
    line.chain.motor(1).registers.set("goal_position", 3000)
    arm = bring_up(line)
    arm.torque_on()
    assert abs(line.chain.motor(1).registers.get("goal_position") - 2048) < 5
    arm.close()


def test_a_missing_motor_is_named(line: EmulatedLine) -> None:
    line.chain.removed.add(4)
    with pytest.raises(BusError, match="motor 4 .elbow.*no answer. Check its cable"):
        bring_up(line)
    assert nothing_has_torque(line)


def test_an_arm_without_supply_is_told_from_a_missing_motor(line: EmulatedLine) -> None:
    line.chain.removed.update(range(1, 10))
    with pytest.raises(BusError, match="no motor answers. Switch the arm's 12 V supply on"):
        bring_up(line, bus_patience=0.01)


def test_a_motor_at_another_baud_rate_is_found_and_named(line: EmulatedLine) -> None:
    line.chain.motor(6).registers.set("baud_rate", 1)
    with pytest.raises(BusError, match=r"motor 6 \(forearm_roll\) talks at 57600 baud. Set its Baud Rate to 3"):
        bring_up(line)


def test_two_motors_with_one_id_are_suspected(line: EmulatedLine) -> None:
    line.chain.double(7)
    with pytest.raises(BusError, match="motor 7 .*damaged. Check the cable, and that no two motors share this ID"):
        bring_up(line)


def test_a_motor_no_arm_has_is_refused(line: EmulatedLine) -> None:
    line.chain.double(5)
    line.chain.motors[-1].registers.set("id", 12)
    with pytest.raises(MotorError, match=r"IDs \[12\] that no follower has"):
        bring_up(line)


def test_a_leader_on_a_followers_port_is_recognised(line: EmulatedLine) -> None:
    with pytest.raises(MotorError, match="motor 1 .waist. is a XM540-W270, a leader has a XM430-W350 there"):
        bring_up(line, kind="leader", lower=[-1.0] * 7, upper=[1.0] * 7, start_pose=[0.0] * 7, sleep_pose=[0.0] * 7)


FOR_A_HAND: dict[str, Any] = {
    "kind": "leader",
    "models": ["8=XL430-W250"],
    "torque": False,
    "sleep_pose": [0.0] * 7,
    "start_pose": [0.0] * 7,
    "lower": [*[-1.7] * 6, -0.6842],
    "upper": [*[1.6] * 6, 0.3083],
}


@pytest.fixture
def leader() -> Iterator[EmulatedLine]:
    chain = Chain(with_models(LEADER, {8: "XL430-W250"}), falls=False)
    chain.pose({"shoulder": -0.5, "elbow": 0.5, "wrist_angle": 0.0})
    with EmulatedLine(chain, wire_time=False) as line:
        yield line


def test_a_leader_is_read_without_ever_getting_torque(leader: EmulatedLine) -> None:
    arm = bring_up(leader, **FOR_A_HAND)
    reading = wait(arm.read, "a complete reading")
    assert reading.position[1] == pytest.approx(-0.5, abs=0.01)
    assert nothing_has_torque(leader)
    arm.close()


def test_a_leader_that_still_holds_is_refused_with_what_frees_it(leader: EmulatedLine) -> None:
    leader.chain.motor(1).registers.set("torque_enable", 1)
    leader.chain.motor(5).registers.set("torque_enable", 1)
    with pytest.raises(MotorError, match=r"motors 1 \(waist\), 5 \(elbow\) hold.*Support the arm, switch its 12 V"):
        bring_up(leader, **FOR_A_HAND)
    assert leader.chain.motor(1).torque and leader.chain.motor(5).torque  # an arm is not dropped unasked
    with leader.lock:
        for motor in leader.chain.motors:
            motor.power_up()
    bring_up(leader, **FOR_A_HAND).close()
    assert nothing_has_torque(leader)


def test_the_two_motors_of_a_joint_are_made_to_agree(line: EmulatedLine) -> None:
    line.chain.motor(3).registers.set("homing_offset", 30)
    bring_up(line).close()
    assert line.chain.motor(3).present_position() == line.chain.motor(2).present_position()
    line.chain.motor(5).registers.set("homing_offset", 300)
    with pytest.raises(MotorError, match="motors 4 and 5 of elbow differ by 0.460 rad"):
        bring_up(line)


def test_a_gripper_of_the_other_generation_is_recognised(line: EmulatedLine) -> None:
    with line.lock:
        line.chain.pose({"gripper": -0.6})
    lower, upper = list(settings(line).lower), list(settings(line).upper)
    with pytest.raises(MotorError, match="gripper stands at -0.60 rad, its constants allow 0.62..1.62"):
        bring_up(line, lower=[*lower[:-1], 0.6197], upper=[*upper[:-1], 1.6214])


def test_a_joint_outside_its_range_is_refused(line: EmulatedLine) -> None:
    with line.lock:
        line.chain.pose({"elbow": -2.6})
    with pytest.raises(MotorError, match="elbow reads -2.60 rad"):
        bring_up(line)


def test_wrong_settings_are_written_while_there_is_no_torque(line: EmulatedLine) -> None:
    line.chain.motor(2).registers.set("drive_mode", 0)
    line.chain.motor(5).registers.set("secondary_id", 255)
    bring_up(line).close()
    assert line.chain.motor(2).registers.get("drive_mode") == 1
    assert line.chain.motor(5).registers.get("secondary_id") == 4


def test_wrong_settings_of_an_arm_that_holds_are_refused(line: EmulatedLine) -> None:
    line.chain.motor(1).registers.set("max_position_limit", 3000)
    line.chain.motor(1).registers.set("torque_enable", 1)
    with pytest.raises(MotorError, match="max_position_limit is 3000, must be 4095, and the arm holds"):
        bring_up(line)


def test_settings_are_left_alone_where_asked(line: EmulatedLine) -> None:
    with pytest.raises(MotorError, match="operating_mode is 3, must be 5. Write it, or allow it"):
        bring_up(line, write_settings=False)


def test_a_motor_in_shutdown_is_restarted_before_the_arm_gets_torque(line: EmulatedLine) -> None:
    line.chain.motor(9).fail(32)
    bring_up(line).close()
    assert line.chain.motor(9).registers.get("hardware_error_status") == 0
    line.chain.motor(9).fail(32)
    with pytest.raises(MotorError, match="motor 9 .gripper. reports overload. Remove the cause"):
        bring_up(line, reboot_faulty_motors=False)


def test_a_port_is_missing_taken_or_no_port_at_all(line: EmulatedLine, tmp_path: Any) -> None:
    with pytest.raises(PortError, match="there is no such port. Plug the arm's USB cable in"):
        bring_up(line, port=str(tmp_path / "ttyDXL"))
    arm = bring_up(line)
    with pytest.raises(PortError, match="another process uses the port"):
        bring_up(line)
    arm.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(PortError, match="cannot be opened"):
        bring_up(line, port=str(tmp_path / "file"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_forbidden_port_names_the_group(line: EmulatedLine) -> None:
    os.chmod(line.terminal, 0)
    with pytest.raises(PortError, match="permission denied.*dialout"):
        bring_up(line)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"joint_names": ["waist", "shoulder"]}, "joint_names: 'elbow' is missing"),
        ({"joint_names": ["wheel"]}, "has no joint 'wheel'"),
        ({"lower": [-3.5, *[-1.0] * 6]}, "waist may move -3.5.*beyond the vendor's"),
        ({"lower": [2.0] * 7}, "is not below"),
        ({"upper": [float("nan")] * 7}, "not every value is a number"),
        ({"velocity": [4.0] * 7}, "waist: 4.0 rad/s is not in"),
        ({"velocity": [*[3.0] * 6, 1e6]}, "gripper: 1000000.0 rad/s is not in"),
        ({"backend": "sim"}, "'sim' is unknown. Use one of: dynamixel, interbotix.*robot:=sim"),
        ({"start_pose": [0.0, -1.9, 0.0, 0.0, 0.0, 0.0, 0.0]}, "start_pose: shoulder: -1.9 is outside"),
        ({"models": ["8=XM999"]}, "'8=XM999' is not ID=MODEL"),
        ({"kind": "puppet"}, "kind: 'puppet' is unknown"),
        ({"rate": 1000.0}, "rate: 1000.0 is not in"),
    ],
)
def test_unsafe_settings_are_refused_before_the_port_is_opened(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ArmSettings(**changes)


def test_an_adapter_that_nothing_checks_is_a_warning_with_the_line_to_write(
    line: EmulatedLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aloha_hardware.port.QuietPort.serial_number", "FT_LEFT")
    for serial, expected in (("", True), ("FT_LEFT", False)):
        said: list[str] = []
        arm = Arm(settings(line, adapter_serial=serial), said.append)
        arm.open()
        arm.close()
        assert any("adapter_serial: FT_LEFT" in text for text in said) == expected


def test_the_currents_of_all_motors_are_measured_and_known_with_their_limits(line: EmulatedLine) -> None:
    arm = bring_up(line)
    arm.torque_on()
    assert set(arm.current_limits) == set(range(1, 9))  # the gripper is meant to squeeze at its limit
    assert arm.current_limits[1] == pytest.approx(4.4)
    line.chain.joints["shoulder"].load = 8.0

    def measured() -> bool:
        arm.measure_health()
        return all(arm.health[ident].current == pytest.approx(4.0 / (10.6 / 4.4), rel=0.05) for ident in (2, 3))

    wait(measured, "the currents of both shoulder motors")
    arm.torque_off()
    arm.close()


def test_ten_bring_ups_leave_nothing_open_and_never_drop_the_arm(line: EmulatedLine) -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = files()
    for round_ in range(10):
        arm = bring_up(line)
        assert nothing_has_torque(line) == (round_ == 0)
        arm.torque_on()
        arm.let_hold()
        arm.close()
    assert all(motor.torque for motor in line.chain.motors)
    assert files() == before


@pytest.mark.parametrize("mode", ["fast", "plain"])
def test_readings_survive_lost_and_damaged_packets(line: EmulatedLine, mode: str) -> None:
    arm = bring_up(line, read_mode=mode, bus_patience=0.02)
    line.chain.faults.drop, line.chain.faults.corrupt = 0.05, 0.02
    readings = [arm.read() for _ in range(40)]
    complete = [reading for reading in readings if reading is not None]
    assert len(complete) > 20
    assert all(reading.position[1] == pytest.approx(-0.96, abs=0.01) for reading in complete)
    assert arm.bus.counts.retries > 0
    arm.close()


def test_late_answers_are_not_taken_for_answers_to_something_else(line: EmulatedLine) -> None:
    arm = bring_up(line, read_mode="plain", bus_patience=0.01)
    line.chain.joints["shoulder"].load = 5.0
    line.chain.faults.late, line.chain.faults.delay = 0.3, 0.012
    for _ in range(20):
        reading = arm.read()
        assert reading is None or reading.position[1] == pytest.approx(-0.96, abs=0.01)
        assert arm.examine()[0] == {}
    arm.close()


@pytest.mark.parametrize(("late", "then"), [("torque_enable", "examine"), ("hardware_error_status", "torque")])
def test_a_late_answer_of_the_same_length_is_no_error_and_no_lost_torque(
    line: EmulatedLine, late: str, then: str
) -> None:
    arm = bring_up(line, read_mode="plain", bus_patience=0.005)
    arm.torque_on()
    ids = list(arm.bus.motors)
    line.chain.faults.late, line.chain.faults.delay = 1.0, 0.02  # every answer, the wanted one too
    assert arm.bus.sync_read(ids, late, late, retry=False, fast=False) == {}
    arm.port.patience = 1.0
    found = getattr(arm, then)()
    assert found == (({}, set()) if then == "examine" else dict.fromkeys(ids, True))
    arm.close()


def test_old_firmware_is_read_motor_by_motor() -> None:
    with follower(firmware=44) as line:
        with pytest.raises(MotorError, match="firmware 44 knows no fast sync read. Update it"):
            bring_up(line, read_mode="fast")
        arm = bring_up(line)
        assert not arm.bus.fast
        assert wait(arm.read, "a complete reading")
        arm.close()


def test_a_silent_motor_is_named_and_the_others_are_still_heard(line: EmulatedLine) -> None:
    arm = bring_up(line, read_mode="plain")
    line.chain.removed.add(6)
    assert arm.read() is None
    assert [motor.joint for motor in arm.silent] == ["forearm_roll"]
    arm.close()


def test_efforts_are_newton_metres_of_the_whole_joint_or_the_sensed_current(line: EmulatedLine) -> None:
    for unit, expected in (("newton_metre", 4.0), ("milliampere", 4.0 / 2 / (10.6 / 4.4) * 1e3)):
        arm = bring_up(line, effort_unit=unit)
        arm.torque_on()
        line.chain.joints["shoulder"].load = 4.0

        def effort(arm: Arm = arm, expected: float = expected) -> bool:
            reading = arm.read()
            return reading is not None and reading.effort[1] == pytest.approx(expected, rel=0.05)

        wait(effort, f"an effort of {expected} {unit}")
        arm.torque_off()
        arm.close()
