"""Spin nodes in a thread beside a program of its own, and leave them in order."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

from rclpy.context import Context
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node


@contextlib.contextmanager
def spinning(*nodes: Node, threads: int = 1) -> Iterator[None]:
    """Spin nodes of one context in a thread of their own; they are destroyed when nobody spins them any more."""
    thread = SpinningThread(*nodes, threads=threads, context=nodes[0].context)
    try:
        yield
    finally:
        thread.stop()
        for node in nodes:
            node.destroy_node()
        gc.collect()  # rclpy keeps what is tied in a cycle with its callbacks, and with it the node's topics


class SpinningThread:
    """Spins from its creation until `stop`; nodes may be destroyed afterwards, not before."""

    def __init__(self, *nodes: Node, threads: int = 1, context: Context | None = None) -> None:
        self._executor: Executor = (
            SingleThreadedExecutor(context=context)
            if threads == 1
            else MultiThreadedExecutor(num_threads=threads, context=context)
        )
        for node in nodes:
            self._executor.add_node(node)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spinning", daemon=True)
        self._thread.start()

    def __enter__(self) -> SpinningThread:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the executor and shut it down, even where a callback is still at work."""
        self.leave(2.0)
        self._executor.shutdown(timeout_sec=2.0)

    def leave(self, patience: float) -> bool:
        """Let the thread end before anything it waits for is taken from it; the other way round rclpy raises.

        Args:
            patience: with the thread, and again with callbacks that are still at work [s].

        Returns:
            Whether both have ended.
        """
        self._stopping.set()
        self._executor.create_task(lambda: None)
        self._thread.join(timeout=patience)
        # Executor.shutdown promises to wait for callbacks but does not, and takes from them what they end with.
        at_work = getattr(self._executor, "_work_tracker", None)
        rested = at_work is None or at_work.wait(patience)
        return bool(rested) and not self._thread.is_alive()

    def _run(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while not self._stopping.is_set():
                self._executor.spin_once()
