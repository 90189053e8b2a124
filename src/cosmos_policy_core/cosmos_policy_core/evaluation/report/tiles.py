"""Pictures tiled beside each other with a line of text above each; shared by films and the monitor's pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TILE, CAPTION = 240, 24  # [px], even, as codecs want
INK, DIM, ACCENT, PAPER = (235, 235, 235), (120, 120, 120), (255, 176, 32), (18, 18, 18)
FONT = ImageFont.load_default(size=13)


class Tiles:
    """A dark canvas of columns and rows of tiles, below an empty strip of a given height."""

    def __init__(self, columns: int, rows: int, strip: int = 0) -> None:
        self._strip = strip
        self._canvas = Image.new("RGB", (TILE * max(1, columns), rows * (TILE + CAPTION) + strip), PAPER)
        self.draw = ImageDraw.Draw(self._canvas)

    def put(self, column: int, row: int, words: str, pixels: NDArray[np.uint8] | None) -> None:
        """Fill a tile with (H, W, 3) uint8, keeping its proportions; without pixels it stays empty, its words dim."""
        left, top = column * TILE, self._strip + row * (TILE + CAPTION)
        self.draw.text((left + 6, top + 4), words, fill=DIM if pixels is None else INK, font=FONT)
        if pixels is not None:
            self._canvas.paste(_fit(pixels), (left, top + CAPTION))

    def pixels(self) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 of the whole."""
        return np.asarray(self._canvas)


def _fit(pixels: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(pixels)
    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
