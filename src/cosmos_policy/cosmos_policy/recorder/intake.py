"""Subscribe to everything, still serialized, and count what got lost on the way.

A callback copies bytes into a queue and does nothing else: whoever publishes is never waited for, nothing is decoded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription

from cosmos_policy.recorder.topics import Recorded

# rclpy tells a callback when and as which message of its publisher something was sent; not on Humble.
TELLS_INFO = hasattr(Subscription, "CallbackType")

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

    def __init__(self, node: Node, topics: list[Recorded], group: CallbackGroup) -> None:
        self._node = node
        self._topics = {topic.name: topic for topic in topics}
        self._arrivals = {topic.name: Arrivals() for topic in topics}
        self._sink: Sink | None = None
        self._lock = threading.Lock()
        for topic in topics:
            take = self._callback(topic)
            node.create_subscription(topic.kind, topic.name, take, topic.qos, callback_group=group, raw=True)

    def open(self, sink: Sink) -> None:
        """Hand messages to a sink from now on."""
        now = self._now()
        with self._lock:
            for name, arrivals in self._arrivals.items():
                arrivals.restart()
                if self._topics[name].latched and arrivals.latest is not None:
                    sink(name, now, arrivals.latest)
            self._sink = sink

    def close(self) -> None:
        """Hand nothing on any more."""
        with self._lock:
            self._sink = None

    def received(self) -> dict[str, int]:
        """Messages per topic since `open`."""
        return {name: arrivals.received for name, arrivals in self._arrivals.items()}

    def lost(self) -> dict[str, int]:
        """Messages per topic that were sent but never arrived, where that can be told: with a single publisher."""
        single = [name for name in self._arrivals if self._node.count_publishers(name) <= 1]
        return {name: self._arrivals[name].lost for name in single}

    def silent(self, wanted: Mapping[str, Any]) -> list[str]:
        """Topics among the wanted ones from which nothing came since `open`."""
        return [name for name in wanted if self._arrivals[name].received == 0]

    def _callback(self, topic: Recorded) -> Callable[..., None]:
        arrivals, name, keeps = self._arrivals[topic.name], topic.name, topic.latched

        def take(data: bytes, info: dict[str, Any]) -> None:
            if keeps:
                arrivals.latest = data
            sink = self._sink
            if sink is not None:
                arrivals.count(info.get("publication_sequence_number"))
                sink(name, self._now(), data)

        def take_alone(data: bytes) -> None:
            take(data, {})

        return take if TELLS_INFO else take_alone

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
