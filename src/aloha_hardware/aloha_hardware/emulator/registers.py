"""The memory of one motor: bytes behind a control table, with indirect addressing and access rules."""

from __future__ import annotations

from aloha_hardware.control_table import INDIRECT_ADDRESS, INDIRECT_DATA, Item, Table
from aloha_hardware.emulator import packets

SIZE = 700


class Registers:
    """Read and write by name (the motor's own side) or by address (the bus)."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.version = 0  # counts what changes how the motor behaves; measurements do not
        self._memory = bytearray(SIZE)
        self._at = {item.address: item for item in table.values()}
        self._holes = bytearray(b"\x01" * SIZE)
        for item in table.values():
            self._holes[item.address : item.address + item.size] = bytes(item.size)
        for (first, count), (data, _) in zip(INDIRECT_ADDRESS, INDIRECT_DATA, strict=True):
            for slot in range(count):
                self._memory[first + 2 * slot : first + 2 * slot + 2] = (data + slot).to_bytes(2, "little")
            self._holes[first : first + 2 * count] = bytes(2 * count)
            self._holes[data : data + count] = bytes(count)
        self.reset(eeprom=True)

    def reset(self, eeprom: bool) -> None:
        """Load the defaults of the RAM, and of the EEPROM where asked (a factory reset)."""
        for item in self.table.values():
            if eeprom or not item.in_eeprom:
                self.set(item.name, item.default)

    def get(self, name: str) -> int:
        """Return an item's value."""
        item = self.table[name]
        return item.decode(self._memory[item.address : item.address + item.size])

    def set(self, name: str, value: int) -> None:
        """Store an item's value, without the checks of the bus."""
        self.version += 1
        self.measure(name, value)

    def measure(self, name: str, value: int) -> None:
        """Store what the motor measured."""
        item = self.table[name]
        self._memory[item.address : item.address + item.size] = item.encode(value)

    def read(self, address: int, length: int) -> tuple[int, bytes]:
        """Answer a read from the bus: (error, data). What lies between items reads 0."""
        addresses = [self._resolve(address + offset) for offset in range(length)]
        if not addresses or max(addresses) >= SIZE or all(self._holes[there] for there in addresses):
            return packets.ACCESS, b""
        return 0, bytes(self._memory[there] for there in addresses)

    def split(self, address: int, data: bytes) -> tuple[int, list[tuple[Item, int]]]:
        """Split a write from the bus into items and values: (error, writes). Nothing is stored."""
        raw = {self._resolve(address + offset): byte for offset, byte in enumerate(data)}
        writes: list[tuple[Item, int]] = []
        while raw:
            there = next(iter(raw))
            item = self._at.get(there)
            if item is None:
                if not self._is_indirect(there):
                    return packets.ACCESS, []
                writes.append((Item("indirect", there, 1, True), raw.pop(there)))
                continue
            if not item.writable:
                return packets.ACCESS, []
            wanted = range(there, there + item.size)
            if any(part not in raw for part in wanted):
                return packets.DATA_LENGTH, []
            value = item.decode(bytes(raw.pop(part) for part in wanted))
            if item.low is not None and item.high is not None and not item.low <= value <= item.high:
                return packets.DATA_RANGE, []
            writes.append((item, value))
        return (0, writes) if writes else (packets.DATA_LENGTH, [])

    def store(self, item: Item, value: int) -> None:
        """Store one write that `split` returned."""
        self.version += 1
        self._memory[item.address : item.address + item.size] = item.encode(value)

    def _resolve(self, address: int) -> int:
        for (pointers, _), (data, count) in zip(INDIRECT_ADDRESS, INDIRECT_DATA, strict=True):
            if data <= address < data + count:
                slot = pointers + 2 * (address - data)
                target = int.from_bytes(self._memory[slot : slot + 2], "little")
                return target if target < SIZE else address
        return address

    def _is_indirect(self, address: int) -> bool:
        blocks = [(first, 2 * count) for first, count in INDIRECT_ADDRESS] + list(INDIRECT_DATA)
        return any(first <= address < first + size for first, size in blocks)
