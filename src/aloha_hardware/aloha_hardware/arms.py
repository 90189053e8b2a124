"""`ros2 run aloha_hardware arms start`: the arms' services for people, on all arms at once."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import rclpy
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from aloha_nodes.spinning import SpinningThread

FOLLOWERS = ("follower_left", "follower_right")
APPEARS, ANSWERS = 10.0, 60.0  # [s]; a move from pose to pose takes ten

VERBS: dict[str, tuple[str, Any, Any]] = {
    "start": ("go_to_start", Trigger, Trigger.Request()),
    "sleep": ("go_to_sleep", Trigger, Trigger.Request()),
    "reboot": ("reboot_motors", Trigger, Trigger.Request()),
    "hold": ("set_torque", SetBool, SetBool.Request(data=True)),
    "limp": ("set_torque", SetBool, SetBool.Request(data=False)),
}

EXPLANATION = """\
  start   ramp to the start pose
  sleep   ramp to the sleep pose, where the power may be cut
  reboot  restart motors that shut down; they are limp for half a second: support the arm
  hold    switch the torque on where the arm stands
  limp    switch the torque off; refused anywhere but in the sleep pose
"""


def main(words: Sequence[str] | None = None) -> int:
    """Call the service of every arm and return 0 when all did it."""
    parser = argparse.ArgumentParser(
        prog="arms",
        description="Tell the arms' drivers what to do.",
        epilog=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--arms", nargs="+", default=FOLLOWERS, metavar="ARM", help="default: both followers")
    options = parser.parse_args(words)
    rclpy.init(args=[])
    node = Node("arms_command")
    spinning = SpinningThread(node)
    try:
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda arm: _ask(node, arm, options.verb), options.arms))
    except KeyboardInterrupt:
        return 130
    finally:
        spinning.stop()
        rclpy.try_shutdown()
    for done, message in answers:
        print(message, file=sys.stdout if done else sys.stderr)
    return 0 if all(done for done, _ in answers) else 1


def _ask(node: Node, arm: str, verb: str) -> tuple[bool, str]:
    service, kind, request = VERBS[verb]
    name = f"/{arm}/arm_driver/{service}"
    client = node.create_client(kind, name)
    if not client.wait_for_service(APPEARS):
        return False, f"{arm}: nobody serves {name}. Start the bring-up, in the same ROS_DOMAIN_ID."
    done = threading.Event()
    future = client.call_async(request)
    future.add_done_callback(lambda _: done.set())
    if not done.wait(ANSWERS):
        return False, f"{arm}: no answer from {name} within {ANSWERS:.0f} s. Read the driver's log."
    answer = future.result()
    return answer.success, answer.message


if __name__ == "__main__":
    sys.exit(main())
