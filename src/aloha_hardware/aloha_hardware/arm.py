"""One arm behind its bus, without ROS: bring up, read, write, hold, recover.

Everything here belongs to one thread at a time; the driver's loop is that thread while the arm is active.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from aloha_hardware.arm_checks import Warn, check_adapter, check_arm, check_identity, restart
from aloha_hardware.arm_reading import Health, Reading
from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.bus import Bus
from aloha_hardware.control_table import describe_hardware_error
from aloha_hardware.errors import BusError, MotorError
from aloha_hardware.motors import Motor
from aloha_hardware.port import QuietPort
from aloha_hardware.units import CURRENT_UNIT, LOAD_UNIT, VELOCITY_UNIT, Angles, radians_from_ticks, ticks_from_radians

FIRST_READS = 5
PATIENCE = 0.05  # [s] for an answer while nothing is in a hurry
OUTSIDE_TOLERANCE = 200  # [ticks] a resting arm may lie beyond its motors' position limits


class Arm:
    """The motors of one arm.

    Args:
        settings: checked.
        warn: where repairs made on the way are told.
    """

    def __init__(self, settings: ArmSettings, warn: Warn) -> None:
        self.settings = settings
        self.port = QuietPort(settings.device, settings.bus_patience)
        self.bus = Bus(settings.motors, self.port)
        self.health: dict[int, Health] = {}
        self.current_limits: dict[int, float] = {}  # [A] of the motors that should stay well below
        self.silent: tuple[Motor, ...] = ()
        self.warn = warn
        self._masters = settings.masters
        self._ids = [motor.id for motor in self._masters]
        shafts = Counter(motor.joint for motor in settings.motors)
        self._effort_scale = [_effort_scale(m, shafts[m.joint], settings.effort_unit) for m in self._masters]
        self._limits = [(motor.min_ticks, motor.max_ticks) for motor in self._masters]

    # Bring-up ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the port and check everything; no torque is switched on.

        Raises:
            HardwareError: naming what is wrong and the remedy; the port is closed again.
        """
        self._await_port()
        self.port.connect(self.settings.baud)
        try:
            with self._patience():
                check_adapter(self.port, self.settings, self.warn)
                check_arm(self.bus, self.settings, self.warn)
                self._read_current_limits()
        except Exception:
            self.port.disconnect()
            raise

    def close(self) -> None:
        """Close the port; whatever holds goes on holding."""
        self.port.disconnect()

    def torque_on(self) -> None:
        """Hold the arm where it is: goals first, then torque, then the watchdog.

        Raises:
            MotorError: a motor refuses; motors that had no torque before have none again.
        """
        with self._patience():
            self._torque_on()

    def _torque_on(self) -> None:
        was_on = self.torque()
        self._set_watchdogs(0)
        self._write_gains()
        self._aim_where_it_is()
        self.bus.sync_write("torque_enable", dict.fromkeys(self._ids, 1))
        limp = [ident for ident, on in self.torque().items() if not on]
        if limp:
            alone = {ident: 0 for ident, on in was_on.items() if not on and ident not in limp}
            if alone:
                self.bus.write_all("torque_enable", alone)
            raise MotorError(f"{self.settings.device}: motors {limp} do not switch their torque on. {self._why(limp)}")
        self._set_watchdogs(self.settings.watchdog_raw)

    def torque_off(self) -> None:
        """Let the arm go. It falls unless something carries it."""
        with self._patience():
            self._set_watchdogs(0)
            self.bus.write_all("torque_enable", dict.fromkeys(self.bus.motors, 0))

    def let_hold(self) -> None:
        """Leave the arm held without anyone on the bus: a watchdog that trips would only have to be cleared."""
        with self._patience():
            self._set_watchdogs(0)

    def torque(self) -> dict[int, bool]:
        """Return by ID which motors hold."""
        return {ident: bool(value) for ident, value in self.bus.read_all("torque_enable").items()}

    def stopped_by_watchdog(self) -> tuple[int, ...]:
        """Return which motors stopped by themselves when nobody talked to them; they follow no goal until resumed."""
        return tuple(ident for ident, value in self.bus.read_all("bus_watchdog").items() if value < 0)

    def reboot(self, idents: Sequence[int]) -> None:
        """Restart motors and hold the arm again, where it is. The others hold meanwhile.

        Raises:
            BusError, MotorError: one does not come back, or still reports its error.
        """
        with self._patience():
            others = [ident for ident in self.bus.motors if ident not in idents]
            if others:
                self.bus.write_all("bus_watchdog", dict.fromkeys(others, 0))
            for ident in idents:
                restart(self.bus, ident)
            errors, _ = self.examine()
            if errors:
                raise MotorError(f"{self.describe_errors(errors)} Remove the cause and restart again.")
            if self.settings.torque:
                self.torque_on()

    def reconnect(self) -> None:
        """Open the port again after it went away, and make sure the arm is still the same and still holds.

        Raises:
            HardwareError: it is not back yet, or the motors lost their power meanwhile.
        """
        self.port.disconnect()
        self.port.connect(self.settings.baud)
        check_identity(self.bus, self.settings)
        self.resume()

    def resume(self) -> None:
        """Bring motors that stopped by themselves back under command, where they are.

        Raises:
            MotorError: some hold nothing any more.
        """
        with self._patience():
            limp = [ident for ident, on in self.torque().items() if not on]
            if self.settings.torque and limp:
                raise MotorError(
                    f"{self.settings.device}: motors {limp} lost their torque. {self._why(limp)} Then call "
                    "~/reboot_motors."
                )
            self._set_watchdogs(0)
            self._aim_where_it_is()
            self._set_watchdogs(self.settings.watchdog_raw if self.settings.torque else 0)

    # The loop ------------------------------------------------------------------------------------------------------

    def read(self) -> Reading | None:
        """Read all joints; None where not every one answered (then `silent` names the others).

        Raises:
            PortError: the port went away.
        """
        values = self.bus.sync_read(self._ids, "present_current", "present_position")
        self.silent = tuple(motor for motor in self._masters if motor.id not in values)
        if self.silent:
            return None
        stamp = time.monotonic()
        rows = [values[ident] for ident in self._ids]
        return Reading(
            stamp,
            tuple(radians_from_ticks(row["present_position"]) for row in rows),
            tuple(row["present_velocity"] * VELOCITY_UNIT for row in rows),
            tuple(row["present_current"] * scale for row, scale in zip(rows, self._effort_scale, strict=True)),
        )

    def first_reading(self) -> Reading:
        """Read all joints while nothing is in a hurry yet.

        Raises:
            BusError: not every motor answers.
            PortError: the port went away.
        """
        with self._patience():
            for _ in range(FIRST_READS):
                if (reading := self.read()) is not None:
                    return reading
        names = ", ".join(self.name(motor.id) for motor in self.silent)
        raise BusError(f"{self.settings.device}: {names} silent. Check the cable there.")

    def write(self, angles: Angles) -> None:
        """Send the joints to angles [rad], within the motors' own limits.

        Raises:
            PortError: the port went away.
        """
        goals = {
            ident: min(max(ticks_from_radians(angle), low), high)
            for ident, angle, (low, high) in zip(self._ids, angles, self._limits, strict=True)
        }
        self.bus.sync_write("goal_position", goals)

    def examine(self) -> tuple[dict[int, int], set[int]]:
        """Read the hardware errors of all motors, shadows included: (those that have one, the silent ones).

        A motor with an error says so in every packet too. Without that the value is another read's late answer: status
        packets do not name the instruction they answer, and 1 is what a healthy torque_enable reads.
        """
        idents = [motor.id for motor in self.settings.motors]
        found = self.bus.sync_read(idents, "hardware_error_status", "hardware_error_status", fast=False)
        values = {ident: row["hardware_error_status"] for ident, row in found.items()}
        errors = {ident: bits for ident, bits in values.items() if bits and ident in self.bus.alerts}
        return errors, {ident for ident in idents if ident not in found}

    def measure_health(self) -> None:
        """Read current, voltage and temperature of all motors, shadows included."""
        motors = {motor.id: motor for motor in self.settings.motors}
        found = self.bus.sync_read(list(motors), "present_current", "present_temperature", retry=False)
        for ident, row in found.items():
            current = row["present_current"] * CURRENT_UNIT if motors[ident].model.senses_current else None
            self.health[ident] = Health(row["present_input_voltage"] / 10, float(row["present_temperature"]), current)

    def describe_silence(self) -> str:
        """Say who did not answer the last read, and what to check."""
        if len(self.silent) == len(self._masters):
            return "no motor answers. Check the 12 V supply and the cable"
        return f"{', '.join(self.name(motor.id) for motor in self.silent)} silent. Check the cable there"

    def describe_errors(self, errors: Mapping[int, int]) -> str:
        """Say in words which motors report what."""
        return " ".join(f"{self.name(ident)}: {describe_hardware_error(bits)}." for ident, bits in errors.items())

    def name(self, ident: int) -> str:
        """Name a motor for a person."""
        return f"motor {ident} ({self.bus.motors[ident].joint})"

    # Parts ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Wait longer for answers than the loop can afford to."""
        before, self.port.patience = self.port.patience, max(self.settings.bus_patience, PATIENCE)
        try:
            yield
        finally:
            self.port.patience = before

    def _await_port(self) -> None:
        """Give a port that is just being plugged in, or emulated, its time; what is missing then, connect says."""
        end = time.monotonic() + self.settings.start_timeout
        while not os.path.exists(self.settings.device) and time.monotonic() < end:
            time.sleep(0.05)

    def _read_current_limits(self) -> None:
        """Note what each motor may draw: its limit, or where it stalls. A gripper is meant to squeeze at its limit."""
        gripper = self._ids[-1]
        motors = {m.id: m for m in self.settings.motors if m.model.senses_current and m.id != gripper}
        for ident, limit in self.bus.read_all("current_limit", list(motors)).items() if motors else ():
            self.current_limits[ident] = min(limit * CURRENT_UNIT, motors[ident].model.stall_current)

    def _set_watchdogs(self, value: int) -> None:
        self.bus.write_all("bus_watchdog", dict.fromkeys(self.bus.motors, value))

    def _write_gains(self) -> None:
        settings = self.settings
        gains = {
            "position_p_gain": settings.position_p_gain,
            "position_i_gain": settings.position_i_gain,
            "position_d_gain": settings.position_d_gain,
            "profile_velocity": 0,
            "profile_acceleration": 0,
        }
        for name, value in gains.items():
            self.bus.write_all(name, dict.fromkeys(self.bus.motors, value))
        gripper = self._masters[-1]
        if gripper.model.senses_current:
            self.bus.write_all("goal_current", {gripper.id: settings.gripper_current_raw})

    def _aim_where_it_is(self) -> None:
        """Make every motor's goal its present position: torque would otherwise make it jump to an old one."""
        goals = {}
        for ident, there in self.bus.read_all("present_position").items():
            motor = self.bus.motors[ident]
            goals[ident] = min(max(there, motor.min_ticks), motor.max_ticks)
            if abs(goals[ident] - there) > OUTSIDE_TOLERANCE:
                raise MotorError(
                    f"{self.settings.device}: {self.name(ident)} stands at {radians_from_ticks(there):.2f} rad, far "
                    "beyond its limits. Move the joint into its range by hand."
                )
        self.bus.write_all("goal_position", goals)

    def _why(self, idents: Sequence[int]) -> str:
        errors = {ident: bits for ident, bits in self.examine()[0].items() if ident in idents}
        if errors:
            return self.describe_errors(errors)
        return "Their supply was cut: support the arm and check the 12 V."


def _effort_scale(motor: Motor, motors_on_shaft: int, unit: str) -> float:
    """Return what one unit of the present current is worth; the motors of a joint share its load evenly."""
    if unit == "milliampere":
        return 1e3 * CURRENT_UNIT if motor.model.senses_current else LOAD_UNIT
    per_unit = CURRENT_UNIT if motor.model.senses_current else LOAD_UNIT
    return per_unit * motor.model.torque_constant * motors_on_shaft
