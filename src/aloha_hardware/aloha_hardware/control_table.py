"""Control tables of the DYNAMIXEL X series as data (ROBOTIS e-Manual, XM430-W350, XM540-W270, XL430-W250, XC430-W150).

All values are little-endian two's complement. Addresses 0 to 63 are EEPROM: kept without power, locked under torque.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

EEPROM_END = 64
INDIRECT_ADDRESS = ((168, 28), (578, 28))
INDIRECT_DATA = ((224, 28), (634, 28))
"""First address and count of the indirect slots; an indirect address is two bytes, its data one."""


@dataclass(frozen=True)
class Item:
    """One entry of a control table.

    Args:
        default: after a factory reset (EEPROM) or at power-up (RAM), in raw units.
        low, high: what may be written; None: anything the size holds.
    """

    name: str
    address: int
    size: int
    writable: bool
    default: int = 0
    low: int | None = None
    high: int | None = None
    signed: bool = False

    @property
    def in_eeprom(self) -> bool:
        """Whether the item is kept without power and locked while torque is on."""
        return self.address < EEPROM_END

    def decode(self, data: bytes | bytearray) -> int:
        """Turn the item's bytes into a number."""
        return int.from_bytes(data, "little", signed=self.signed)

    def encode(self, value: int) -> bytes:
        """Turn a number into the item's bytes; negative ones wrap around."""
        return (value & ((1 << (8 * self.size)) - 1)).to_bytes(self.size, "little")


def _r(name: str, address: int, size: int, default: int = 0, signed: bool = False) -> Item:
    return Item(name, address, size, False, default, signed=signed)


def _w(name: str, address: int, size: int, default: int = 0, low: int | None = None, high: int | None = None) -> Item:
    return Item(name, address, size, True, default, low, high, signed=low is not None and low < 0)


Table = Mapping[str, Item]

_XM430 = (
    _r("model_number", 0, 2, 1020),
    _r("model_information", 2, 4),
    _r("firmware_version", 6, 1, 46),
    _w("id", 7, 1, 1, 0, 252),
    _w("baud_rate", 8, 1, 1, 0, 7),
    _w("return_delay_time", 9, 1, 250, 0, 254),
    _w("drive_mode", 10, 1, 0, 0, 13),
    _w("operating_mode", 11, 1, 3, 0, 16),
    _w("secondary_id", 12, 1, 255, 0, 255),
    _w("protocol_type", 13, 1, 2, 1, 2),
    _w("homing_offset", 20, 4, 0, -1_044_479, 1_044_479),
    _w("moving_threshold", 24, 4, 10, 0, 1023),
    _w("temperature_limit", 31, 1, 80, 0, 100),
    _w("max_voltage_limit", 32, 2, 160, 95, 160),
    _w("min_voltage_limit", 34, 2, 95, 95, 160),
    _w("pwm_limit", 36, 2, 885, 0, 885),
    _w("current_limit", 38, 2, 1193, 0, 1193),
    _w("velocity_limit", 44, 4, 350, 0, 1023),
    _w("max_position_limit", 48, 4, 4095, 0, 4095),
    _w("min_position_limit", 52, 4, 0, 0, 4095),
    _w("startup_configuration", 60, 1, 0, 0, 3),
    _w("shutdown", 63, 1, 52, 0, 63),
    _w("torque_enable", 64, 1, 0, 0, 1),
    _w("led", 65, 1, 0, 0, 1),
    _w("status_return_level", 68, 1, 2, 0, 2),
    _r("registered_instruction", 69, 1),
    _r("hardware_error_status", 70, 1),
    _w("velocity_i_gain", 76, 2, 1920, 0, 16383),
    _w("velocity_p_gain", 78, 2, 100, 0, 16383),
    _w("position_d_gain", 80, 2, 0, 0, 16383),
    _w("position_i_gain", 82, 2, 0, 0, 16383),
    _w("position_p_gain", 84, 2, 800, 0, 16383),
    _w("feedforward_2nd_gain", 88, 2, 0, 0, 16383),
    _w("feedforward_1st_gain", 90, 2, 0, 0, 16383),
    _w("bus_watchdog", 98, 1, 0, -1, 127),
    _w("goal_pwm", 100, 2, 885, -885, 885),
    _w("goal_current", 102, 2, 1193, -1193, 1193),
    _w("goal_velocity", 104, 4, 0, -1023, 1023),
    _w("profile_acceleration", 108, 4, 0, 0, 32767),
    _w("profile_velocity", 112, 4, 0, 0, 32767),
    _w("goal_position", 116, 4, 0, -1_048_575, 1_048_575),
    _r("realtime_tick", 120, 2),
    _r("moving", 122, 1),
    _r("moving_status", 123, 1),
    _r("present_pwm", 124, 2, signed=True),
    _r("present_current", 126, 2, signed=True),
    _r("present_velocity", 128, 4, signed=True),
    _r("present_position", 132, 4, signed=True),
    _r("velocity_trajectory", 136, 4, signed=True),
    _r("position_trajectory", 140, 4, signed=True),
    _r("present_input_voltage", 144, 2, 120),
    _r("present_temperature", 146, 1, 25),
    _r("backup_ready", 147, 1),
)


def _table(*items: Item, without: tuple[str, ...] = (), **changes: Mapping[str, int]) -> Table:
    """Derive a table: change fields of some items, drop others, add the rest."""
    kept = [item for item in _XM430 if item.name not in without]
    changed = [replace(item, **changes.get(item.name, {})) for item in kept]  # type: ignore[arg-type]
    return {item.name: item for item in sorted([*changed, *items], key=lambda item: item.address)}


XM430_W350 = _table()
XM540_W270 = _table(
    _w("external_port_data_1", 152, 2, 0, 0, 4095),
    _w("external_port_data_2", 154, 2, 0, 0, 4095),
    _w("external_port_data_3", 156, 2, 0, 0, 4095),
    model_number={"default": 1120},
    current_limit={"default": 2047, "high": 2047},
    goal_current={"default": 2047, "low": -2047, "high": 2047},
    velocity_limit={"default": 128},
)
# Without a current sensor: no Current Limit or Goal Current, and the present value is a load in 0.1 %.
_LOW_COST = {
    "temperature_limit": {"default": 72},
    "max_voltage_limit": {"default": 140, "low": 60, "high": 140},
    "min_voltage_limit": {"default": 60, "low": 60, "high": 140},
    "velocity_limit": {"default": 265},
    "velocity_i_gain": {"default": 1000},
    "position_d_gain": {"default": 4000},
    "position_p_gain": {"default": 640},
}
XL430_W250 = _table(without=("current_limit", "goal_current"), **_LOW_COST, model_number={"default": 1060})
XC430_W150 = _table(without=("current_limit", "goal_current"), **_LOW_COST, model_number={"default": 1070})

BAUD_RATES = {0: 9600, 1: 57_600, 2: 115_200, 3: 1_000_000, 4: 2_000_000, 5: 3_000_000, 6: 4_000_000, 7: 4_500_000}

HARDWARE_ERRORS = {
    0: "input voltage out of its limits",
    2: "overheating",
    3: "encoder failure",
    4: "electrical shock",
    5: "overload",
}
"""Bits of Hardware Error Status in words."""


def describe_hardware_error(status: int) -> str:
    """Say in words what Hardware Error Status reports."""
    return ", ".join(text for bit, text in HARDWARE_ERRORS.items() if status >> bit & 1) or f"status {status:#04x}"
