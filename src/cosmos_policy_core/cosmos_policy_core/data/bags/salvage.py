"""Read a cut-off MCAP file from its start, as far as its records are whole.

The format is public (mcap.dev, specification of version 0): records of an opcode, a length and a body; messages sit in
chunks that carry the schemas and channels of what they hold first.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rosbags.rosbag2.storage_mcap import decompress

from cosmos_policy_core.data.bags.staging import MAGIC
from cosmos_policy_core.data.bags.types import Topic
from cosmos_policy_core.errors import EpisodeError

SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x03, 0x04, 0x05, 0x06


@dataclass(frozen=True)
class Saved:
    """One whole message; `log_time` is when it was received [ns]."""

    topic: Topic
    log_time: int
    data: bytes


def salvage(path: Path) -> Iterator[Saved]:
    """Yield every whole message of an MCAP file, in the order they were written.

    Raises:
        EpisodeError: the file is not MCAP.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise EpisodeError(f"{path}: is not an MCAP file, so nothing can be saved from it. Delete it.")
        yield from _Scan().records(file)


class _Scan:
    def __init__(self) -> None:
        self._schemas: dict[int, tuple[str, str]] = {}
        self._topics: dict[int, Topic] = {}

    def records(self, file: BinaryIO) -> Iterator[Saved]:
        """Read records until one is torn."""
        while True:
            head = file.read(9)
            if len(head) < 9:
                return
            opcode, length = struct.unpack("<BQ", head)
            body = file.read(length)
            if len(body) < length:
                return
            if opcode == CHUNK:
                yield from self.records(io.BytesIO(_chunk(body)))
            elif opcode == SCHEMA:
                number, name, _, data = _fields(body, "Hsss")
                self._schemas[number] = (name.decode(), data.decode())
            elif opcode == CHANNEL:
                self._add_channel(body)
            elif opcode == MESSAGE:
                channel, _, log_time, _ = struct.unpack_from("<HIQQ", body)
                if channel in self._topics:
                    yield Saved(self._topics[channel], log_time, body[22:])

    def _add_channel(self, body: bytes) -> None:
        number, schema, name, _ = _fields(body, "HHss")
        kind, definition = self._schemas[schema]
        self._topics[number] = Topic(name.decode(), kind, definition, digest="")


def _chunk(body: bytes) -> bytes:
    """Unpack the records of a chunk; one that cannot be unpacked counts as torn."""
    _, _, size, crc, compression, data = _fields(body, "QQQIsl")
    try:
        return bytes(decompress(data, compression.decode(), size, crc))
    except Exception:  # each compression raises its own kind
        return b""


def _fields(body: bytes, layout: str) -> list[Any]:
    """Read fields one after the other: H, I, Q are numbers, s is bytes after 32 bits of length, l after 64."""
    found: list[Any] = []
    place = 0
    for kind in layout:
        if kind in "sl":
            code = "<I" if kind == "s" else "<Q"
            (length,) = struct.unpack_from(code, body, place)
            place += struct.calcsize(code)
            found.append(body[place : place + length])
            place += length
        else:
            found.extend(struct.unpack_from(f"<{kind}", body, place))
            place += struct.calcsize(f"<{kind}")
    return found
