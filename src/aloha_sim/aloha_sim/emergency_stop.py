"""Obey the emergency stop: whoever raises it is heard, only its owner lowers it (see docs/safety.md)."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool

TOPIC = "/emergency_stop"
STATE = "/emergency_stop/state"
OBEYED = "/emergency_stop/obeyed"

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Many may speak at once: one's `false` must not push another's `true` out of the queue.
EVERY = QoSProfile(depth=100)
EVERY_LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class EmergencyStop:
    """Hear the stop, and tell its owner that it is obeyed.

    Args:
        on_change: called with whether it is raised, whenever that changes; at first it is not.
    """

    def __init__(self, node: Node, on_change: Callable[[bool], None]) -> None:
        self.raised = False
        self._on_change = on_change
        self._obeyed = node.create_publisher(Bool, OBEYED, LATCHED)
        # Latched and plain publishers are both heard; a warning about the pair that does not match would only confuse.
        # The owner's state comes last: of what is waiting at the same time, callbacks run in this order.
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
        for topic, take, quality in (
            (TOPIC, self._on_topic, EVERY_LATCHED),
            (TOPIC, self._on_topic, EVERY),
            (STATE, self._on_state, LATCHED),
        ):
            node.create_subscription(Bool, topic, take, quality, event_callbacks=quiet)

    def _on_topic(self, message: Bool) -> None:
        if message.data:  # `false` is no release: a program that starts with its default must not free the arms
            self._set(True)

    def _on_state(self, message: Bool) -> None:
        self._set(message.data)

    def _set(self, raised: bool) -> None:
        if raised != self.raised:
            self.raised = raised
            self._on_change(raised)
            self._obeyed.publish(Bool(data=raised))
