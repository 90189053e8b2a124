"""One picture of what the cameras saw and what the model imagined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TILE, CAPTION = 240, 22  # [px]
PAPER, INK, DIM = (18, 18, 18), (235, 235, 235), (110, 110, 110)
FONT = ImageFont.load_default(size=13)


def mosaic(
    cameras: Sequence[str],
    seen: Mapping[str, NDArray[np.uint8]],
    imagined: Sequence[NDArray[np.uint8]],
    title: str,
) -> NDArray[np.uint8]:
    """Tile one column per camera: above what it saw, below what was imagined.

    Args:
        cameras: names, in the order of `imagined`.
        seen: (H, W, 3) uint8 by name; missing ones stay empty.
        imagined: (H, W, 3) uint8 per camera; fewer leave the rest empty.

    Returns:
        (2 * (240 + 22) + 22, 240 * cameras, 3) uint8.
    """
    canvas = Image.new("RGB", (TILE * max(1, len(cameras)), 2 * (TILE + CAPTION) + CAPTION), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((6, 3), title, fill=INK, font=FONT)
    for column, name in enumerate(cameras):
        futures = imagined[column] if column < len(imagined) else None
        for row, (what, pixels) in enumerate((("seen", seen.get(name)), ("imagined", futures))):
            top = CAPTION + row * (TILE + CAPTION)
            draw.text(
                (column * TILE + 6, top + 3), f"{what}: {name}", fill=INK if pixels is not None else DIM, font=FONT
            )
            if pixels is not None:
                canvas.paste(_fit(pixels), (column * TILE, top + CAPTION))
    return np.asarray(canvas)


def _fit(pixels: NDArray[np.uint8]) -> Image.Image:
    """Scale an image into a tile, keeping its proportions."""
    image = Image.fromarray(pixels)
    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
