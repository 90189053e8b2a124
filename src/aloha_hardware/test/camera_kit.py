"""Recordings made for a test, and a camera whose every move the test decides."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aloha_hardware.camera.errors import CameraError, CameraLostError
from aloha_hardware.camera.source import Format, Frame

WIDTH, HEIGHT = 64, 48
PATIENCE = 20.0


def wait(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE} s in vain: {what}")


def picture(shade: int) -> np.ndarray:
    """A picture that tells its shade again after any compression; red and blue differ."""
    pixels = np.full((HEIGHT, WIDTH, 3), shade, dtype=np.uint8)
    pixels[..., 2] = 255 - shade
    return pixels


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(picture(20 * index)).save(folder / f"{index:03d}.png")
    return folder


def asked(rate: float = 50.0, width: int = WIDTH, height: int = HEIGHT) -> Format:
    return Format(width, height, rate)


class HandDrivenCamera:
    """Gives the pictures put into it, when they are put into it."""

    def __init__(self) -> None:
        self.pictures: queue.Queue[np.ndarray | CameraError] = queue.Queue()
        self.plugged = True
        self.opened: list[float] = []

    def show(self, *shades: int) -> None:
        for shade in shades:
            self.pictures.put(picture(shade))

    def unplug(self) -> None:
        self.plugged = False
        self.pictures.put(CameraLostError("unplugged. Plug it in."))

    def open(self) -> None:
        self.opened.append(time.monotonic())
        if not self.plugged:
            raise CameraError("not there. Plug it in.")

    def read(self, timeout: float) -> Frame | None:
        try:
            item = self.pictures.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(item, CameraError):
            raise item
        return Frame(time.monotonic_ns(), item)

    def close(self) -> None:
        pass
