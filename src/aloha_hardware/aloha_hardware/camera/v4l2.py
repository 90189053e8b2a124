"""USB cameras through Video4Linux (kernel documentation: userspace-api/media/v4l), read with OpenCV."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Any

import numpy as np

from aloha_hardware.camera.errors import CameraError, CameraLostError
from aloha_hardware.camera.source import Format, Frame

FORMATS_WITHOUT_COLOUR = ("GREY", "Y8  ", "Y10 ", "Y12 ", "Y16 ", "Z16 ", "Y8I ", "Y12I")
FAILURES_UNTIL_LOST = 3
OLDEST_STAMP = 1_000_000_000  # ns; what is further away is not on the monotonic clock
EXPOSURE_UNIT = 100  # µs, of V4L2_CID_EXPOSURE_ABSOLUTE
MANUAL_EXPOSURE, AUTO_EXPOSURE = 1, 3  # V4L2_EXPOSURE_MANUAL, V4L2_EXPOSURE_APERTURE_PRIORITY


class V4l2Camera:
    """A camera at a path, best one that stays the same: /dev/v4l/by-id/... or /dev/v4l/by-path/...

    Pictures are stamped by the driver when their first byte arrives.
    """

    def __init__(self, device: str, expected: Format, *, pixel_format: str = "", exposure: int = 0) -> None:
        self._device = device
        self._expected = expected
        self._pixel_format = pixel_format
        self._exposure = exposure
        self._capture: Any = None
        self._failures = 0

    def open(self) -> None:
        check_device(self._device)
        cv2 = _library()
        self._failures = 0
        self._capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(
                f"{self._device}: it does not open as a camera. Close what else uses it (fuser {self._device}), and "
                "use the node that gives pictures: one camera often has several."
            )
        self._configure(cv2)

    def read(self, timeout: float) -> Frame | None:
        # OpenCV waits as long as its own time-out says, which _library makes one second.
        if not self._capture.grab():
            self._count_failure()
            return None
        arrival = time.monotonic_ns()
        done, picture = self._capture.retrieve()
        if not done:
            self._count_failure()
            return None
        self._failures = 0
        cv2 = _library()
        taken = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        acquired = taken if 0 <= arrival - taken < OLDEST_STAMP else arrival
        return Frame(acquired, rgb(picture, self._device))

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def _configure(self, cv2: Any) -> None:
        ask, capture = self._expected, self._capture
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)
        if self._pixel_format:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*self._pixel_format))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, ask.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, ask.height)
        capture.set(cv2.CAP_PROP_FPS, ask.rate)
        remedy = f"Choose one of its formats: v4l2-ctl --list-formats-ext -d {self._device}"
        check_pixel_format(four_letters(capture.get(cv2.CAP_PROP_FOURCC)), self._pixel_format, self._device, remedy)
        width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        ask.check_size(width, height, self._device, remedy)
        rate = capture.get(cv2.CAP_PROP_FPS)
        if rate > 0:
            ask.check_rate(rate, self._device, remedy)
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL_EXPOSURE if self._exposure else AUTO_EXPOSURE)
        if self._exposure and not capture.set(cv2.CAP_PROP_EXPOSURE, round(self._exposure / EXPOSURE_UNIT)):
            raise CameraError(
                f"{self._device}: it does not take an exposure of {self._exposure} µs. Set exposure to 0 (automatic), "
                f"or within its range: v4l2-ctl -L -d {self._device}"
            )

    def _count_failure(self) -> None:
        self._failures += 1
        if not os.path.exists(self._device):
            raise CameraLostError(f"{self._device}: it is unplugged. Plug it in again.")
        if self._failures >= FAILURES_UNTIL_LOST:
            raise CameraLostError(f"{self._device}: it gives no pictures. Check its cable, and the hub's power.")


def check_device(device: str) -> None:
    """Refuse a path that cannot be a camera we may read; raises CameraError."""
    remedy = "List the cameras: ls /dev/v4l/by-id"
    try:
        mode = os.stat(device).st_mode
    except OSError as error:
        what = "there is no such device" if error.errno == errno.ENOENT else str(error.strerror)
        raise CameraError(f"{device}: {what}. Plug the camera in, or set device. {remedy}") from error
    if not stat.S_ISCHR(mode):
        raise CameraError(f"{device}: this is not a device. Set source to images or video for files. {remedy}")
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraError(f"{device}: permission denied. Join the group and log in again: sudo usermod -aG video $USER")


def check_pixel_format(given: str, asked: str, where: str, remedy: str) -> None:
    """Refuse pictures without colour, and another format than was asked for; raises CameraError."""
    if given in FORMATS_WITHOUT_COLOUR:
        raise CameraError(f"{where}: its pictures are {given.strip()}, without colour, not rgb8. {remedy}")
    if asked and given != asked:
        raise CameraError(f"{where}: its pictures are {given.strip()}, not {asked}. {remedy}")


def four_letters(code: float) -> str:
    """Spell a pixel format's code, for example MJPG."""
    return int(code).to_bytes(4, "little").decode("ascii", "replace")


def rgb(picture: np.ndarray, where: str) -> np.ndarray:
    """Turn OpenCV's (H, W, 3) uint8 BGR into RGB; raises CameraError for anything else."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise CameraError(f"{where}: pictures are {picture.dtype} {picture.shape}, not colour. Set pixel_format.")
    cv2 = _library()
    converted: np.ndarray = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return converted


def _library() -> Any:
    # Read by OpenCV when it is loaded: how long grab() waits for a picture [s], 10 by default; what it prints itself.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    try:
        import cv2
    except ImportError as error:
        raise CameraError(
            f"a V4L2 camera needs OpenCV ({error}). Install it: pip install opencv-python-headless, "
            "or apt install python3-opencv."
        ) from error
    return cv2
