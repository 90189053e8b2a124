"""The newest message of each of many topics, decoded only when it is looked at."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from aloha_nodes.qos import SENSOR_DATA
from cosmos_policy.messages import image_array, image_problem
from cosmos_policy_core.embodiment import Embodiment


class Newest:
    """Raw subscriptions: between two looks, a camera costs a copy of bytes per frame."""

    def __init__(self, node: Node, topics: Mapping[str, type], group: CallbackGroup) -> None:
        self._kinds = dict(topics)
        self._data: dict[str, bytes] = {}
        self._heard: dict[str, float] = {}
        self._subscriptions = [
            node.create_subscription(
                kind, topic, partial(self._keep, topic), SENSOR_DATA, raw=True, callback_group=group
            )
            for topic, kind in topics.items()
        ]

    def take(self, topic: str) -> Any | None:
        """Decode the newest message of a topic that has not been taken yet; None when there is none."""
        data = self._data.pop(topic, None)
        return None if data is None else deserialize_message(data, self._kinds[topic])

    def silence(self, topic: str) -> float:
        """Return the wall time since the last message of a topic [s]; infinite before the first."""
        return time.monotonic() - self._heard.get(topic, -float("inf"))

    def _keep(self, topic: str, data: bytes) -> None:
        self._data[topic], self._heard[topic] = data, time.monotonic()


class Pictures:
    """The last picture of every camera that can be believed.

    Attributes:
        seen: (H, W, 3) uint8 by the camera's name, as of the last look.
    """

    def __init__(self, contract: Embodiment, newest: Newest) -> None:
        self._cameras, self._newest = contract.cameras, newest
        self.seen: dict[str, NDArray[np.uint8]] = {}

    def look(self) -> list[str]:
        """Decode what has come since the last look, and name the cameras that sent it."""
        new = []
        for camera in self._cameras:
            image = self._newest.take(camera.topic)
            if image is not None and image_problem(image, image.width, image.height, camera.encoding) is None:
                self.seen[camera.name] = image_array(image)
                new.append(camera.name)
        return new
