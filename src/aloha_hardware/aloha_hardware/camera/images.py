"""Image files as a camera: for tests, and to replay single pictures."""

from __future__ import annotations

import glob
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from aloha_hardware.camera.errors import CameraError, CameraLostError, RecordingEndedError
from aloha_hardware.camera.source import Format, Frame, Pace

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm")


class ImageFiles:
    """Shows the files of a folder, or those that match a pattern, in the order of their names.

    A file that disappears is a camera unplugged.
    """

    def __init__(self, device: str, expected: Format, *, loop: bool) -> None:
        self._device = device
        self._expected = expected
        self._loop = loop
        self._paths: list[Path] = []
        self._next = 0
        self._pace = Pace(expected.rate)

    def open(self) -> None:
        folder = Path(self._device)
        if folder.is_dir():
            self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        else:
            self._paths = [Path(name) for name in sorted(glob.glob(self._device))]
        if not self._paths:
            raise CameraError(
                f"{self._device}: there is no picture. Set device to a folder of {', '.join(SUFFIXES)} files, "
                "or to a pattern such as '/data/*.png'."
            )
        self._next = 0
        self._pace = Pace(self._expected.rate)

    def read(self, timeout: float) -> Frame | None:
        if self._next == len(self._paths):
            if not self._loop:
                raise RecordingEndedError(f"{self._device}: all {len(self._paths)} pictures were shown.")
            self._next = 0
        moment = self._pace.wait(timeout)
        if moment is None:
            return None
        frame = Frame(moment, self._load(self._paths[self._next]))
        self._next += 1
        return frame

    def close(self) -> None:
        self._paths = []
        self._next = 0

    def _load(self, path: Path) -> np.ndarray:
        try:
            with Image.open(path) as image:
                if image.mode != "RGB":
                    raise CameraError(f"{path}: pixels are {image.mode}, not rgb8. Convert the file to RGB.")
                self._expected.check_size(*image.size, str(path), "Set width and height, or convert the file.")
                return np.array(image)
        except UnidentifiedImageError as error:
            raise CameraError(f"{path}: this is not a picture. Remove it, or choose the files by a pattern.") from error
        except OSError as error:
            raise CameraLostError(f"{path}: {error.strerror or error}. Put the file back.") from error
