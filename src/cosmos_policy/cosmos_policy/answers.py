"""Wait for what another thread is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from cosmos_policy.errors import NoAnswer


def wait_for(future: Any, timeout: float, name: str, check: Callable[[], None] | None = None) -> Any:
    """Block until a future that another thread completes has its result.

    Args:
        timeout: [s].
        name: who is waited for, for the error.
        check: called twice a second; may raise to give up.

    Raises:
        NoAnswer: it took longer than `timeout`.
    """
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    deadline = time.monotonic() + timeout
    while not done.wait(min(0.5, max(0.0, deadline - time.monotonic()))):
        if check is not None:
            check()
        if time.monotonic() >= deadline:
            raise NoAnswer(f"{name}: no answer within {timeout:.0f} s. Read its node's log.")
    return future.result()
