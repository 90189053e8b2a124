"""Failed trials as films and as one sheet: where each got stuck, at a glance."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.mp4 import write_mp4
from cosmos_policy_core.evaluation.report.tiles import Tiles

MOMENTS = 6  # pictures of a trial on the sheet
H264 = {"preset": "veryfast", "crf": "24"}  # browsers play it


def write_film(path: Path, episode: Episode, cameras: Sequence[str], rate: float) -> None:
    """Write all cameras of an episode side by side as MP4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = (np.hstack([episode.image(name, step) for name in cameras]) for step in range(len(episode)))
    write_mp4(path, pictures, rate, "libx264", H264)


def contact_sheet(episodes: Sequence[tuple[str, Episode]], camera: str, rate: float) -> NDArray[np.uint8]:
    """Tile evenly spread moments of episodes, one row each, under its words.

    Args:
        rate: steps per second, for the times over the pictures.
    """
    sheet = Tiles(columns=MOMENTS, rows=len(episodes))
    for row, (words, episode) in enumerate(episodes):
        for column, step in enumerate(np.linspace(0, len(episode) - 1, MOMENTS).round().astype(int).tolist()):
            caption = words if column == 0 else f"{step / rate:.1f} s"
            sheet.put(column, row, caption, episode.image(camera, step))
    return sheet.pixels()


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """Encode (H, W, 3) uint8 as PNG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="png")
    return stream.getvalue()
