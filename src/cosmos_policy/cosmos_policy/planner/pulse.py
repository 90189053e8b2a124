"""Wait for things in the thread of a goal: with a time-out, interruptible, looking again when something came in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PERIOD = 0.02  # [s], longest delay before a condition is looked at again


class Pulse:
    """Let waiting threads look at their conditions every 20 ms of wall time, and at once when told to.

    Waiting is measured in wall time, not in the node's: when a simulation dies, its clock stops with it, and whoever
    waits for it must still notice. Threads and not coroutines: rclpy's multi-threaded executor notes a suspended
    coroutine once more at every turn and goes through all its notes at each, so that a task of a minute takes a core.
    """

    def __init__(self) -> None:
        self._turned = threading.Condition()
        self._turns = 0

    def wake(self, _: object = None) -> None:
        """Let every waiting thread look at its condition; fit to be a done-callback of a future."""
        with self._turned:
            self._turns += 1
            self._turned.notify_all()

    def until(self, condition: Callable[[], bool], timeout: float, check: Callable[[], None] | None = None) -> bool:
        """Wait until the condition holds; False when `timeout` [s] of wall time passed first.

        `check` runs before every look and may raise to end the wait.
        """
        deadline = time.monotonic() + timeout
        while True:
            turn = self._turns
            if check is not None:
                check()
            if condition():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self._turned:
                if self._turns == turn:  # nothing came in while looking
                    self._turned.wait(min(PERIOD, left))
