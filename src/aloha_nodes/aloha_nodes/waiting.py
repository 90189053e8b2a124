"""Wait for the end of a program; without ROS, for programs that have none."""

from __future__ import annotations

import threading


def wait_for_end(ended: threading.Event) -> None:
    """Wait until a signal's handler or another thread sets the event.

    In short waits: a signal that another thread of the process took does not wake the main thread, where Python runs
    handlers, and a wait without end would sleep through Ctrl-C.
    """
    while not ended.wait(0.2):
        pass
