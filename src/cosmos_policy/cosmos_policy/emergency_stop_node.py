"""Own the emergency stop: anyone may raise it, only a person lowers it."""

from __future__ import annotations

import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from aloha_nodes.emergency_stop import EVERY_LATCHED, OBEYED, RELEASE, SERVICE, STATE, TOPIC, hear
from aloha_nodes.qos import LATCHED, REPORTS
from aloha_nodes.running import run
from cosmos_policy.managed_node import ManagedNode

PATIENCE = Duration(seconds=0.2)  # with nodes that hang
SETTLING = 1.0  # [s] after a release until whoever obeyed says that it does no more


class EmergencyStopNode(ManagedNode):
    """Keep the one latch of a graph.

    Raised by `true` on /emergency_stop from any publisher, latched or not, or by the service /emergency_stop/set.
    Lowered by that service alone. Every change is published on /emergency_stop/state (latched), which nobody else
    writes to, and repeated on /emergency_stop; once a second it stands in /diagnostics.

    A node that starts publishes nothing: whoever holds goes on holding. It takes the stop over from those who say on
    /emergency_stop/obeyed that they hold, and a release always reaches them, whether this node knew of a stop or not.

    Works in every state of the lifecycle.
    """

    threads = 1

    def __init__(self, **options: Any) -> None:
        super().__init__("emergency_stop", **options)
        self.reason = ""
        self._released = -SETTLING
        self._state = self.create_publisher(Bool, STATE, LATCHED)
        self._repeated = self.create_publisher(Bool, TOPIC, LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", REPORTS)
        hear(self, TOPIC, self._on_topic)
        self.create_subscription(Bool, OBEYED, self._on_obeyed, EVERY_LATCHED)
        self.create_service(SetBool, SERVICE, self._on_service)
        # A simulated clock may stand still.
        self.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_topic(self, message: Bool) -> None:
        if message.data:
            self._raise(f"raised on {TOPIC}")
        elif self.reason:
            self.get_logger().warning(f"{TOPIC}: 'false' does not lower the stop. {RELEASE}.")

    def _on_obeyed(self, message: Bool) -> None:
        if not message.data or self.reason:
            return
        if time.monotonic() - self._released < SETTLING:
            self._state.publish(Bool(data=False))  # it heard of the stop and of its end the wrong way round
        else:
            self._raise("it was raised before this node started, and is still obeyed")

    def _on_service(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = True
        if request.data:
            self._raise(f"raised through {SERVICE}")
            response.message = "The emergency stop is latched."
            if not self._state.wait_for_all_acked(PATIENCE):
                response.message += " Not every node has confirmed it yet; see /diagnostics."
        else:
            known = bool(self.reason)
            self._lower()
            response.message = "Released. Nothing moves until a new goal arrives."
            if not known:
                response.message += " (It was not raised here.)"
        return response

    def _raise(self, reason: str) -> None:
        if self.reason:
            return
        self.reason = reason
        self._publish(True)
        self.get_logger().error(f"EMERGENCY STOP ({reason}). {RELEASE}.")

    def _lower(self) -> None:
        self.reason, self._released = "", time.monotonic()
        self._publish(False)
        self.get_logger().warning("Emergency stop released. Nothing moves until a new goal arrives.")

    def _publish(self, raised: bool) -> None:
        for publisher in (self._state, self._repeated):
            publisher.publish(Bool(data=raised))

    def _report(self) -> None:
        status = DiagnosticStatus(
            level=DiagnosticStatus.ERROR if self.reason else DiagnosticStatus.OK,
            name=self.get_name(),
            message=f"{self.reason}. {RELEASE}" if self.reason else "not raised",
            values=[KeyValue(key="emergency_stop", value=str(bool(self.reason)).lower())],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def main() -> int:
    """Run the node."""
    return run(EmergencyStopNode, sys.argv)


if __name__ == "__main__":
    sys.exit(main())
