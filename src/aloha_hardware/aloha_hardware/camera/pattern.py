"""A moving test picture: a camera to try everything with where there is none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aloha_hardware.camera.source import Format, Frame, Pace

BAND = 0.125  # of the height, that moves
CYCLE = 2.0  # [s] for a band to cross the picture


class TestPattern:
    """Shows colours at rest and a bright band that moves down, so that no two neighbouring pictures are equal."""

    __test__ = False  # for pytest it looks like a test by its name

    def __init__(self, expected: Format) -> None:
        self._expected = expected
        self._background = _colours(expected.height, expected.width)
        self._rows = np.arange(expected.height)
        self._pace = Pace(expected.rate)
        self._shown = 0

    def open(self) -> None:
        self._pace = Pace(self._expected.rate)

    def read(self, timeout: float) -> Frame | None:
        moment = self._pace.wait(timeout)
        if moment is None:
            return None
        height = self._expected.height
        pixels = self._background.copy()
        top = self._shown * max(1, round(height / (CYCLE * self._expected.rate)))
        pixels[(self._rows - top) % height < max(1, round(BAND * height))] |= 0x60
        self._shown += 1
        return Frame(moment, pixels)

    def close(self) -> None:
        pass


def _colours(height: int, width: int) -> NDArray[np.uint8]:
    """Return (H, W, 3) red growing to the right, green downwards, a checkerboard in blue."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 0x9F, width)
    pixels[..., 1] = np.linspace(0, 0x9F, height)[:, None]
    rows, columns = np.indices((height, width)) // 16
    pixels[..., 2] = np.where((rows + columns) % 2, 0x80, 0x10)
    return pixels
