"""A chain of motors on one wire: who hears an instruction, who answers, in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aloha_hardware.control_table import BAUD_RATES
from aloha_hardware.emulator import packets
from aloha_hardware.emulator.faults import WireFaults, collide
from aloha_hardware.emulator.mechanics import Joint
from aloha_hardware.emulator.motor import REBOOT_TIME, EmulatedMotor
from aloha_hardware.emulator.packets import Instruction
from aloha_hardware.motors import Motor

SHORTEST_STEP, LONGEST_STEP = 0.003, 0.01  # [s]
CLEAR_MULTI_TURN = bytes([0x01, 0x44, 0x58, 0x4C, 0x22])
RETURN_DELAY_UNIT = 2e-6  # [s]
FAST_READ_FIRMWARE = 45


@dataclass(frozen=True)
class Reply:
    """Bytes on the wire, and how long after the one before they start [s]."""

    data: bytes
    delay: float = 0.0


class Chain:
    """The motors of an arm, their joints and the wire between them.

    Args:
        motors: as wired.
        falls: whether joints without torque sink to where the arm rests.
    """

    def __init__(self, motors: Iterable[Motor], firmware: int = 46, falls: bool = True) -> None:
        self.joints: dict[str, Joint] = {}
        self.motors: list[EmulatedMotor] = []
        self._groups: list[tuple[Joint, list[EmulatedMotor]]] = []
        for motor in motors:
            rest = motor.pose_at_rest
            joint = self.joints.setdefault(motor.joint, Joint(angle=rest, rest=rest if falls else None))
            self._attach(EmulatedMotor(motor, joint, firmware))
        self.faults = WireFaults()
        self.removed: set[int] = set()
        self.instructions = 0
        self._time: float | None = None
        self._last_packet = -math.inf

    def motor(self, ident: int) -> EmulatedMotor:
        """Return the motor with an ID."""
        return next(motor for motor in self.motors if motor.id == ident)

    def pose(self, angles: dict[str, float]) -> None:
        """Put joints at angles [rad], goals included, as if moved by hand without torque."""
        for name, angle in angles.items():
            self.joints[name].angle = angle
        for motor in self.motors:
            motor.registers.set("goal_position", motor.present_position())

    def double(self, ident: int) -> None:
        """Give a second motor the same ID, as a new motor that nobody configured has."""
        original = self.motor(ident)
        twin = Motor(ident, "", original.model)
        self._attach(EmulatedMotor(twin, Joint(), 46))

    def _attach(self, motor: EmulatedMotor) -> None:
        self.motors.append(motor)
        group = next((motors for joint, motors in self._groups if joint is motor.joint), None)
        if group is None:
            self._groups.append((motor.joint, [motor]))
        else:
            group.append(motor)

    def advance(self, now: float) -> None:
        """Let time pass up to a moment [s] of a monotonic clock; moments too close together are taken as one."""
        if self._time is None:
            self._time = self._last_packet = now
        if now - self._time < SHORTEST_STEP:
            return
        steps = math.ceil((now - self._time) / LONGEST_STEP)
        dt = (now - self._time) / steps
        for step in range(1, steps + 1):
            self._step(dt, self._time + step * dt)
        self._time = now

    def handle(self, packet: Instruction, now: float, baud: int = 1_000_000) -> list[Reply]:
        """Let the motors that hear a packet act on it, and return what they answer, in order."""
        self.advance(now)
        self._last_packet = now
        self.instructions += 1
        heard = [motor for motor in self.motors if self._hears(motor, now, baud)]
        answers = self._dispatch(packet, heard, now)
        return [reply for reply in answers if reply.data]

    def _step(self, dt: float, now: float) -> None:
        silence = now - self._last_packet
        for joint, motors in self._groups:
            drives = [drive for motor in motors if (drive := motor.drive()) is not None]
            torques = joint.step(drives, dt)
            each = torques if len(torques) == len(motors) else [0.0] * len(motors)
            if 0 < len(torques) < len(motors):
                each = [torques[0] if motor.torque else 0.0 for motor in motors]
            for motor, torque in zip(motors, each, strict=True):
                motor.feel(torque, dt, now, silence)

    def _hears(self, motor: EmulatedMotor, now: float, baud: int) -> bool:
        there = motor.id not in self.removed and now >= motor.offline_until
        return there and BAUD_RATES[motor.registers.get("baud_rate")] == baud

    def _dispatch(self, packet: Instruction, heard: list[EmulatedMotor], now: float) -> list[Reply]:
        mine = [motor for motor in heard if packet.ident in (motor.id, packets.BROADCAST)]
        if not packet.intact:
            return [self._answer(motor, packets.BAD_CRC) for motor in mine if packet.ident == motor.id]
        parameters = packet.parameters
        many: dict[int, Callable[[], list[Reply]]] = {
            packets.SYNC_READ: lambda: self._reads(_sync_reads(parameters), heard),
            packets.BULK_READ: lambda: self._reads(_bulk_reads(parameters), heard),
            packets.FAST_SYNC_READ: lambda: self._fast_reads(_sync_reads(parameters), heard),
            packets.FAST_BULK_READ: lambda: self._fast_reads(_bulk_reads(parameters), heard),
            packets.SYNC_WRITE: lambda: self._writes(_sync_writes(parameters), heard),
            packets.BULK_WRITE: lambda: self._writes(_bulk_writes(parameters), heard),
        }
        if packet.code in many:
            return many[packet.code]()
        if packet.code == packets.WRITE:
            self._write_shadows(packet.ident, parameters, heard)
        if packet.ident == packets.BROADCAST:
            return self._broadcast(packet, mine, now)
        return self._collisions([self._single(packet, motor, now) for motor in mine])

    def _broadcast(self, packet: Instruction, motors: list[EmulatedMotor], now: float) -> list[Reply]:
        ordered = sorted(motors, key=lambda motor: motor.id)
        if packet.code == packets.PING:
            return [self._single(packet, motor, now) for motor in ordered]
        if packet.code not in (packets.READ, packets.FACTORY_RESET):
            for motor in ordered:
                self._single(packet, motor, now)
        return []

    def _single(self, packet: Instruction, motor: EmulatedMotor, now: float) -> Reply:
        parameters, get = packet.parameters, motor.registers.get
        error, data, level = 0, b"", 2
        if packet.code == packets.PING:
            data = get("model_number").to_bytes(2, "little") + bytes([get("firmware_version")])
            level = 0
        elif packet.code == packets.READ:
            error, data = motor.read(_word(parameters, 0), _word(parameters, 2))
            level = 1
        elif packet.code == packets.WRITE:
            error = motor.write(_word(parameters, 0), parameters[2:])
        elif packet.code == packets.REG_WRITE:
            motor.registered = (_word(parameters, 0), parameters[2:])
            motor.registers.set("registered_instruction", 1)
        elif packet.code == packets.ACTION:
            error = motor.write(*motor.registered) if motor.registered else packets.RESULT_FAIL
            motor.registered = None
            motor.registers.set("registered_instruction", 0)
        elif packet.code == packets.REBOOT:
            reply = self._answer(motor, 0)
            motor.power_up()
            motor.offline_until = now + REBOOT_TIME
            return reply
        elif packet.code == packets.FACTORY_RESET:
            motor.factory_reset(parameters[0] if parameters else 0xFF)
        elif packet.code == packets.CLEAR and parameters == CLEAR_MULTI_TURN:
            error = motor.clear_turns()
        else:
            error = packets.BAD_INSTRUCTION
        return self._answer(motor, error, data) if get("status_return_level") >= level else Reply(b"")

    def _write_shadows(self, ident: int, parameters: bytes, heard: list[EmulatedMotor]) -> None:
        for motor in heard:
            if motor.registers.get("secondary_id") == ident != motor.id and ident < 253:
                motor.write(_word(parameters, 0), parameters[2:], shadow=True)

    def _writes(self, writes: Sequence[tuple[int, bytes]], heard: list[EmulatedMotor]) -> list[Reply]:
        for ident, parameters in writes:
            for motor in heard:
                if motor.id == ident:
                    motor.write(_word(parameters, 0), parameters[2:])
            self._write_shadows(ident, parameters, heard)
        return []

    def _reads(self, reads: Sequence[tuple[int, int, int]], heard: list[EmulatedMotor]) -> list[Reply]:
        replies: list[Reply] = []
        for ident, address, length in reads:
            mine = [motor for motor in heard if motor.id == ident]
            replies += self._collisions([self._answer(motor, *motor.read(address, length)) for motor in mine])
        return replies

    def _fast_reads(self, reads: Sequence[tuple[int, int, int]], heard: list[EmulatedMotor]) -> list[Reply]:
        """Answer in one packet. Each motor waits for the one before it: after a gap nobody speaks."""
        able = [motor for motor in heard if motor.registers.get("firmware_version") >= FAST_READ_FIRMWARE]
        blocks: list[tuple[int, int, bytes]] = []
        for ident, address, length in reads:
            motor = next((motor for motor in able if motor.id == ident), None)
            if motor is None:
                break
            error, data = motor.read(address, length)
            blocks.append((error | motor.alert, ident, data or bytes(length)))
        if not blocks:
            return []
        silent = [(0, ident, bytes(length)) for ident, _, length in reads[len(blocks) :]]
        packet = packets.fast_status(blocks + silent)  # its length is announced for all of them
        if silent:
            packet = packet[: 8 + sum(len(data) + 4 for _, _, data in blocks)]
        return [Reply(*self.faults.apply(packet))]

    def _answer(self, motor: EmulatedMotor, error: int, data: bytes = b"") -> Reply:
        packet = packets.status(motor.id, error | motor.alert, data)
        packet, delay = self.faults.apply(packet)
        return Reply(packet, delay + motor.registers.get("return_delay_time") * RETURN_DELAY_UNIT)

    def _collisions(self, replies: list[Reply]) -> list[Reply]:
        if len(replies) < 2:
            return replies
        return [Reply(collide([reply.data for reply in replies]), replies[0].delay)]


def _word(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 2], "little")


def _sync_reads(data: bytes) -> list[tuple[int, int, int]]:
    return [(ident, _word(data, 0), _word(data, 2)) for ident in data[4:]]


def _bulk_reads(data: bytes) -> list[tuple[int, int, int]]:
    return [(data[at], _word(data, at + 1), _word(data, at + 3)) for at in range(0, len(data) - 4, 5)]


def _sync_writes(data: bytes) -> list[tuple[int, bytes]]:
    size = _word(data, 2)
    return [(data[at], data[:2] + data[at + 1 : at + 1 + size]) for at in range(4, len(data) - size, size + 1)]


def _bulk_writes(data: bytes) -> list[tuple[int, bytes]]:
    writes, at = [], 0
    while at + 5 <= len(data):
        size = _word(data, at + 3)
        writes.append((data[at], data[at + 1 : at + 3] + data[at + 5 : at + 5 + size]))
        at += 5 + size
    return writes
