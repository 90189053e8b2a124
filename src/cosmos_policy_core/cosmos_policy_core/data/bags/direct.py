"""Write large messages to an MCAP file without copying them: what cameras send would cost a third of a processor.

The library gathers messages in memory, four copies each. Here an image becomes a chunk of its own that goes to the file
as it is; small messages take the library's way. The record layouts are those of the public specification (mcap.dev).
"""

from __future__ import annotations

import os
import struct
from binascii import crc32
from io import BytesIO

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter

LARGE = 2**17  # [bytes]
MESSAGE, CHUNK, MESSAGE_INDEX = 0x05, 0x06, 0x07
MESSAGE_HEAD = struct.Struct("<BQHIQQ")  # opcode, length; channel, sequence, log time, publish time
CHUNK_HEAD = struct.Struct("<BQQQQIIQ")  # opcode, length; first time, last time, size, checksum, no compression, size
INDEX = struct.Struct("<BQHIQQ")  # opcode, length; channel, length of the array, time, offset
CHUNK_INDEX = struct.Struct(
    "<QQQQIHQQIQQ"
)  # times, place, length, offsets' length, channel, place, length, none, sizes
CHECKSUM = struct.calcsize("<BQQQQ")  # place of a chunk's checksum in its record
HEAD = 9  # bytes of opcode and length


class DirectMcapWriter(McapWriter):
    """The library's writer with a shorter way for large messages."""

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        """Write a message; a large one at once."""
        if len(data) < LARGE or self.compression:
            super().write(connection, timestamp, data)
            return
        if self.chunk.bio.tell():
            self.close_chunk()
        head = MESSAGE_HEAD.pack(MESSAGE, MESSAGE_HEAD.size - HEAD + len(data), connection.id, 0, timestamp, timestamp)
        size = len(head) + len(data)
        place = self.bio.tell()
        length = CHUNK_HEAD.size - HEAD + size
        checksum = crc32(data, crc32(head))  # readers compare it; it costs a third of a millisecond per megabyte
        self.bio.write(CHUNK_HEAD.pack(CHUNK, length, timestamp, timestamp, size, checksum, 0, size))
        self.bio.write(head)
        self.bio.write(data)
        index = self.bio.tell()
        self.bio.write(INDEX.pack(MESSAGE_INDEX, INDEX.size - HEAD, connection.id, 16, timestamp, 0))
        self.chunks.append(_index(timestamp, place, index, connection.id, size))
        self.message_start_time = min(timestamp, self.message_start_time)
        self.message_end_time = max(timestamp, self.message_end_time)
        self.channel_stats[connection.id] += 1

    def close_chunk(self) -> None:
        """Write the gathered small messages, with the checksum that the library leaves out."""
        with self.chunk.bio.getbuffer() as records:
            checksum = crc32(records)
        place = self.bio.tell()
        super().close_chunk()
        self.bio.seek(place + CHECKSUM)
        self.bio.write(struct.pack("<I", checksum))
        self.bio.seek(0, os.SEEK_END)


class DirectWriter(Writer):
    """A rosbag2 writer whose MCAP files take large messages as they are."""

    STORAGE_PLUGINS = {**Writer.STORAGE_PLUGINS, StoragePlugin.MCAP: DirectMcapWriter}  # noqa: RUF012  as its base


def _index(time: int, place: int, index: int, channel: int, size: int) -> BytesIO:
    """Describe a chunk of one message for the summary at the end of the file."""
    packed = CHUNK_INDEX.pack(time, time, place, index - place, 10, channel, index, INDEX.size, 0, size, size)
    record = BytesIO()
    record.write(packed)
    return record
