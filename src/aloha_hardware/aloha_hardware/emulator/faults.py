"""Faults to inject on the wire."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class WireFaults:
    """What goes wrong with status packets, each drawn anew.

    Args:
        drop, corrupt, late: probabilities 0 .. 1.
        delay: how much later a late status is [s].
    """

    drop: float = 0.0
    corrupt: float = 0.0
    late: float = 0.0
    delay: float = 0.02
    seed: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def apply(self, packet: bytes) -> tuple[bytes, float]:
        """Return what is left of a status packet, and how much later it comes [s]."""
        if self._draw(self.drop):
            return b"", 0.0
        if self._draw(self.corrupt):
            where = self._random.randrange(4, len(packet))
            packet = packet[:where] + bytes([packet[where] ^ 0x10]) + packet[where + 1 :]
        return packet, self.delay if self._draw(self.late) else 0.0

    def _draw(self, probability: float) -> bool:
        return probability > 0.0 and self._random.random() < probability


def collide(packets: list[bytes]) -> bytes:
    """Return what is heard when several motors speak at once: the wire is low where any of them is."""
    heard = bytearray(b"\xff" * (max(map(len, packets)) + 1))
    for shift, packet in enumerate(packets):  # they never start at quite the same time
        for index, byte in enumerate(packet):
            heard[min(index + shift % 2, len(heard) - 1)] &= byte
    return bytes(heard)
