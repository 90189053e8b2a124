"""Wait for things inside a coroutine of a node: with a time-out, interruptible, without blocking a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

PERIOD = 0.02  # [s], longest delay before a condition is looked at again


class Pulse:
    """Wake waiting coroutines every 20 ms of wall time, and at once when told to.

    Waiting is measured on the steady clock, not the node's: when a simulation dies, its clock stops with it, and
    whoever waits for it must still notice.
    """

    def __init__(self, node: Node) -> None:
        self._turn = Future()
        self._waiting = 0
        self._lock = threading.Lock()
        # Its own group: a timer may only be cancelled where it cannot be due at the same time, in its own callback.
        self._timer = node.create_timer(
            PERIOD, self._tick, MutuallyExclusiveCallbackGroup(), clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def wake(self, _: object = None) -> None:
        """Let every waiting coroutine look at its condition; fit to be a done-callback of a future."""
        turn, self._turn = self._turn, Future()
        turn.set_result(None)

    async def until(
        self, condition: Callable[[], bool], timeout: float, check: Callable[[], None] | None = None
    ) -> bool:
        """Wait until the condition holds; False when `timeout` [s] of wall time passed first.

        `check` runs before every look and may raise to end the wait.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            self._waiting += 1
            self._timer.reset()
        try:
            while True:
                if check is not None:
                    check()
                if condition():
                    return True
                if time.monotonic() >= deadline:
                    return False
                await self._turn
        finally:
            with self._lock:
                self._waiting -= 1

    def _tick(self) -> None:
        self.wake()
        with self._lock:
            if self._waiting == 0:
                self._timer.cancel()
