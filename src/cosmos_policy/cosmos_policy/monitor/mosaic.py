"""One picture of what the cameras saw and what the model imagined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.evaluation.report.tiles import CAPTION, FONT, INK, Tiles


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
    """
    tiles = Tiles(columns=len(cameras), rows=2, strip=CAPTION)
    tiles.draw.text((6, 4), title, fill=INK, font=FONT)
    for column, name in enumerate(cameras):
        tiles.put(column, 0, f"seen: {name}", seen.get(name))
        tiles.put(column, 1, f"imagined: {name}", imagined[column] if column < len(imagined) else None)
    return tiles.pixels()
