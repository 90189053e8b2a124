"""A process that sends images or joint states at a rate and says how many: `python -m cosmos_policy.bench.senders`."""

from __future__ import annotations

import argparse
import array
import json
import struct
import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState

from aloha_nodes.qos import COMMANDS, SENSOR_DATA
from cosmos_policy.recorder.topics import RecordedKind

STAMP = 4  # where the stamp of a serialized message with a header begins


def serialized_image(width: int, height: int) -> bytearray:
    """Serialize an image once; only its stamp changes from then on."""
    message = Image(width=width, height=height, encoding="rgb8", step=3 * width)
    message.data = array.array("B", bytes(range(256)) * (3 * width * height // 256 + 1))[: 3 * width * height]
    return bytearray(serialize_message(message))


def serialized_joints(names: list[str]) -> bytearray:
    """Serialize a joint state of zeros."""
    return bytearray(serialize_message(JointState(name=names, position=[0.0] * len(names))))


def put_stamp(data: bytearray, nanoseconds: int) -> None:
    """Write a stamp into a serialized message."""
    struct.pack_into("<iI", data, STAMP, nanoseconds // 10**9, nanoseconds % 10**9)


def send(topics: dict[str, tuple[RecordedKind, QoSProfile, bytearray]], rate: float, seconds: float) -> int:
    """Publish on all topics at a rate and return how often; late ones go out as soon as possible, none is left out."""
    node = Node("sender")
    publishers = [(node.create_publisher(kind, name, qos), data) for name, (kind, qos, data) in topics.items()]
    deadline = time.monotonic() + 20.0
    while any(publisher.get_subscription_count() == 0 for publisher, _ in publishers):
        if time.monotonic() > deadline:
            raise SystemExit("nobody listens to " + ", ".join(topics))
        time.sleep(0.02)
    time.sleep(0.5)  # the other side must know us as well
    begin, total = time.monotonic(), round(rate * seconds)
    for number in range(total):
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        for publisher, data in publishers:
            put_stamp(data, time.time_ns())
            publisher.publish(bytes(data))
    time.sleep(0.5)  # for what is still on its way
    return total


def main() -> int:
    """Send, then print the number as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", nargs="*", default=[])
    parser.add_argument("--states", nargs="*", default=[])
    parser.add_argument("--commands", nargs="*", default=[])
    parser.add_argument("--joints", nargs="*", default=[])
    parser.add_argument("--size", nargs=2, type=int, default=(640, 480))
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    rclpy.init()
    topics: dict[str, tuple[RecordedKind, QoSProfile, bytearray]] = {}
    topics |= {name: (Image, SENSOR_DATA, serialized_image(*given.size)) for name in given.images}
    topics |= {name: (JointState, SENSOR_DATA, serialized_joints(given.joints)) for name in given.states}
    topics |= {name: (JointState, COMMANDS, serialized_joints(given.joints)) for name in given.commands}
    sent = send(topics, given.rate, given.seconds)
    print(json.dumps(dict.fromkeys(topics, sent)))
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
