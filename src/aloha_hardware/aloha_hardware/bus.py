"""One arm's bus: named reads and writes over the dynamixel-sdk, signed values, errors in words.

Shadows obey their master's writes through their Secondary ID (ROBOTIS e-Manual), so joints are written by master only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynamixel_sdk import (
    BROADCAST_ID,
    COMM_RX_CORRUPT,
    COMM_SUCCESS,
    INST_PING,
    GroupSyncRead,
    PacketHandler,
)

from aloha_hardware.control_table import Item
from aloha_hardware.errors import BusError, MotorError
from aloha_hardware.motors import Motor
from aloha_hardware.port import QuietPort

STATUS_OVERHEAD = 11  # bytes of a status packet beside its data
ID_AT, LENGTH_AT, ERROR_AT, DATA_AT = 4, 5, 8, 9
ALERT = 0x80
BROADCAST_TIME = 0.1  # [s] enough for the first thirty IDs
FAST_READ_FIRMWARE = 45
ERRORS = {
    1: "it failed to carry the instruction out",
    2: "it does not know the instruction",
    3: "it received a damaged packet",
    4: "the value is out of range",
    5: "the data have a wrong length",
    6: "the value is beyond a limit set in the motor",
    7: "the item is read-only, undefined, or locked while torque is on",
}


@dataclass
class BusCounts:
    """What went wrong on the wire since the port was opened."""

    timeouts: int = 0
    corrupt: int = 0
    retries: int = 0
    refused: int = 0
    total: int = 0


class Bus:
    """The motors of an arm behind a port. Belongs to one thread at a time.

    Args:
        motors: of the arm, shadows included.
        port: an open port.
    """

    def __init__(self, motors: Sequence[Motor], port: QuietPort) -> None:
        self.motors = {motor.id: motor for motor in motors}
        self.port = port
        self.counts = BusCounts()
        self.alerts: set[int] = set()
        self.fast = False
        self._owed = False  # whether an answer did not come in time, and may come yet
        self._packets = PacketHandler(2.0)

    # Single motors -------------------------------------------------------------------------------------------------

    def ping(self, ident: int) -> tuple[int, int]:
        """Return the model number and firmware version of a motor.

        Raises:
            BusError: it does not answer.
        """
        number, _, _ = self._attempts(lambda: self._packets.ping(self.port, ident), ident, "ping")
        return number, self.read(ident, "firmware_version")

    def answers(self, ident: int) -> bool:
        """Tell whether a motor answers at an ID, now."""
        return bool(self._packets.ping(self.port, ident)[1] == COMM_SUCCESS)

    def broadcast_ping(self, listen: float = BROADCAST_TIME) -> set[int]:
        """Return the IDs of all motors that can be heard, those of the arm and others.

        Args:
            listen: how long [s]; motors answer one after the other, in the order of their IDs.
        """
        found: set[int] = set()
        if self._packets.txPacket(self.port, [0, 0, 0, 0, BROADCAST_ID, 3, 0, INST_PING, 0, 0]) != COMM_SUCCESS:
            return found
        end = time.monotonic() + listen
        while time.monotonic() < end:
            self.port.setPacketTimeoutMillis(1e3 * max(0.0, end - time.monotonic()))
            packet, result = self._packets.rxPacket(self.port, False)
            if result == COMM_SUCCESS:
                found.add(packet[ID_AT])
        return found

    def set_baud(self, rate: int) -> None:
        """Talk at another rate from now on."""
        self.port.set_rate(rate)

    def read(self, ident: int, name: str) -> int:
        """Return the value of one item of one motor.

        Raises:
            BusError: it does not answer, three times.
            MotorError: it refuses.
        """
        item = self._item(ident, name)
        data, _, error = self._attempts(
            lambda: self._packets.readTxRx(self.port, ident, item.address, item.size), ident, f"read of {name}"
        )
        self._judge(ident, error, f"reading {name}")
        return item.decode(bytes(data))

    def write(self, ident: int, name: str, value: int) -> None:
        """Write one item of one motor and wait for its consent.

        Raises:
            BusError: it does not answer, three times.
            MotorError: it refuses.
        """
        item = self._item(ident, name)
        data = list(item.encode(value))

        def attempt() -> tuple[None, int, int]:
            result, error = self._packets.writeTxRx(self.port, ident, item.address, item.size, data)
            return None, result, error

        _, _, error = self._attempts(attempt, ident, f"write of {name}")
        self._judge(ident, error, f"writing {value} to {name}")

    def reboot(self, ident: int) -> None:
        """Restart a motor: it goes limp and leaves the bus for about half a second.

        Raises:
            BusError: it does not answer.
        """

        def attempt() -> tuple[None, int, int]:
            result, error = self._packets.reboot(self.port, ident)
            return None, result, error

        self._attempts(attempt, ident, "reboot")
        self.alerts.discard(ident)

    # All at once ---------------------------------------------------------------------------------------------------

    def sync_read(
        self, idents: Sequence[int], first: str, last: str, retry: bool = True, fast: bool | None = None
    ) -> dict[int, dict[str, int]]:
        """Read a stretch of the control table from many motors.

        Args:
            first, last: names of the first and last item of the stretch.
            retry: ask the silent ones once more, one status packet each.
            fast: in one status packet for all, of which nothing is left when one motor is silent; None: if possible.

        Returns:
            Values by ID and name; motors that did not answer are missing from it.
        """
        table = self.motors[idents[0]].model.table
        start = table[first].address
        length = table[last].address + table[last].size - start
        in_one = self.fast if fast is None else fast
        raw = self._fast_read(idents, start, length) if in_one else self._plain_read(idents, start, length)
        missing = [ident for ident in idents if ident not in raw]
        if missing and retry:
            self.counts.retries += 1
            raw |= self._plain_read(missing, start, length)
        return {
            ident: {
                item.name: item.decode(raw[ident][item.address - start : item.address - start + item.size])
                for item in self.motors[ident].model.table.values()
                if start <= item.address < start + length
            }
            for ident in idents
            if ident in raw
        }

    def read_all(self, name: str, idents: Sequence[int] | None = None) -> dict[int, int]:
        """Return one item of every motor (or of some), by ID.

        Raises:
            BusError: naming the motors that do not answer, asked three times.
        """
        wanted = list(self.motors) if idents is None else list(idents)
        values: dict[int, int] = {}
        for _ in range(3):
            missing = [ident for ident in wanted if ident not in values]
            if missing:
                self._outwait()
                values |= {k: row[name] for k, row in self.sync_read(missing, name, name, fast=False).items()}
        if missing := [ident for ident in wanted if ident not in values]:
            who = ", ".join(self._who(ident) for ident in missing)
            raise BusError(f"{self.port.port_name}: {who}: read of {name}: {_silence(False)}")
        return {ident: values[ident] for ident in wanted}

    def write_all(self, name: str, values: Mapping[int, int]) -> None:
        """Write one item of many motors, read it back, and write again what did not arrive.

        Raises:
            BusError: a motor does not answer.
            MotorError: a motor keeps another value.
        """
        wrong = dict(values)
        for _ in range(3):
            self.sync_write(name, wrong)
            found = self.read_all(name, list(values))
            wrong = {ident: value for ident, value in values.items() if found[ident] != value}
            if not wrong:
                return
        self.counts.refused += 1
        who = ", ".join(f"{self._who(ident)} keeps {found[ident]}, not {value}" for ident, value in wrong.items())
        raise MotorError(f"{self.port.port_name}: {name}: {who}. {_refusal(name)}")

    def sync_write(self, name: str, values: Mapping[int, int]) -> None:
        """Write one item of many motors in one packet; nobody answers."""
        item = self._item(next(iter(values)), name)
        parameters: list[int] = []
        for ident, value in values.items():
            parameters += [ident, *item.encode(value)]
        self.counts.total += 1
        self._packets.syncWriteTxOnly(self.port, item.address, item.size, parameters, len(parameters))

    def _plain_read(self, idents: Sequence[int], start: int, length: int) -> dict[int, bytes]:
        """Collect every status packet that comes; the SDK's own group read drops all after a silent motor."""
        raw: dict[int, bytes] = {}
        self.counts.total += 1
        if self._packets.syncReadTx(self.port, start, length, list(idents), len(idents), False) != COMM_SUCCESS:
            return raw
        self.port.setPacketTimeout((STATUS_OVERHEAD + length) * len(idents))
        while len(raw) < len(idents):
            packet, result = self._packets.rxPacket(self.port, False)
            if result == COMM_SUCCESS:
                ident = packet[ID_AT]
                self._note_alert(ident, packet[ERROR_AT])
                # A late answer to another instruction is recognised by its length.
                if ident in idents and packet[LENGTH_AT] + 256 * packet[LENGTH_AT + 1] == length + 4:
                    raw[ident] = bytes(packet[DATA_AT : DATA_AT + length])
            elif not self._survived(result):
                break
        return raw

    def _fast_read(self, idents: Sequence[int], start: int, length: int) -> dict[int, bytes]:
        self.counts.total += 1
        group = GroupSyncRead(self.port, self._packets, start, length)
        for ident in idents:
            group.addParam(ident)
        group.fastSyncReadTxPacket()
        block = length + 4
        self.port.setPacketTimeout(8 + block * len(idents))
        packet, result = self._packets.rxPacket(self.port, True)
        if result != COMM_SUCCESS or packet[ID_AT] != BROADCAST_ID or len(packet) < 8 + block * len(idents):
            self._survived(result)
            return {}
        raw = {}
        for at in range(8, 8 + block * len(idents), block):
            self._note_alert(packet[at + 1], packet[at])
            raw[packet[at + 1]] = bytes(packet[at + 2 : at + 2 + length])
        return {ident: data for ident, data in raw.items() if ident in idents}

    # Errors --------------------------------------------------------------------------------------------------------

    def _outwait(self) -> None:
        """Let answers that are late come and go: they would be taken for answers to the next read of that length."""
        if self._owed:
            time.sleep(self.port.patience)
            self.port.clearPort()
            self._owed = False

    def _survived(self, result: int) -> bool:
        """Count a failed packet; return whether to go on listening."""
        self._owed = True
        if result == COMM_RX_CORRUPT:
            self.counts.corrupt += 1
            return not self.port.isPacketTimeout()
        self.counts.timeouts += 1
        return False

    def _attempts(self, attempt: Callable[[], tuple[Any, int, int]], ident: int, what: str) -> tuple[Any, int, int]:
        corrupt = False
        for number in range(3):
            self.counts.total += 1
            self.counts.retries += number > 0
            data, result, error = attempt()
            if result == COMM_SUCCESS:
                self._note_alert(ident, error)
                return data, result, error
            corrupt |= result == COMM_RX_CORRUPT
            self._survived(result)
        raise BusError(f"{self.port.port_name}: {self._who(ident)}: {what}: {_silence(corrupt)}")

    def _judge(self, ident: int, error: int, doing: str) -> None:
        if error & ~ALERT:
            self.counts.refused += 1
            reason = ERRORS.get(error & ~ALERT, f"error {error:#04x}")
            raise MotorError(f"{self.port.port_name}: {self._who(ident)} refused {doing}: {reason}.")

    def _note_alert(self, ident: int, error: int) -> None:
        if error & ALERT:
            self.alerts.add(ident)
        else:
            self.alerts.discard(ident)

    def _who(self, ident: int) -> str:
        motor = self.motors.get(ident)
        return f"motor {ident} ({motor.joint})" if motor is not None else f"motor {ident}"

    def _item(self, ident: int, name: str) -> Item:
        return self.motors[ident].model.table[name]


def _silence(corrupt: bool) -> str:
    if corrupt:
        return "the answers are damaged. Check the cable, and that no two motors share this ID."
    return "no answer. Check its cable and power, its ID, and that its baud rate is 1 Mbps."


def _refusal(name: str) -> str:
    if name == "torque_enable":
        return "A motor that has shut down takes no torque until it is restarted."
    return "Is the value beyond one of the motor's limits?"
