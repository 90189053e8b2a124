"""Subscribe to everything, still serialized, and count what got lost on the way.

A thread of its own takes whatever has arrived and hands it on: whoever publishes is never waited for, nothing is
decoded, and no message costs a turn of rclpy's executor, which falls behind cameras and arms on a busy machine.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.executors import InvalidHandle  # where every distribution has it
from rclpy.node import Node
from rclpy.subscription import Subscription

from aloha_nodes import polling
from cosmos_policy.recorder.topics import Recorded

# rclpy tells when and as which message of its publisher something was sent; not on Humble.
TELLS_INFO = hasattr(Subscription, "CallbackType")
PAUSE = 0.002  # [s] between two looks while an episode runs
IDLE_PAUSE = 0.05  # [s] otherwise: only latched topics are looked at

Sink = Callable[[str, int, bytes], None]  # topic, received [ns], serialized message


@dataclass
class Arrivals:
    """What came in on one topic since the last `restart`."""

    received: int = 0
    lost: int = 0
    last_number: int = 0
    latest: bytes | None = None

    def restart(self) -> None:
        """Count from zero; the newest message is remembered."""
        self.received = self.lost = self.last_number = 0

    def count(self, number: int | None) -> None:
        """Count a message by its publisher's running number, which starts at 1 for every publisher."""
        self.received += 1
        if number is None:
            return
        if self.last_number and number > self.last_number:
            self.lost += number - self.last_number - 1
        self.last_number = number


class Intake:
    """The subscriptions of a recorder; opened once and kept, because rclpy does not survive what it spins being closed.

    Messages go to the sink while there is one. What latched topics said before is handed to a new sink first.
    """

    def __init__(self, node: Node, topics: list[Recorded]) -> None:
        self._node = node
        self._topics = {topic.name: topic for topic in topics}
        self._arrivals = {topic.name: Arrivals() for topic in topics}
        self._subscriptions = {
            topic.name: polling.subscribe(node, topic.kind, topic.name, topic.qos) for topic in topics
        }
        self._sink: Sink | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Begin to listen."""
        self._ending.clear()
        self._thread = threading.Thread(target=self._listen, name="intake", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop listening; must come before the node is destroyed."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def open(self, sink: Sink) -> None:
        """Hand messages to a sink from now on."""
        with self._lock:
            for name in self._topics:
                self._take_all(name)  # what waits here is from before
            for name, arrivals in self._arrivals.items():
                arrivals.restart()
                if self._topics[name].latched and arrivals.latest is not None:
                    sink(name, self._now(), arrivals.latest)
            self._sink = sink

    def close(self) -> None:
        """Hand on what has arrived by now, and nothing after it."""
        with self._lock:
            if self._sink is not None:
                self._sweep()
            self._sink = None

    def lost(self) -> dict[str, int]:
        """Messages per topic that were sent but never arrived, where that can be told: with a single publisher."""
        single = [name for name in self._arrivals if self._node.count_publishers(name) <= 1]
        return {name: self._arrivals[name].lost for name in single}

    def _listen(self) -> None:
        try:
            while not self._ending.wait(PAUSE if self._sink is not None else IDLE_PAUSE):
                with self._lock:
                    self._sweep()
        except InvalidHandle:
            pass  # the node was destroyed without notice
        except Exception:
            self._node.get_logger().fatal(f"nothing is recorded any more:\n{traceback.format_exc()}")

    def _sweep(self) -> None:
        """Take what has arrived: everything while an episode runs, else only what latched topics say."""
        for name, topic in self._topics.items():
            if self._sink is not None or topic.latched:
                self._take_all(name)

    def _take_all(self, name: str) -> None:
        subscription, arrivals, keeps = self._subscriptions[name], self._arrivals[name], self._topics[name].latched
        for _ in range(self._topics[name].depth):
            taken = polling.take_raw(subscription)
            if taken is None:
                return
            data, info = taken
            if keeps:
                arrivals.latest = data
            if self._sink is not None:
                arrivals.count(info.get("publication_sequence_number") if TELLS_INFO else None)
                self._sink(name, self._now(), data)

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
