"""The rules of a motor's registers and the servo behind them, in emulated time."""

from __future__ import annotations

import math

import pytest

from aloha_hardware.emulator import packets
from aloha_hardware.emulator.chain import CLEAR_MULTI_TURN, Chain
from aloha_hardware.emulator.packets import Instruction
from aloha_hardware.motors import FOLLOWER, LEADER, MODELS

POSITION, TORQUE, GOAL, WATCHDOG = 132, 64, 116, 98


class Bench:
    """A chain on a bench: instructions in, errors and values out, and a clock that is turned by hand."""

    def __init__(self, chain: Chain) -> None:
        self.chain, self.now = chain, 0.0
        chain.advance(0.0)

    def send(self, ident: int, code: int, parameters: bytes = b"") -> list[bytes]:
        return [reply.data for reply in self.chain.handle(Instruction(ident, code, parameters), self.now)]

    def write(self, ident: int, address: int, value: int, size: int = 1) -> int | None:
        data = address.to_bytes(2, "little") + (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        replies = self.send(ident, packets.WRITE, data)
        return replies[0][8] if replies else None

    def read(self, ident: int, address: int, size: int = 1) -> int:
        (reply,) = self.send(ident, packets.READ, address.to_bytes(2, "little") + size.to_bytes(2, "little"))
        assert reply[8] & 0x7F == 0
        return int.from_bytes(reply[9 : 9 + size], "little", signed=True)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.chain.advance(self.now)


@pytest.fixture
def bench() -> Bench:
    chain = Chain(FOLLOWER, falls=False)
    chain.pose({"waist": 0.0, "shoulder": 0.0, "elbow": 0.0, "wrist_angle": 0.0})
    return Bench(chain)


def test_every_model_answers_a_ping_with_its_number() -> None:
    for name, chain in (("follower", FOLLOWER), ("leader", LEADER)):
        bench = Bench(Chain(chain))
        replies = bench.send(packets.BROADCAST, packets.PING)
        numbers = [int.from_bytes(reply[9:11], "little") for reply in replies]
        assert [reply[4] for reply in replies] == list(range(1, 10)), name
        assert numbers == [motor.model.number for motor in chain]


def test_the_eeprom_is_locked_while_torque_is_on(bench: Bench) -> None:
    assert bench.write(1, 9, 5) == 0
    assert bench.write(1, TORQUE, 1) == 0
    assert bench.write(1, 9, 7) == packets.ACCESS
    assert bench.read(1, 9) == 5


@pytest.mark.parametrize(
    ("address", "size", "value", "error"),
    [
        (POSITION, 4, 1, packets.ACCESS),
        (300, 1, 1, packets.ACCESS),
        (TORQUE, 1, 3, packets.DATA_RANGE),
        (GOAL, 2, 100, packets.DATA_LENGTH),
        (GOAL, 4, 5000, packets.DATA_LIMIT),
        (11, 1, 2, packets.DATA_RANGE),
        (102, 2, 2047, 0),
    ],
)
def test_writes_are_refused_with_the_error_of_the_manual(
    bench: Bench, address: int, size: int, value: int, error: int
) -> None:
    assert bench.write(1, address, value, size) == error


def test_a_motor_without_current_sensor_has_no_current_mode() -> None:
    bench = Bench(Chain(LEADER))
    assert bench.write(9, 11, 5) == packets.DATA_RANGE
    assert bench.write(9, 102, 10, 2) == packets.ACCESS
    assert bench.write(8, 11, 5) == 0


def test_a_mode_change_resets_profile_goals_and_gains(bench: Bench) -> None:
    assert bench.write(9, 112, 50, 4) == bench.write(9, 84, 100, 2) == bench.write(9, 102, 10, 2) == 0
    assert bench.write(9, 11, 5) == 0
    assert (bench.read(9, 112, 4), bench.read(9, 84, 2), bench.read(9, 102, 2)) == (0, 800, 1193)


def test_a_shadow_obeys_its_masters_writes_in_silence(bench: Bench) -> None:
    replies = bench.send(2, packets.WRITE, bytes([TORQUE, 0, 1]))
    assert [reply[4] for reply in replies] == [2]
    assert bench.read(3, TORQUE) == 1
    bench.send(2, packets.WRITE, bytes([TORQUE, 0, 0]))
    assert bench.write(2, 9, 8) == 0
    assert bench.read(3, 9) == 0  # not its EEPROM


def test_both_motors_of_a_joint_agree_although_they_are_mounted_the_other_way_round(bench: Bench) -> None:
    bench.write(2, TORQUE, 1)
    bench.write(2, GOAL, 2048 + 300, 4)
    bench.wait(1.0)
    assert bench.read(2, POSITION, 4) == bench.read(3, POSITION, 4) == 2348


def test_a_motor_turns_no_faster_than_its_profile_allows(bench: Bench) -> None:
    bench.write(1, TORQUE, 1)
    bench.write(1, 112, 20, 4)
    bench.write(1, GOAL, 4000, 4)
    bench.wait(1.0)
    turned = (bench.read(1, POSITION, 4) - 2048) * 2 * math.pi / 4096
    assert 0.4 < turned < 20 * 0.229 * 2 * math.pi / 60
    assert bench.read(1, 122) == 1


def test_the_homing_offset_shifts_what_is_read_and_where_goals_lead(bench: Bench) -> None:
    assert bench.write(1, 20, 100, 4) == 0
    assert bench.read(1, POSITION, 4) == 2148
    bench.write(1, TORQUE, 1)
    bench.write(1, GOAL, 2148, 4)
    bench.wait(0.5)
    assert bench.chain.joints["waist"].angle == pytest.approx(0.0, abs=1e-3)


def test_the_reverse_bit_turns_the_sign_round(bench: Bench) -> None:
    bench.chain.joints["waist"].angle = 0.5
    before = bench.read(1, POSITION, 4) if not bench.wait(0.01) else 0
    assert bench.write(1, 10, 1) == 0
    bench.wait(0.01)
    assert bench.read(1, POSITION, 4) - 2048 == -(before - 2048)


def test_a_silent_bus_stops_the_motors_until_the_watchdog_is_cleared(bench: Bench) -> None:
    bench.write(1, TORQUE, 1)
    assert bench.write(1, WATCHDOG, 5) == 0
    bench.write(1, 112, 20, 4)
    bench.write(1, GOAL, 4000, 4)
    bench.wait(0.09)
    assert bench.read(1, WATCHDOG) == 5
    bench.wait(0.11)
    assert bench.read(1, WATCHDOG) == -1
    stopped = bench.read(1, POSITION, 4)
    bench.wait(0.5)
    assert bench.read(1, POSITION, 4) == pytest.approx(stopped, abs=12)
    assert bench.write(1, GOAL, 2048, 4) == packets.DATA_RANGE
    assert bench.write(1, WATCHDOG, 0) == bench.write(1, GOAL, 2048, 4) == 0


def test_a_stall_overloads_the_motor_which_lets_go_until_it_is_rebooted(bench: Bench) -> None:
    joint = bench.chain.joints["waist"]
    joint.low = joint.high = 0.0
    bench.write(1, TORQUE, 1)
    bench.write(1, GOAL, 3000, 4)
    bench.wait(0.5)
    assert bench.read(1, 126, 2) > 1000  # present current
    bench.wait(2.0)
    assert bench.read(1, 70) == 32
    assert bench.read(1, TORQUE) == 0
    assert bench.write(1, TORQUE, 1) == packets.RESULT_FAIL | packets.ALERT
    bench.send(1, packets.REBOOT)
    assert bench.send(1, packets.PING) == []
    bench.wait(0.5)
    assert bench.write(1, TORQUE, 1) == 0


def test_a_current_limited_gripper_squeezes_without_overload(bench: Bench) -> None:
    joint = bench.chain.joints["gripper"]
    joint.low = joint.high = 0.0
    assert bench.write(9, 11, 5) == bench.write(9, 102, 200, 2) == bench.write(9, TORQUE, 1) == 0
    bench.write(9, GOAL, 3000, 4)
    bench.wait(5.0)
    assert bench.read(9, 126, 2) == pytest.approx(200, abs=2)
    assert bench.read(9, 70) == 0


def test_work_warms_a_motor_and_heat_shuts_it_down(bench: Bench) -> None:
    motor, joint = bench.chain.motor(1), bench.chain.joints["waist"]
    joint.load = 6.0
    bench.write(1, TORQUE, 1)
    bench.wait(8.0)
    assert bench.read(1, 146) > 27
    motor.temperature = 81.0
    bench.wait(0.1)
    assert bench.read(1, 70) == 4
    assert bench.read(1, TORQUE) == 0


def test_a_supply_out_of_its_limits_is_reported_and_does_not_cut_the_torque(bench: Bench) -> None:
    bench.write(1, TORQUE, 1)
    bench.chain.motor(1).supply = 8.0
    bench.wait(0.1)
    assert (bench.read(1, 70), bench.read(1, TORQUE), bench.read(1, 144, 2)) == (1, 1, 80)


def test_a_reboot_keeps_the_eeprom_and_forgets_the_rest(bench: Bench) -> None:
    bench.write(1, 9, 5)
    bench.write(1, TORQUE, 1)
    bench.send(1, packets.REBOOT)
    bench.wait(0.5)
    assert (bench.read(1, 9), bench.read(1, TORQUE)) == (5, 0)


def test_a_factory_reset_that_keeps_the_id_moves_the_motor_to_its_first_baud_rate(bench: Bench) -> None:
    bench.send(4, packets.FACTORY_RESET, b"\x01")
    assert bench.send(4, packets.PING) == []
    replies = bench.chain.handle(Instruction(4, packets.PING, b""), bench.now, baud=57_600)
    assert [reply.data[4] for reply in replies] == [4]


def test_a_clear_counts_the_turns_anew_and_a_moving_motor_refuses_it(bench: Bench) -> None:
    assert bench.write(1, 11, 4) == bench.write(1, TORQUE, 1) == 0  # extended position: several turns
    assert bench.write(1, GOAL, 2048 + 3 * 4096, 4) == 0
    bench.wait(0.5)
    assert [reply[8] for reply in bench.send(1, packets.CLEAR, CLEAR_MULTI_TURN)] == [packets.RESULT_FAIL]
    bench.wait(20.0)
    assert bench.read(1, POSITION, 4) == pytest.approx(2048 + 3 * 4096, abs=2)
    assert bench.write(1, TORQUE, 0) == 0
    assert [reply[8] for reply in bench.send(1, packets.CLEAR, CLEAR_MULTI_TURN)] == [0]
    assert bench.read(1, POSITION, 4) == pytest.approx(2048, abs=2)


@pytest.mark.parametrize("parameters", [b"", b"\x01", b"\x01\x44\x58\x4c\x23", b"\x02\x44\x58\x4c\x22"])
def test_a_clear_without_its_fixed_bytes_is_refused_and_clears_nothing(bench: Bench, parameters: bytes) -> None:
    bench.write(1, 11, 4)
    bench.chain.pose({"waist": 7.0})
    before = bench.read(1, POSITION, 4)
    assert before > 4095
    assert [reply[8] for reply in bench.send(1, packets.CLEAR, parameters)] == [packets.BAD_INSTRUCTION]
    assert bench.read(1, POSITION, 4) == before


def test_a_registered_write_waits_for_the_action(bench: Bench) -> None:
    bench.send(1, packets.REG_WRITE, bytes([65, 0, 1]))
    assert (bench.read(1, 69), bench.read(1, 65)) == (1, 0)
    bench.send(packets.BROADCAST, packets.ACTION)
    assert (bench.read(1, 69), bench.read(1, 65)) == (0, 1)


def test_indirect_data_shows_the_item_its_address_names(bench: Bench) -> None:
    assert bench.write(1, 168, 146, 2) == 0
    assert bench.read(1, 224) == bench.read(1, 146)


def test_the_status_return_level_silences_answers(bench: Bench) -> None:
    bench.write(1, 68, 1)
    assert bench.write(1, 65, 1) is None
    assert bench.read(1, 65) == 1


def test_a_limp_arm_sinks_to_where_it_rests() -> None:
    chain = Chain(FOLLOWER)
    chain.pose({"shoulder": 0.0})
    bench = Bench(chain)
    bench.wait(4.0)
    assert chain.joints["shoulder"].angle == pytest.approx(-1.85, abs=0.01)


def test_model_numbers_are_those_of_the_manual() -> None:
    assert {name: model.number for name, model in MODELS.items()} == {
        "XM540-W270": 1120,
        "XM430-W350": 1020,
        "XL430-W250": 1060,
        "XC430-W150": 1070,
    }
