"""Compose one picture of a video: the cameras, what was imagined, and how the candidates were valued."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cosmos_policy_core.evaluation.report.plans import PlanRecord

SIZE = (1024, 560)  # [px], even: the codec halves the colour planes
BIG, SMALL, CAPTION = 512, 256, 48
INK, DIM, ACCENT, PAPER = (235, 235, 235), (120, 120, 120), (255, 176, 32), (18, 18, 18)
FONT, LABEL = ImageFont.load_default(size=18), ImageFont.load_default(size=13)


def compose(
    images: Mapping[str, NDArray[np.uint8]], plan: PlanRecord | None, imagined_camera: int, title: str, status: str
) -> NDArray[np.uint8]:
    """Tile the views beside each other.

    Args:
        images: (H, W, 3) of cam_high, cam_left_wrist and cam_right_wrist; missing ones stay black.
        plan: the newest decision; its imagined view of camera `imagined_camera` and its values are drawn.
        title, status: the two lines of the caption.

    Returns:
        (560, 1024, 3) uint8.
    """
    canvas = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(canvas)
    places = {"cam_high": (0, 0, BIG), "cam_left_wrist": (BIG, 0, SMALL), "cam_right_wrist": (BIG, SMALL, SMALL)}
    for name, (x, y, size) in places.items():
        if name in images:
            _paste(canvas, images[name], x, y, size)
        _label(draw, name, x, y)
    if plan is not None:
        if imagined_camera < len(plan.imagined):
            _paste(canvas, plan.imagined[imagined_camera], BIG + SMALL, 0, SMALL)
            _label(draw, "imagined: cam_high after this chunk", BIG + SMALL, 0)
        _draw_values(draw, plan, BIG + SMALL, SMALL)
    draw.text((10, BIG + 4), title, fill=INK, font=FONT)
    draw.text((10, BIG + 27), status, fill=ACCENT, font=LABEL)
    return np.asarray(canvas)


def _paste(canvas: Image.Image, pixels: NDArray[np.uint8], x: int, y: int, size: int) -> None:
    image = Image.fromarray(pixels)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    canvas.paste(image, (x, y))


def _label(draw: ImageDraw.ImageDraw, text: str, x: int, y: int) -> None:
    draw.text((x + 7, y + 5), text, fill=(0, 0, 0), font=LABEL)
    draw.text((x + 6, y + 4), text, fill=INK, font=LABEL)


def _draw_values(draw: ImageDraw.ImageDraw, plan: PlanRecord, x: int, y: int) -> None:
    _label(draw, f"plan {plan.index}: value of each candidate", x, y)
    height = min(24, (SMALL - 40) // max(1, len(plan.values)))
    for k, value in enumerate(plan.values):
        top, known = y + 30 + k * height, bool(np.isfinite(value))
        width = int(150 * float(np.clip(value, 0, 1))) if known else 0
        colour = ACCENT if k == plan.chosen else DIM
        draw.rectangle((x + 26, top, x + 26 + width, top + height - 5), fill=colour)
        draw.text((x + 8, top), str(k), fill=colour, font=LABEL)
        draw.text((x + 184, top), f"{value:.3f}" if known else "-", fill=colour, font=LABEL)
