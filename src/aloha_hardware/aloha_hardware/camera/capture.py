"""A thread per camera: takes every picture as it comes, keeps the newest, opens the camera again after a loss."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aloha_hardware.camera.errors import CameraError, CameraLostError, RecordingEndedError
from aloha_hardware.camera.health import Health
from aloha_hardware.camera.newest import Newest
from aloha_hardware.camera.source import Format, Frame, Source

READ_TIMEOUT = 0.1  # s; how soon a stop is heard
SECONDS_TO_STOP = 2.0  # a driver that hangs must not keep the process
PROBE = 16  # px between the pixels compared first


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a lost camera is opened again: `first` [s], doubled up to `longest` [s]."""

    first: float = 0.5
    longest: float = 5.0

    def delay(self, attempt: int) -> float:
        """Return the wait before an attempt, counted from 0 [s]."""
        return float(min(self.longest, self.first * 2.0 ** min(attempt, 30)))


class Capture:
    """Owns a source from :meth:`start` to :meth:`stop`; pictures come out of `newest`, counts out of `health`.

    Args:
        accept_repeats: take a picture equal to the one before as a new one. A sensor never gives the same picture
            twice, so that for a camera it means that the driver shows an old one.
        say: told about losses and returns, in a sentence.
    """

    def __init__(
        self,
        source: Source,
        expected: Format,
        *,
        accept_repeats: bool = False,
        backoff: Backoff | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.newest = Newest()
        self.health = Health()
        self._source = source
        self._expected = expected
        self._accept_repeats = accept_repeats
        self._backoff = backoff or Backoff()
        self._say = say
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._last: np.ndarray | None = None
        self._attempts = 0  # to open the camera again, since its last picture

    def start(self, timeout: float) -> None:
        """Open the camera and return when its first picture is there, after `timeout` [s] at the latest.

        Raises:
            CameraError: it cannot be opened, or gives no or other pictures than asked for; it is closed again.
        """
        try:
            self._source.open()
            self._wait_for_picture(timeout)
        except CameraError:
            self._source.close()
            raise
        self._stopped.clear()
        self.health.connected(again=False)
        self._thread = threading.Thread(target=self._live, name="capture", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the camera; may be called at any time."""
        self.newest.close()
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(SECONDS_TO_STOP)
            self._thread = None

    def _wait_for_picture(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            frame = self._source.read(READ_TIMEOUT)
            if frame is not None:
                self._check(frame)
                return
        raise CameraError(f"it opened, but gave no picture in {timeout:g} s. Check its cable, and the hub's power.")

    def _live(self) -> None:
        try:
            while not self._stopped.is_set():
                problem = self._read_until_lost()
                self._source.close()
                if problem is None:
                    return
                if not self._attempts:
                    self._say(problem)
                self._reconnect(problem)
        finally:
            self._source.close()

    def _read_until_lost(self) -> str | None:
        """Read until a stop, or the end of a recording (None), or a loss (why)."""
        while not self._stopped.is_set():
            try:
                frame = self._source.read(READ_TIMEOUT)
                if frame is not None:
                    self._check(frame)
                    self._offer(frame)
            except RecordingEndedError as error:
                self.health.lost(str(error), ended=True)
                self._say(str(error))
                return None
            except CameraError as error:
                return str(error)
            except Exception:
                # A defect, or one of a driver: shown whole, then treated like a pulled plug.
                return f"reading failed:\n{traceback.format_exc()}"
        return None

    def _offer(self, frame: Frame) -> None:
        if not self._accept_repeats and self._last is not None and equal(frame.pixels, self._last):
            self.health.repeated()
            return
        if self._attempts:
            self.health.connected(again=True)
            self._say(f"pictures are back after {self._attempts} attempt(s) to open the camera.")
        self._last, self._attempts = frame.pixels, 0
        self.health.captured(dropped=self.newest.put(frame))

    def _reconnect(self, problem: str) -> None:
        while not self._stopped.is_set():
            delay = self._backoff.delay(self._attempts)
            self.health.lost(f"{problem} Tried again {self._attempts} time(s), next in {delay:g} s.")
            if self._stopped.wait(delay):
                return
            self._attempts += 1
            try:
                self._source.open()
            except CameraError as error:
                self._source.close()
                problem = str(error)
                continue
            except Exception:
                self._source.close()
                problem = f"opening failed:\n{traceback.format_exc()}"
                continue
            # It is back only when a picture is: until then the reason stands.
            self.health.lost(f"{problem} It opened again, but gave no picture yet.")
            self._last = None
            return

    def _check(self, frame: Frame) -> None:
        height, width = frame.pixels.shape[:2]
        ask = self._expected
        if (width, height) != (ask.width, ask.height):
            raise CameraLostError(f"a picture is {width}x{height}, not {ask.width}x{ask.height}. Is it another camera?")


def equal(picture: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two pictures are the same; different ones are told apart by a few of their pixels."""
    if picture.shape != other.shape:
        return False
    return np.array_equal(picture[::PROBE, ::PROBE], other[::PROBE, ::PROBE]) and np.array_equal(picture, other)
