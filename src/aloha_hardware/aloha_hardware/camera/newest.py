"""The hand-over between a camera's thread and whoever publishes: only the newest picture is kept."""

from __future__ import annotations

import threading

from aloha_hardware.camera.source import Frame


class Newest:
    """A slot for one picture. Closed until someone wants pictures, so that none of them is an old one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._open = False

    def open(self) -> None:
        """Accept pictures from now on."""
        with self._changed:
            self._open = True

    def close(self) -> None:
        """Drop the picture and accept no more; whoever waits in :meth:`take` comes back with None."""
        with self._changed:
            self._open, self._frame = False, None
            self._changed.notify_all()

    @property
    def is_open(self) -> bool:
        """Whether someone wants pictures."""
        return self._open

    def put(self, frame: Frame) -> bool:
        """Offer a picture; return whether it took the place of one that nobody had taken."""
        with self._changed:
            if not self._open:
                return False
            replaced = self._frame is not None
            self._frame = frame
            self._changed.notify()
        return replaced

    def take(self, timeout: float) -> Frame | None:
        """Wait for a picture up to `timeout` [s] and take it out."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or not self._open, timeout)
            frame, self._frame = self._frame, None
        return frame
