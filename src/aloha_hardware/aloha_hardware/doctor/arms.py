"""Is the port there and free, and are the motors behind it those of this arm?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aloha_hardware.arm import PATIENCE
from aloha_hardware.arm_checks import check_identity, unchecked_adapter
from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.bus import FAST_READ_FIRMWARE, Bus
from aloha_hardware.control_table import describe_hardware_error
from aloha_hardware.doctor.rows import problem, row
from aloha_hardware.errors import BusError, HardwareError, PortError, SettingsError
from aloha_hardware.port import QuietPort

LOW, HIGH = 10.5, 13.0  # [V] of a 12 V arm under no load
HOT = 55  # [°C]


def check(arm: Mapping[str, Any], ask_motors: bool) -> Iterator[dict[str, str]]:
    """Check an arm: settings, port, adapter, and its motors by asking them."""
    area = f"arm {arm['name']}"
    try:
        settings = ArmSettings(**arm["settings"])
    except TypeError as error:
        yield row(area, "error", f"driver: {error}", "Use names of arm_driver_node's parameters")
        return
    except SettingsError as error:
        yield problem(area, error)
        return
    if arm["emulated"] and not os.path.exists(settings.device):
        yield row(area, "ok", "emulated; the bring-up starts its motors")
        return
    if users := using(settings.device):
        yield row(
            area,
            "warning",
            f"{settings.device} is in use by {', '.join(users)}; its motors were not asked",
            "Stop it to have the motors checked; only one program may own an arm",
        )
        return
    yield from _through_port(area, settings, ask_motors)


def using(device: str) -> list[str]:
    """Name the processes that have a device open, as far as we may see them."""
    target, found = os.path.realpath(device), []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == target and int(link.parts[2]) != os.getpid():
                found.append(f"{(link.parent.parent / 'comm').read_text().strip()} (pid {link.parts[2]})")
        except OSError:
            continue
    return sorted(set(found))


def _through_port(area: str, settings: ArmSettings, ask_motors: bool) -> Iterator[dict[str, str]]:
    port = QuietPort(settings.device, PATIENCE)
    try:
        port.connect(settings.baud)
    except PortError as error:
        yield problem(area, error)
        return
    try:
        yield from _adapter(area, settings, port)
        if ask_motors:
            yield from _motors(area, settings, Bus(settings.motors, port))
    except HardwareError as error:
        yield problem(area, error)
    finally:
        port.disconnect()


def _adapter(area: str, settings: ArmSettings, port: QuietPort) -> Iterator[dict[str, str]]:
    serial, latency = port.serial_number, port.latency_ms
    if settings.adapter_serial and serial != settings.adapter_serial:
        text = f"{settings.device} is the adapter {serial or 'without a number'}, not {settings.adapter_serial}"
        yield row(area, "error", text, "The arms are swapped: exchange the ports or the udev rules")
    elif latency is not None and latency > 1:
        remedy = "Install the udev rules (99-aloha-arms.rules), or write 1 to its latency_timer"
        yield row(area, "warning", f"{settings.device}: latency timer {latency} ms makes every read late", remedy)
    else:
        known = f", adapter {serial}" if serial else ""
        yield row(area, "ok", f"{settings.device} can be opened{known}")
    if serial and not settings.adapter_serial:
        what, _, remedy = unchecked_adapter(settings.arm, serial).partition(". ")
        yield row(area, "warning", f"{settings.device}: {what}", remedy)


def _motors(area: str, settings: ArmSettings, bus: Bus) -> Iterator[dict[str, str]]:
    check_identity(bus, settings)
    firmware = {motor.id: bus.read(motor.id, "firmware_version") for motor in settings.motors}
    models = sorted({motor.model.name for motor in settings.motors})
    versions = ", ".join(map(str, sorted(set(firmware.values()))))
    text = f"{len(firmware)} motors answer ({', '.join(models)}), firmware {versions}"
    old = [ident for ident, version in firmware.items() if version < FAST_READ_FIRMWARE]
    if old:
        remedy = f"Update motors {old} to firmware {FAST_READ_FIRMWARE} or later with DYNAMIXEL Wizard"
        yield row(area, "warning", f"{text}: too old for fast sync read, every cycle takes longer", remedy)
    else:
        yield row(area, "ok", text)
    for motor in settings.motors:
        yield from _health(area, bus, motor.id, motor.joint)


def _health(area: str, bus: Bus, ident: int, joint: str) -> Iterator[dict[str, str]]:
    name = f"motor {ident} ({joint})"
    try:
        error = bus.read(ident, "hardware_error_status")
        voltage = bus.read(ident, "present_input_voltage") / 10
        temperature = bus.read(ident, "present_temperature")
    except BusError as lost:
        yield problem(area, lost)
        return
    if error:
        remedy = "Remove the cause; the bring-up restarts it, or call ~/reboot_motors"
        yield row(area, "warning", f"{name} reports {describe_hardware_error(error)}", remedy)
    if not LOW <= voltage <= HIGH:
        yield row(area, "warning", f"{name} has {voltage:.1f} V", "Check the 12 V supply and its plug")
    if temperature > HOT:
        yield row(area, "warning", f"{name} has {temperature} °C", "Let the arm rest")
