"""What every source of pictures offers, and what is asked of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aloha_hardware.camera.errors import CameraError


@dataclass(frozen=True)
class Frame:
    """A picture and when it was taken.

    Attributes:
        acquired: on the monotonic clock, which nobody sets [ns].
        pixels: (H, W, 3) uint8, RGB.
    """

    acquired: int
    pixels: NDArray[np.uint8]

    @property
    def age(self) -> float:
        """Time since the picture was taken [s]."""
        return (time.monotonic_ns() - self.acquired) * 1e-9


@dataclass(frozen=True)
class Format:
    """The pictures asked for: size [px] and rate [Hz]."""

    width: int
    height: int
    rate: float

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.rate:g} Hz"

    def check_size(self, width: int, height: int, where: str, remedy: str) -> None:
        """Refuse pictures of another size; raises CameraError with the remedy."""
        if (width, height) != (self.width, self.height):
            raise CameraError(f"{where}: pictures are {width}x{height}, not {self.width}x{self.height}. {remedy}")

    def check_rate(self, rate: float, where: str, remedy: str) -> None:
        """Refuse a rate that differs by more than 5 %; raises CameraError with the remedy."""
        if abs(rate - self.rate) > 0.05 * self.rate:
            raise CameraError(f"{where}: {rate:g} pictures per second, not {self.rate:g}. {remedy}")


class Source(Protocol):
    """A camera or a recording. Used by one thread at a time; may be opened again after it was closed."""

    def open(self) -> None:
        """Start to take pictures.

        Raises:
            CameraError: it is not there, is in use, or cannot give the format.
        """

    def read(self, timeout: float) -> Frame | None:
        """Wait for the next picture, up to `timeout` [s]; None: there was none.

        Raises:
            CameraLostError: it went away; open it again.
            RecordingEndedError: there will be no more.
            CameraError: what comes is not what was asked for.
        """

    def close(self) -> None:
        """Release the device; does nothing on a closed one."""


class Pace:
    """Lets a recording run at its rate; after a delay it goes on from there, without a burst."""

    def __init__(self, rate: float) -> None:
        self._period = round(1e9 / rate)
        self._due = time.monotonic_ns()

    def wait(self, timeout: float) -> int | None:
        """Sleep until the next picture is due and return that moment [ns]; None: not within `timeout` [s]."""
        now = time.monotonic_ns()
        left = (self._due - now) * 1e-9
        if left > timeout:
            time.sleep(timeout)
            return None
        if left > 0:
            time.sleep(left)
        elif -left > 2e-9 * self._period:
            self._due = now
        moment = self._due
        self._due += self._period
        return moment
