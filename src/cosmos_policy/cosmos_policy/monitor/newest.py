"""The newest message of each of many topics, decoded only when it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from cosmos_policy.qos import SENSOR_DATA


class Newest:
    """Raw subscriptions: between two looks, a camera costs a copy of bytes per frame."""

    def __init__(self, node: Node, topics: Mapping[str, type], group: CallbackGroup) -> None:
        self._kinds = dict(topics)
        self._data: dict[str, bytes] = {}
        self._subscriptions = [
            node.create_subscription(
                kind, topic, partial(self._data.__setitem__, topic), SENSOR_DATA, raw=True, callback_group=group
            )
            for topic, kind in topics.items()
        ]

    def take(self, topic: str) -> Any | None:
        """Decode the newest message of a topic that has not been taken yet; None when there is none."""
        data = self._data.pop(topic, None)
        return None if data is None else deserialize_message(data, self._kinds[topic])
