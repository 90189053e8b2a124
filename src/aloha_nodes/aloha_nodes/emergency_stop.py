"""Follow the emergency stop: whoever raises it is heard, only its owner lowers it (see docs/safety.md)."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import Bool

from aloha_nodes.events import NO_SUBSCRIPTION_EVENTS
from aloha_nodes.qos import LATCHED

TOPIC = "/emergency_stop"
"""Anybody's `true` raises the stop; nobody's `false` lowers it. The owner repeats its state here, for every tool."""
STATE = "/emergency_stop/state"
"""The owner's word alone, which raises and lowers."""
OBEYED = "/emergency_stop/obeyed"
"""From every node that holds because of the stop: an owner that starts anew learns of it."""
SERVICE = "/emergency_stop/set"
"""The owner's, for people."""

# Many may speak at once: one's `false` must not push another's `true` out of the queue.
EVERY = QoSProfile(depth=100)
EVERY_LATCHED = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)

RELEASE = f"Release it with {SERVICE}, data: false"


class EmergencyStop:
    """Hear the stop.

    Args:
        on_change: called with whether it is raised when that changes; at first it is not.
        obeys: whether the node moves something: then it says on OBEYED that it holds.
        first_word: whether the owner's first word is told in any case: then it is known that someone owns the stop.
    """

    def __init__(
        self,
        node: Node,
        on_change: Callable[[bool], None],
        callback_group: CallbackGroup | None = None,
        *,
        obeys: bool = True,
        first_word: bool = False,
    ) -> None:
        self._known: bool | None = None
        self._on_change, self._first_word = on_change, first_word
        self._obeyed = node.create_publisher(Bool, OBEYED, LATCHED) if obeys else None
        # The owner's state comes last: of what is waiting at the same time, callbacks run in this order.
        hear(node, TOPIC, self._on_topic, callback_group)
        node.create_subscription(Bool, STATE, self._on_state, LATCHED, callback_group=callback_group)

    @property
    def raised(self) -> bool:
        """Whether it is raised, as far as was heard."""
        return bool(self._known)

    def _on_topic(self, message: Bool) -> None:
        if message.data:  # `false` is no release: a program that starts with its default must not free the arms
            self._set(True)

    def _on_state(self, message: Bool) -> None:
        self._set(message.data)

    def _set(self, raised: bool) -> None:
        changed = raised != self.raised or (self._known is None and self._first_word)
        self._known = raised
        if changed:
            self._on_change(raised)
            if self._obeyed is not None:
                self._obeyed.publish(Bool(data=raised))


def hear(node: Node, topic: str, callback: Callable[[Bool], None], callback_group: CallbackGroup | None = None) -> None:
    """Subscribe to all publishers of a topic.

    A latched subscription hears what was said before it, but not a plain publisher such as `ros2 topic pub`; a plain
    one does. Hearing a stop twice does no harm, and the warning about the pair that does not match would only confuse.
    """
    for quality in (EVERY_LATCHED, EVERY):
        node.create_subscription(
            Bool, topic, callback, quality, callback_group=callback_group, event_callbacks=NO_SUBSCRIPTION_EVENTS
        )
