"""The latched emergency stop: anyone may raise it, only a person lowers it."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from cosmos_policy.qos import COMMANDS, LATCHED

TOPIC = "/emergency_stop"
SERVICE = "/emergency_stop/set"


class EmergencyStop:
    """Own the stop of this graph.

    Raised by `true` on the topic, from any publisher, or by the service. Lowered by the service alone: `false` on the
    topic is ignored, because a program that restarts and publishes its default must not start the arms. Every change is
    published latched, so that nodes that come later know.
    """

    def __init__(
        self,
        node: Node,
        raised: Callable[[str], None],
        released: Callable[[], None],
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self._node, self._raised, self._released = node, raised, released
        self._reason = ""
        self._publisher = node.create_publisher(Bool, TOPIC, LATCHED)
        # A latched subscription hears what was raised before it started, but does not match a plain publisher such as
        # `ros2 topic pub`; the second one does. Hearing a stop twice does no harm, and the warning about the pair that
        # does not match would only confuse.
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
        self._subscriptions = [
            node.create_subscription(
                Bool, TOPIC, self._on_topic, qos, callback_group=callback_group, event_callbacks=quiet
            )
            for qos in (LATCHED, COMMANDS)
        ]
        self._service = node.create_service(SetBool, SERVICE, self._on_service, callback_group=callback_group)

    @property
    def reason(self) -> str:
        """Who raised the stop; empty while it is not raised."""
        return self._reason

    def _on_topic(self, message: Bool) -> None:
        if message.data:
            self._raise(f"raised on {TOPIC}")
        elif self._reason:
            self._node.get_logger().warning(
                f"{TOPIC}: 'false' does not lower the stop. Call {SERVICE} with data: false."
            )

    def _on_service(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = True
        if request.data:
            self._raise(f"raised through {SERVICE}")
            response.message = "The emergency stop is latched."
        elif self._reason:
            self._reason = ""
            self._released()
            self._publisher.publish(Bool(data=False))
            self._node.get_logger().warning("Emergency stop released. Nothing moves until a new goal arrives.")
            response.message = "Released. Nothing moves until a new goal arrives."
        else:
            response.message = "The emergency stop was not raised."
        return response

    def _raise(self, reason: str) -> None:
        if self._reason:
            return
        self._reason = reason
        self._raised(reason)  # silence the command source before telling anyone
        self._publisher.publish(Bool(data=True))
        self._node.get_logger().error(f"EMERGENCY STOP ({reason}). Release it with {SERVICE}, data: false.")
