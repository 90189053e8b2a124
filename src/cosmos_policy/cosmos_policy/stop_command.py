"""`ros2 run cosmos_policy emergency_stop`: raise the stop from a terminal; with `release`, lower it again."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import rclpy
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from aloha_nodes.emergency_stop import SERVICE, TOPIC
from aloha_nodes.qos import LATCHED
from aloha_nodes.spinning import SpinningThread

USAGE = "usage: emergency_stop [release]"
OWNER = "Is this the robot's ROS_DOMAIN_ID? If its node ended, start it: ros2 run cosmos_policy emergency_stop_node"
ANSWERS = 5.0  # [s]


def main(words: Sequence[str] | None = None) -> int:
    """Raise or release the stop and return 0 when it is confirmed."""
    words = list(sys.argv[1:] if words is None else words)
    if words not in ([], ["release"]):
        print(USAGE, file=sys.stderr)
        return 2
    rclpy.init(args=[])
    node = Node("emergency_stop_command")
    if not words:
        # Whoever moves an arm hears this, with or without the node that keeps the stop.
        node.create_publisher(Bool, TOPIC, LATCHED).publish(Bool(data=True))
    spinning = SpinningThread(node)
    try:
        done, message = _ask(node, raised=not words)
    finally:
        spinning.stop()
        rclpy.try_shutdown()
    print(message, file=sys.stdout if done else sys.stderr)
    return 0 if done else 1


def _ask(node: Node, raised: bool) -> tuple[bool, str]:
    client = node.create_client(SetBool, SERVICE)
    if not client.wait_for_service(ANSWERS):
        sent = "`true` was published, but " if raised else ""
        return False, f"{sent}nobody serves {SERVICE}. {OWNER}"
    done = threading.Event()
    future = client.call_async(SetBool.Request(data=raised))
    future.add_done_callback(lambda _: done.set())
    if not done.wait(ANSWERS):
        return False, f"no answer from {SERVICE} within {ANSWERS:.0f} s."
    return future.result().success, future.result().message


if __name__ == "__main__":
    sys.exit(main())
