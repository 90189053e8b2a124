"""DYNAMIXEL Protocol 2.0 packets (ROBOTIS e-Manual, Protocol 2.0)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HEADER = b"\xff\xff\xfd\x00"
MARK = b"\xff\xff\xfd"
STUFFED = b"\xff\xff\xfd\xfd"
BROADCAST = 0xFE
STATUS = 0x55

PING, READ, WRITE, REG_WRITE, ACTION = 0x01, 0x02, 0x03, 0x04, 0x05
FACTORY_RESET, REBOOT, CLEAR = 0x06, 0x08, 0x10
SYNC_READ, SYNC_WRITE, FAST_SYNC_READ = 0x82, 0x83, 0x8A
BULK_READ, BULK_WRITE, FAST_BULK_READ = 0x92, 0x93, 0x9A

ALERT = 0x80
RESULT_FAIL, BAD_INSTRUCTION, BAD_CRC, DATA_RANGE, DATA_LENGTH, DATA_LIMIT, ACCESS = range(1, 8)

LONGEST = 1024


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005) if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return tuple(table)


_TABLE = _crc_table()


def crc16(data: bytes, crc: int = 0) -> int:
    """Return the CRC of bytes, continued from an earlier one: polynomial 0x8005, nothing reflected."""
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _TABLE[crc >> 8 ^ byte]
    return crc


def frame(ident: int, body: bytes) -> bytes:
    """Wrap instruction or status and its parameters: stuffing, length, CRC."""
    stuffed = body.replace(MARK, STUFFED)
    packet = HEADER + bytes([ident]) + (len(stuffed) + 2).to_bytes(2, "little") + stuffed
    return packet + crc16(packet).to_bytes(2, "little")


def instruction(ident: int, code: int, parameters: bytes = b"") -> bytes:
    """Build an instruction packet."""
    return frame(ident, bytes([code]) + parameters)


def status(ident: int, error: int = 0, parameters: bytes = b"") -> bytes:
    """Build a status packet."""
    return frame(ident, bytes([STATUS, error]) + parameters)


def fast_status(blocks: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Build the one status packet that answers a fast sync or bulk read.

    Args:
        blocks: (error, ID, data) per motor, in the order asked. Every block ends in the CRC of all before it.
    """
    length = 1 + sum(len(data) + 4 for _, _, data in blocks)
    packet = HEADER + bytes([BROADCAST]) + length.to_bytes(2, "little") + bytes([STATUS])
    for error, ident, data in blocks:
        packet += bytes([error, ident]) + data
        packet += crc16(packet).to_bytes(2, "little")
    return packet


@dataclass(frozen=True)
class Instruction:
    """An instruction packet that arrived; `intact` tells whether its CRC was right."""

    ident: int
    code: int
    parameters: bytes
    intact: bool = True


class Parser:
    """Finds instruction packets in a stream of bytes, past noise and status packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Instruction]:
        """Take bytes and yield the packets they complete."""
        self._buffer += data
        while True:
            start = self._buffer.find(HEADER)
            if start < 0:
                del self._buffer[:-3]
                return
            del self._buffer[:start]
            if len(self._buffer) < 7:
                return
            length = int.from_bytes(self._buffer[5:7], "little")
            if not 3 <= length <= LONGEST:
                del self._buffer[:4]
                continue
            if len(self._buffer) < 7 + length:
                return
            packet = bytes(self._buffer[: 7 + length])
            del self._buffer[: 7 + length]
            intact = crc16(packet[:-2]) == int.from_bytes(packet[-2:], "little")
            body = packet[7:-2].replace(STUFFED, MARK)
            if body[0] != STATUS:
                yield Instruction(packet[4], body[0], body[1:], intact)
