"""A film of a run: the cameras, what was imagined, and the values of the candidates, as time passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import ImageDraw

from cosmos_policy_core.data.bags.recording import Recording
from cosmos_policy_core.evaluation.report.from_bag import camera_frames
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_core.evaluation.report.run import Picture
from cosmos_policy_core.evaluation.report.tiles import ACCENT, CAPTION, DIM, FONT, INK, TILE, Tiles


def film_frames(recording: Recording, plans: Sequence[PlanRecord], rate: float) -> Iterator[Picture]:
    """Yield (H, W, 3) frames: cameras above, imagined futures below, candidates on the right.

    Args:
        rate: frames per second of recorded time.
    """
    begin = max(float(stream.stamps[0]) for stream in recording.images) * 1e-9
    end = min(float(stream.stamps[-1]) for stream in recording.images) * 1e-9
    times = np.arange(begin, end, 1.0 / rate)
    cameras = [camera.name for camera in recording.contract.cameras]
    streams = [camera_frames(recording, index, times) for index in range(len(cameras))]
    for time, *pictures in zip(times, *streams, strict=True):
        made = [plan for plan in plans if plan.made <= time]
        yield compose(cameras, pictures, made[-1] if made else None, f"{time - begin:6.1f} s")


def compose(cameras: Sequence[str], pictures: Sequence[Picture], plan: PlanRecord | None, clock: str) -> Picture:
    """Compose one frame."""
    tiles = Tiles(columns=len(cameras) + 1, rows=2)
    for column, name in enumerate(cameras):
        tiles.put(column, 0, name, pictures[column])
        futures = plan.imagined[column] if plan is not None and column < len(plan.imagined) else None
        tiles.put(column, 1, "imagined", futures)
    tiles.draw.text((len(cameras) * TILE + 8, 4), clock, fill=ACCENT, font=FONT)
    if plan is not None:
        _draw_values(tiles.draw, plan, len(cameras) * TILE)
    return tiles.pixels()


def _draw_values(draw: ImageDraw.ImageDraw, plan: PlanRecord, x: int) -> None:
    draw.text((x + 8, 4 + CAPTION), f"plan {plan.index}: value of each candidate", fill=INK, font=FONT)
    height = min(26, (2 * TILE - CAPTION) // max(1, len(plan.values)))
    for k, value in enumerate(plan.values):
        top, known = 2 * CAPTION + 10 + k * height, bool(np.isfinite(value))
        width = int(130 * float(np.clip(value, 0, 1))) if known else 0
        colour = ACCENT if k == plan.chosen else DIM
        draw.rectangle((x + 26, top, x + 26 + width, top + height - 6), fill=colour)
        draw.text((x + 8, top), str(k), fill=colour, font=FONT)
        draw.text((x + 166, top), f"{value:.3f}" if known else "-", fill=colour, font=FONT)
