"""Topics whose messages wait in the middleware until they are asked for.

A callback costs a turn of rclpy's executor, about a millisecond of Python for a node with many topics. Cameras and arms
send hundreds of messages a second, of which only the newest ever matters: whoever needs it takes it.
"""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from aloha_nodes.events import NO_SUBSCRIPTION_EVENTS


class Polled(CallbackGroup):
    """A group whose subscriptions no executor waits for."""

    def can_execute(self, entity: object) -> bool:
        """Never: the owner takes the messages."""
        return False

    def beginning_execution(self, entity: object) -> bool:
        """Never begin."""
        return False

    def ending_execution(self, entity: object) -> None:
        """Nothing has begun."""


def subscribe(node: Node, kind: type, topic: str, qos: QoSProfile) -> Subscription:
    """Subscribe to a topic that is polled with :func:`take` or :func:`take_raw`."""
    return node.create_subscription(
        kind, topic, _never_called, qos, callback_group=Polled(), event_callbacks=NO_SUBSCRIPTION_EVENTS
    )


def take(subscription: Subscription) -> Any | None:
    """Take the next message, or return None when there is none."""
    with subscription.handle:
        taken = subscription.handle.take_message(subscription.msg_type, False)
    return None if taken is None else taken[0]


def take_raw(subscription: Subscription) -> tuple[bytes, dict[str, Any]] | None:
    """Take the next message as it was sent, and what the middleware knows about its way; None when there is none."""
    with subscription.handle:
        taken: tuple[bytes, dict[str, Any]] | None = subscription.handle.take_message(subscription.msg_type, True)
    return taken


def _never_called(message: object) -> None:
    raise AssertionError("an executor took a message that is polled for")
