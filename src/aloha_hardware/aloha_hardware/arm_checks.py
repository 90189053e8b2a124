"""Everything that must be right before an arm gets torque: the motors, their settings, their state."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.bus import FAST_READ_FIRMWARE, Bus
from aloha_hardware.control_table import describe_hardware_error
from aloha_hardware.errors import BusError, MotorError, PortError
from aloha_hardware.motors import URDF_LIMITS, Motor, model_name
from aloha_hardware.port import QuietPort
from aloha_hardware.units import RAD_PER_TICK, Angles, radians_from_ticks

POSITION_MODE, CURRENT_BASED_POSITION_MODE = 3, 5
OTHER_BAUDS = (57_600, 115_200, 2_000_000)
REBOOT_PATIENCE = 2.0  # [s]
POSE_TOLERANCE = 0.35  # [rad] beyond the vendor's limits; a sleeping arm rests up to 0.2 beyond them
GRIPPER_TOLERANCE = 0.35  # [rad]
SHADOW_TOLERANCE = 100  # [ticks] between a joint's two motors
SHADOW_ROUNDING = 8  # [ticks]

Warn = Callable[[str], None]


def check_arm(bus: Bus, settings: ArmSettings, warn: Warn) -> None:
    """Check everything, repair what is safe to repair without torque, and refuse the rest.

    Raises:
        BusError, MotorError: naming the motor and the remedy. Nothing has moved and no torque was switched on.
    """
    check_identity(bus, settings)
    check_free(bus, settings)
    check_health(bus, settings, warn)
    check_registers(bus, settings, warn)
    check_shadows(bus, settings, warn)
    check_pose(bus, settings)


def check_adapter(port: QuietPort, settings: ArmSettings, warn: Warn) -> None:
    """Make sure the open port is the adapter this arm is said to be on, and warn where it would answer late.

    Raises:
        PortError: it is another one.
    """
    wanted, found = settings.adapter_serial, port.serial_number
    if wanted and found != wanted:
        raise PortError(
            f"{settings.device}: the adapter's serial number is '{found}', {settings.arm} is on '{wanted}'. The arms "
            "are swapped: exchange the ports or the udev rules."
        )
    if found and not wanted:
        warn(f"{settings.device}: {unchecked_adapter(settings.arm, found)}.")
    latency = port.latency_ms
    if latency is not None and latency > 1:
        warn(
            f"{settings.device}: latency timer {latency} ms makes every read late. Install the udev rules, or write 1 "
            "to its latency_timer."
        )


def unchecked_adapter(arm: str, serial: str) -> str:
    """Say that nothing would notice swapped arms, and what would."""
    return (
        f"nothing checks that this is {arm}; swapped arms would go unnoticed. If it is, write adapter_serial: {serial} "
        "under this arm into the hardware file"
    )


def check_identity(bus: Bus, settings: ArmSettings) -> None:
    """Make sure every motor of the arm is there, is the right model, and nothing else is on the bus."""
    where, firmware = settings.device, []
    for motor in settings.motors:
        try:
            number, version = bus.ping(motor.id)
        except BusError as error:
            raise _absent(bus, settings, motor, error) from error
        if number != motor.model.number:
            raise MotorError(
                f"{where}: motor {motor.id} ({motor.joint}) is a {model_name(number)}, a {settings.kind} has a "
                f"{motor.model.name} there. Is this the port of another arm? If the kit differs, say so: "
                f"models: ['{motor.id}={model_name(number)}']."
            )
        firmware.append(version)
    extra = sorted(bus.broadcast_ping() - {motor.id for motor in settings.motors})
    if extra:
        raise MotorError(
            f"{where}: there are motors with IDs {extra} that no {settings.kind} has. Take them off the bus or give "
            "them their right ID."
        )
    able = min(firmware) >= FAST_READ_FIRMWARE
    if settings.read_mode == "fast" and not able:
        raise MotorError(
            f"{where}: firmware {min(firmware)} knows no fast sync read. Update it to {FAST_READ_FIRMWARE} or newer, "
            "or use read_mode: auto."
        )
    bus.fast = able and settings.read_mode != "plain"


def check_free(bus: Bus, settings: ArmSettings) -> None:
    """Refuse an arm that is to move freely while motors of it hold: a crash, or another program, left their torque on.

    Letting go by ourselves would drop the arm on whoever stands below it.
    """
    if settings.torque:
        return
    holding = [bus.motors[ident] for ident, on in bus.read_all("torque_enable").items() if on]
    if holding:
        refuse_held(settings.device, [f"{motor.id} ({motor.joint})" for motor in holding])


def refuse_held(where: str, motors: Sequence[str]) -> NoReturn:
    """Say what to do with an arm that holds though a hand is to move it.

    Raises:
        MotorError: always.
    """
    raise MotorError(
        f"{where}: motors {', '.join(motors)} hold, and this arm is driven without torque, for a hand to move it. "
        "Support the arm, switch its 12 V supply off and on, and configure again."
    )


def check_health(bus: Bus, settings: ArmSettings, warn: Warn) -> None:
    """Make sure no motor has shut down; a limp one is restarted, which makes it no limper."""
    for ident, status in bus.read_all("hardware_error_status").items():
        if not status:
            continue
        motor = bus.motors[ident]
        problem = f"{settings.device}: motor {motor.id} ({motor.joint}) reports {describe_hardware_error(status)}"
        if not settings.reboot_faulty_motors:
            raise MotorError(f"{problem}. Remove the cause, then restart it: reboot_faulty_motors: true.")
        if bus.read(motor.id, "torque_enable"):
            raise MotorError(
                f"{problem}, and still holds its joint. Support the arm, remove the cause, switch its power off and on."
            )
        warn(f"{problem}; restarting it.")
        restart(bus, motor.id)
        status = bus.read(motor.id, "hardware_error_status")
        if status:
            raise MotorError(f"{problem}, again after a restart. Check supply (12 V), load and temperature.")


def restart(bus: Bus, ident: int) -> None:
    """Reboot a motor and wait until it is back on the bus."""
    bus.reboot(ident)
    end = time.monotonic() + REBOOT_PATIENCE
    time.sleep(0.02)
    while time.monotonic() < end:
        if bus.answers(ident):
            return
    raise BusError(f"{bus.port.port_name}: motor {ident} did not come back from its reboot. Check its power.")


def wanted_registers(settings: ArmSettings, motor: Motor) -> dict[str, int]:
    """Return the settings a motor must have, by item."""
    is_gripper = motor.joint == settings.joint_names[-1]
    current_based = is_gripper and motor.model.senses_current
    wanted = {
        "return_delay_time": 0,
        "drive_mode": motor.drive_mode,
        "operating_mode": CURRENT_BASED_POSITION_MODE if current_based else POSITION_MODE,
        "secondary_id": motor.secondary_id,
        "min_position_limit": motor.min_ticks,
        "max_position_limit": motor.max_ticks,
        "status_return_level": 2,
    }
    if current_based:
        wanted["current_limit"] = max(settings.gripper_current_raw, 200)
    return wanted


def check_registers(bus: Bus, settings: ArmSettings, warn: Warn) -> None:
    """Compare the motors' settings and write those that differ; the EEPROM is locked under torque."""
    wanted = {motor.id: wanted_registers(settings, motor) for motor in settings.motors}
    held = bus.read_all("torque_enable")
    for name in dict.fromkeys(name for registers in wanted.values() for name in registers):
        idents = [ident for ident, registers in wanted.items() if name in registers]
        for ident, found in bus.read_all(name, idents).items():
            motor, value = bus.motors[ident], wanted[ident][name]
            if found == value:
                continue
            where = f"{settings.device}: motor {ident} ({motor.joint}): {name} is {found}, must be {value}"
            if not settings.write_settings:
                raise MotorError(f"{where}. Write it, or allow it: write_settings: true.")
            if held[ident] and motor.model.table[name].in_eeprom:
                raise MotorError(
                    f"{where}, and the arm holds its pose, which locks it. Support the arm, switch its power off and "
                    "on, and configure again."
                )
            bus.write(ident, name, value)
            warn(f"{where}; written.")


def check_shadows(bus: Bus, settings: ArmSettings, warn: Warn) -> None:
    """Make the two motors of a joint agree on its angle, or they would work against each other."""
    held = bus.read_all("torque_enable")
    for shadow in (motor for motor in settings.motors if motor.is_shadow):
        both = bus.read_all("present_position", [shadow.secondary_id, shadow.id])
        difference = both[shadow.secondary_id] - both[shadow.id]
        if abs(difference) <= SHADOW_ROUNDING:
            continue
        where = f"{settings.device}: motors {shadow.secondary_id} and {shadow.id} of {shadow.joint} differ by"
        apart = f"{where} {abs(difference) * RAD_PER_TICK:.3f} rad"
        if abs(difference) > SHADOW_TOLERANCE or held[shadow.id]:
            raise MotorError(f"{apart}. Take the arm's load off, switch its power off and on, check both horns.")
        bus.write(shadow.id, "homing_offset", bus.read(shadow.id, "homing_offset") + difference)
        warn(f"{apart}; the homing offset of {shadow.id} is corrected.")


def check_pose(bus: Bus, settings: ArmSettings) -> None:
    """Refuse angles the arm cannot have: a wrong horn, or constants of another gripper."""
    positions = bus.read_all("present_position")
    check_angles(settings.device, settings, [radians_from_ticks(positions[motor.id]) for motor in settings.masters])


def check_angles(where: str, settings: ArmSettings, angles: Angles) -> None:
    """Refuse angles of the joints [rad] that the arm cannot have.

    Args:
        where: how the messages name the arm.
    """
    for joint, angle in zip(settings.joint_names, angles, strict=True):
        if joint == settings.joint_names[-1]:
            low, high = settings.lower[-1], settings.upper[-1]
            if not low - GRIPPER_TOLERANCE <= angle <= high + GRIPPER_TOLERANCE:
                raise MotorError(
                    f"{where}: the gripper stands at {angle:.2f} rad, its constants allow {low:.2f}..{high:.2f}. They "
                    "belong to another generation of grippers: choose the set of yours in the contract "
                    "(gripper.constants)."
                )
            continue
        low, high = URDF_LIMITS[settings.kind][joint]
        if not low - POSE_TOLERANCE <= angle <= high + POSE_TOLERANCE:
            raise MotorError(
                f"{where}: {joint} reads {angle:.2f} rad, possible are {low:.2f}..{high:.2f}. Move it into its range "
                "by hand; if it is, its horn is mounted wrong."
            )


def _absent(bus: Bus, settings: ArmSettings, motor: Motor, error: BusError) -> BusError:
    """Look for a silent motor at other rates, to name the remedy."""
    others = [other.id for other in settings.motors if other.id != motor.id]
    if "damaged" not in str(error) and not any(bus.answers(ident) for ident in others):
        error = BusError(
            f"{settings.device}: no motor answers. Switch the arm's 12 V supply on and check that this is the port "
            f"of {settings.arm}."
        )
    try:
        for rate in OTHER_BAUDS:
            bus.set_baud(rate)
            if bus.answers(motor.id):
                return BusError(
                    f"{settings.device}: motor {motor.id} ({motor.joint}) talks at {rate} baud. Set its Baud Rate to "
                    "3 (1 Mbps), for example with DYNAMIXEL Wizard."
                )
    finally:
        bus.set_baud(settings.baud)
    return error
