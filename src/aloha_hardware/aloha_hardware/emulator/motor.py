"""One emulated motor: registers with their rules, and the servo behind them (ROBOTIS e-Manual, X series).

What the manual leaves open is modelled on the safe side for whoever drives it: a Goal Position outlives Torque Enable,
so that a driver which forgets to set it first sees the arm jump.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aloha_hardware.control_table import Item
from aloha_hardware.emulator import packets
from aloha_hardware.emulator.mechanics import Drive, Joint
from aloha_hardware.emulator.registers import Registers
from aloha_hardware.motors import REVERSE, Motor
from aloha_hardware.units import CURRENT_UNIT, RAD_PER_TICK, TICKS_PER_TURN, VELOCITY_UNIT, WATCHDOG_UNIT

CURRENT, VELOCITY, POSITION, EXTENDED, CURRENT_POSITION, PWM = 0, 1, 3, 4, 5, 16
POSITION_MODES = (POSITION, EXTENDED, CURRENT_POSITION)
GOALS = ("goal_pwm", "goal_current", "goal_velocity", "goal_position")
SINGLE_TURN_OFFSET = 1024

AMBIENT = 25.0  # [°C]
HEATING = 2.0  # [°C/s] at stall
COOLING = 0.02  # [1/s]
DROOP = 4.0  # [0.1 V] of the supply at stall
FULL_PUSH_ERROR = 141 * RAD_PER_TICK  # [rad] at which the default gain gives all it has
OVERLOAD_SHARE = 0.8  # of the stall torque
OVERLOAD_TIME = 1.5  # [s] above it until the motor gives up
REBOOT_TIME = 0.4  # [s] off the bus
BIT_VOLTAGE, BIT_HEAT, BIT_OVERLOAD = 1, 4, 32


@dataclass(frozen=True)
class Servo:
    """What the registers make of the motor, worked out once per change of theirs.

    Args:
        goal_angle: of the joint [rad], in the position modes.
        share: of what the motor can give, in the other modes.
    """

    torque: bool
    goal_angle: float | None
    share: float
    gain: float
    top_speed: float
    stall: float
    limit: float
    watchdog: float
    temperature_limit: int
    voltage_limits: tuple[int, int]


class EmulatedMotor:
    """A motor that keeps its registers, moves its joint, and knows when it hurts itself."""

    def __init__(self, motor: Motor, joint: Joint, firmware: int = 46) -> None:
        self.model, self.joint = motor.model, joint
        self.registers = Registers(motor.model.table)
        self.mounted_reversed = bool(motor.drive_mode & REVERSE)
        self.supply = 12.0  # [V]
        self.temperature = AMBIENT
        self.offline_until = -math.inf
        self.registered: tuple[int, bytes] | None = None
        self._overload_for = 0.0
        self._turns = 0
        self._tripped = False
        self._torque = self._now = 0.0
        self._servo: Servo | None = None
        self._servo_version = -1
        settings = {
            "firmware_version": firmware,
            "id": motor.id,
            "baud_rate": 3,
            "return_delay_time": 0,
            "drive_mode": motor.drive_mode,
            "operating_mode": POSITION,
            "secondary_id": motor.secondary_id,
            "velocity_limit": 131,
            "min_position_limit": motor.min_ticks,
            "max_position_limit": motor.max_ticks,
        }
        for name, value in settings.items():
            self.registers.set(name, value)
        self.power_up()

    # Registers -----------------------------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        """Its address on the bus."""
        return self.registers.get("id")

    @property
    def torque(self) -> bool:
        """Whether it holds its joint."""
        return bool(self.registers.get("torque_enable"))

    @property
    def alert(self) -> int:
        """The alert bit of its status packets."""
        return packets.ALERT if self.registers.get("hardware_error_status") else 0

    @property
    def stopped_by_watchdog(self) -> bool:
        """Whether the bus was silent for too long and nobody has cleared it."""
        return self._tripped

    def power_up(self) -> None:
        """Load the defaults of the RAM; the encoder knows its angle within one turn only."""
        self.registers.reset(eeprom=False)
        self._tripped, self._overload_for, self.registered = False, 0.0, None
        for limit in ("pwm", "current"):
            if f"{limit}_limit" in self.registers.table:
                self.registers.set(f"goal_{limit}", self.registers.get(f"{limit}_limit"))
        self._forget_turns()
        self.registers.set("goal_position", self.present_position())
        self._servo = None

    def clear_turns(self) -> int:
        """Count turns from this one on, and return the error; refused in motion. The goal stays."""
        self._measure()
        if self.registers.get("moving"):
            return packets.RESULT_FAIL
        self._forget_turns()
        self._servo = None
        return 0

    def _forget_turns(self) -> None:
        self._turns = -math.floor((self._encoder() + TICKS_PER_TURN // 2) / TICKS_PER_TURN)

    def factory_reset(self, option: int) -> None:
        """Forget all settings but the ID (option 1), or the ID and the baud rate (option 2)."""
        kept = {1: ("id",), 2: ("id", "baud_rate")}.get(option, ())
        values = {name: self.registers.get(name) for name in (*kept, "firmware_version")}
        self.registers.reset(eeprom=True)
        for name, value in values.items():
            self.registers.set(name, value)
        self.power_up()

    def read(self, address: int, length: int) -> tuple[int, bytes]:
        """Answer a read: (error, data)."""
        self._measure()
        return self.registers.read(address, length)

    def write(self, address: int, data: bytes, shadow: bool = False) -> int:
        """Execute a write and return the error; all of it or nothing is stored.

        Args:
            shadow: addressed to the Secondary ID, which reaches the RAM only.
        """
        error, writes = self.registers.split(address, data)
        if not error:
            error = next((problem for item, value in writes if (problem := self._objection(item, value, shadow))), 0)
        if not error:
            for item, value in writes:
                self._store(item, value)
        return error

    def _objection(self, item: Item, value: int, shadow: bool) -> int:
        if item.in_eeprom and (shadow or self.torque):
            return packets.ACCESS
        if item.name in GOALS and self._tripped:
            return packets.DATA_RANGE
        if item.name == "bus_watchdog" and value < 0:
            return packets.DATA_RANGE
        if item.name == "operating_mode" and value not in self.model.modes:
            return packets.DATA_RANGE
        if item.name == "torque_enable" and value and self._is_shut_down():
            return packets.RESULT_FAIL
        return packets.DATA_LIMIT if self._beyond_limit(item.name, value) else 0

    def _beyond_limit(self, name: str, value: int) -> bool:
        get = self.registers.get
        if name == "goal_position" and get("operating_mode") == POSITION:
            return not get("min_position_limit") <= value <= get("max_position_limit")
        limits = {"goal_pwm": "pwm_limit", "goal_current": "current_limit", "goal_velocity": "velocity_limit"}
        limits["profile_velocity"] = "velocity_limit"
        return name in limits and limits[name] in self.registers.table and abs(value) > get(limits[name])

    def _store(self, item: Item, value: int) -> None:
        changed = item.name != "indirect" and value != self.registers.get(item.name)
        self.registers.store(item, value)
        if item.name == "bus_watchdog":
            self._tripped = False
        elif item.name == "operating_mode" and changed:
            self._enter_mode()

    def _enter_mode(self) -> None:
        registers = self.registers
        for name in ("profile_velocity", "profile_acceleration"):
            registers.set(name, 0)
        for name, item in registers.table.items():
            if name.endswith("_gain"):
                registers.set(name, item.default)
        for limit in ("pwm", "current"):
            if f"{limit}_limit" in registers.table:
                registers.set(f"goal_{limit}", registers.get(f"{limit}_limit"))
        registers.set("goal_position", self.present_position())

    def _is_shut_down(self) -> bool:
        return bool(self.registers.get("hardware_error_status") & self.registers.get("shutdown"))

    # Motion --------------------------------------------------------------------------------------------------------

    def drive(self) -> Drive | None:
        """Return what the motor wants of its joint; nothing without torque."""
        servo = self._current_servo()
        if not servo.torque:
            return None
        if servo.goal_angle is None:
            share = 0.0 if self._tripped else servo.share
            return Drive(share * self.model.top_speed, share * servo.stall, servo.limit)
        error = 0.0 if self._tripped else servo.goal_angle - self.joint.angle
        velocity = min(max(20.0 * servo.gain * error, -servo.top_speed), servo.top_speed)
        push = servo.stall * min(max(error * servo.gain / FULL_PUSH_ERROR, -1.0), 1.0)
        return Drive(velocity, push, servo.limit)

    def feel(self, torque: float, dt: float, now: float, silence: float) -> None:
        """Let time pass: heat, overload and watchdog.

        Args:
            torque: it exerted [N·m].
            dt, now: time that passed, and the time it is now [s].
            silence: how long the bus has said nothing [s].
        """
        servo = self._current_servo()
        share = abs(torque) / servo.stall
        self.temperature += dt * (HEATING * share**2 - COOLING * (self.temperature - AMBIENT))
        self._overload_for = self._overload_for + dt if share >= OVERLOAD_SHARE else 0.0
        self._torque, self._now = torque, now
        if servo.torque and 0.0 < servo.watchdog <= silence and not self._tripped:
            self._tripped = True
            self.registers.set("bus_watchdog", -1)
            if servo.goal_angle is not None:
                self.registers.set("goal_position", self.present_position())
        voltage = self._voltage()
        bits = BIT_OVERLOAD if self._overload_for >= OVERLOAD_TIME else 0
        bits |= BIT_HEAT if self.temperature > servo.temperature_limit else 0
        bits |= BIT_VOLTAGE if not servo.voltage_limits[0] <= voltage <= servo.voltage_limits[1] else 0
        if bits and bits & ~self.registers.get("hardware_error_status"):
            self.fail(bits)

    def fail(self, bits: int) -> None:
        """Raise a hardware error; torque goes off when it is one the motor shuts down for."""
        status = self.registers.get("hardware_error_status") | bits
        self.registers.set("hardware_error_status", status)
        if self._is_shut_down():
            self.registers.set("torque_enable", 0)

    def present_position(self) -> int:
        """Return its angle in ticks, as the register holds it."""
        return self._encoder() + TICKS_PER_TURN // 2 + self._turns * TICKS_PER_TURN + self._offset()

    def _measure(self) -> None:
        """Bring the registers that only measure up to date."""
        sign = self._sign()
        load = sign * self._torque / self._stall_torque()
        current = sign * self._torque / self.model.torque_constant / CURRENT_UNIT
        velocity = round(sign * self.joint.velocity / VELOCITY_UNIT)
        values = {
            "realtime_tick": int(self._now * 1000) % 32768,
            "moving": int(abs(velocity) > self.registers.get("moving_threshold")),
            "present_pwm": round(885 * load),
            "present_current": round(current if self.model.senses_current else 1000 * load),
            "present_velocity": velocity,
            "present_position": self.present_position(),
            "present_input_voltage": self._voltage(),
            "present_temperature": round(self.temperature),
        }
        for name, number in values.items():
            self.registers.measure(name, number)

    def _voltage(self) -> int:
        return round(10 * self.supply - DROOP * abs(self._torque) / self._stall_torque())

    def _current_servo(self) -> Servo:
        if self._servo is None or self._servo_version != self.registers.version:
            self._servo, self._servo_version = self._read_servo(), self.registers.version
        return self._servo

    def _read_servo(self) -> Servo:
        get, mode, stall = self.registers.get, self.registers.get("operating_mode"), self._stall_torque()
        limit = stall
        if self.model.senses_current and mode in (CURRENT, *POSITION_MODES):
            cap = "goal_current" if mode in (CURRENT, CURRENT_POSITION) else "current_limit"
            limit = min(stall, abs(get(cap)) * CURRENT_UNIT * self.model.torque_constant)
        goal, full = {
            VELOCITY: ("goal_velocity", self.model.top_speed / VELOCITY_UNIT),
            CURRENT: ("goal_current", stall / (CURRENT_UNIT * self.model.torque_constant)),
        }.get(mode, ("goal_pwm", 885.0))
        profile = get("profile_velocity") * VELOCITY_UNIT
        return Servo(
            torque=self.torque,
            goal_angle=self._goal_angle() if mode in POSITION_MODES else None,
            share=min(max(self._sign() * get(goal) / full, -1.0), 1.0),
            gain=get("position_p_gain") / self.registers.table["position_p_gain"].default,
            top_speed=min(profile, self.model.top_speed) if profile else self.model.top_speed,
            stall=stall,
            limit=limit,
            watchdog=get("bus_watchdog") * WATCHDOG_UNIT,
            temperature_limit=get("temperature_limit"),
            voltage_limits=(get("min_voltage_limit"), get("max_voltage_limit")),
        )

    def _stall_torque(self) -> float:
        return self.model.stall_torque

    def _sign(self) -> int:
        return 1 if bool(self.registers.get("drive_mode") & REVERSE) == self.mounted_reversed else -1

    def _encoder(self) -> int:
        return self._sign() * round(self.joint.angle / RAD_PER_TICK)

    def _offset(self) -> int:
        offset = self.registers.get("homing_offset")
        single = self.registers.get("operating_mode") == POSITION
        return 0 if single and abs(offset) > SINGLE_TURN_OFFSET else offset

    def _goal_angle(self) -> float:
        ticks = self.registers.get("goal_position") - TICKS_PER_TURN // 2 - self._turns * TICKS_PER_TURN
        return self._sign() * (ticks - self._offset()) * RAD_PER_TICK
