"""Run one node as a process: spin, come to rest on Ctrl-C, say in the exit code how it went."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from types import FrameType

import rclpy
from rclpy.signals import SignalHandlerOptions

from aloha_nodes.managed_node import ManagedNode
from aloha_nodes.spinning import SpinningThread
from aloha_nodes.waiting import wait_for_end

# A callback that does not come back (a network in the middle of a sample) must not keep the process alive.
SECONDS_TO_END = 3.5


def run(kind: type[ManagedNode], args: Sequence[str] | None = None) -> int:
    """Run a node until Ctrl-C, SIGTERM or a failure, and return the process's exit code.

    The signals are handled here and not by rclpy, which would close the middleware before the node could tell
    anyone that it stops.
    """
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    ended = threading.Event()
    _end_on_signals(ended)
    try:
        node: ManagedNode = kind()  # type: ignore[call-arg]  # each knows its own name
    except kind.failures as error:
        print(error, file=sys.stderr, flush=True)
        rclpy.try_shutdown()
        return 1
    spinner = _Spinner(node, ended)
    code = _live(node, ended) or spinner.code
    _end_anyway_after(SECONDS_TO_END, code)
    node.stop()
    if not spinner.end():
        _end_now(code)  # destroying what a callback still uses would end in a traceback
    node.destroy_node()
    rclpy.try_shutdown()
    return code


def _live(node: ManagedNode, ended: threading.Event) -> int:
    if node.auto_start and not node.start() and not ended.is_set() and node.exit_on_failure:
        return 1
    _spare_collections()
    wait_for_end(ended)
    return 0


def _spare_collections() -> None:
    """Leave what is loaded by now out of garbage collections, which stop the executor's tick for 13 ms otherwise."""
    gc.collect()
    gc.freeze()


class _Spinner(SpinningThread):
    """Tells when spinning is over, for whatever reason, while the main thread hears signals and runs transitions."""

    def __init__(self, node: ManagedNode, ended: threading.Event) -> None:
        self.code = 0
        self._node = node
        self._ended = ended
        super().__init__(node, threads=node.threads)

    def _run(self) -> None:
        try:
            super()._run()
        except Exception:
            self._node.get_logger().fatal(f"a callback failed:\n{traceback.format_exc()}")
            self.code = 1
        finally:
            self._ended.set()

    def end(self) -> bool:
        """Leave the executor; False while a callback is still at work."""
        if not self.leave(1.0):
            return False
        self._executor.shutdown(timeout_sec=1.0)
        return True


def _end_on_signals(ended: threading.Event) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        # Also bounds a configure hook that is still loading.
        if not ended.is_set():
            _end_anyway_after(SECONDS_TO_END, 0)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _end_anyway_after(seconds: float, code: int) -> None:
    timer = threading.Timer(seconds, _end_now, [code])
    timer.daemon = True
    timer.start()


def _end_now(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
