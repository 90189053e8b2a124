"""How fast the cell runs here: `python -m aloha_sim.bench [--node] [--seconds 10] [--json]`.

Without --node: physics and drawing alone. With it: the ROS 2 node, with a subscriber on every camera in a process
of its own. Both as fast as possible, so the figure is the reserve over real time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from aloha_sim.cell import Cell
from aloha_sim.errors import SimError

CAMERA_RATE = 25.0
"""[Hz] Of the pictures while measuring."""


def measure_cell(seconds: float) -> dict[str, Any]:
    """Draw all cameras 25 times per simulated second for `seconds` of real time."""
    cell = Cell()
    cell.images()
    drawing = []
    begin, start = time.perf_counter(), cell.time
    while time.perf_counter() - begin < seconds:
        cell.advance(1 / CAMERA_RATE)
        before = time.perf_counter()
        cell.images()
        drawing.append(time.perf_counter() - before)
    wall = time.perf_counter() - begin
    simulated = cell.time - start
    cell.close()
    return {
        "what": "cell",
        "real_time_factor": round(simulated / wall, 3),
        "camera_set_ms": {f"p{part}": round(1e3 * float(np.percentile(drawing, part)), 2) for part in (50, 99)},
        "simulated_s": round(simulated, 2),
        "wall_s": round(wall, 2),
    }


def measure_node(seconds: float) -> dict[str, Any]:
    """Run the node as fast as it can, with every image delivered to another process."""
    import rclpy
    from rclpy.parameter import Parameter

    from aloha_sim.cell_node import CellNode

    rclpy.init()
    node = CellNode(parameter_overrides=[Parameter("real_time_factor", value=0.0)])
    context = multiprocessing.get_context("spawn")
    received, ready, finish = context.Value("i", 0), context.Event(), context.Event()
    topics = list(node.graph.image_topics)
    listener = context.Process(target=_listen, args=(topics, received, ready, finish), daemon=True)
    listener.start()
    if not ready.wait(30):
        raise SimError("bench: the subscriber did not find the cameras within 30 s. Check ROS_DOMAIN_ID and the RMW.")
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    begin, start, before = time.perf_counter(), node.time, received.value
    node.run(stop)
    wall, simulated = time.perf_counter() - begin, node.time - start
    delivered = received.value - before
    finish.set()
    listener.join(10)
    published = round(simulated * node.graph.camera_rate) * len(topics)
    node.destroy_node()
    rclpy.shutdown()
    return {
        "what": "node",
        "real_time_factor": round(simulated / wall, 3),
        "images_published": published,
        "images_delivered": delivered,
        "simulated_s": round(simulated, 2),
        "wall_s": round(wall, 2),
    }


def _listen(topics: list[str], received: Any, ready: Any, finish: Any) -> None:
    """Count serialized images, as the nodes of the graph take them."""
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import Image

    from aloha_nodes.qos import SENSOR_DATA

    rclpy.init()
    node = Node("aloha_sim_bench_listener")

    def count(_: bytes) -> None:
        received.value += 1

    subscriptions = [node.create_subscription(Image, topic, count, SENSOR_DATA, raw=True) for topic in topics]
    while not all(node.count_publishers(topic) for topic in topics):
        rclpy.spin_once(node, timeout_sec=0.1)
    ready.set()
    while not finish.is_set():
        rclpy.spin_once(node, timeout_sec=0.1)
    for subscription in subscriptions:
        node.destroy_subscription(subscription)
    node.destroy_node()
    rclpy.shutdown()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m aloha_sim.bench", description=__doc__)
    parser.add_argument("--node", action="store_true", help="measure the ROS 2 node instead of the bare cell")
    parser.add_argument("--seconds", type=float, default=10.0, help="real time to measure (default 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    try:
        result = (measure_node if options.node else measure_cell)(options.seconds)
    except SimError as error:
        print(error, file=sys.stderr)
        return 1
    result |= {"machine": platform.machine(), "cpus": os.cpu_count(), "gl": os.environ.get("MUJOCO_GL", "")}
    print(json.dumps(result) if options.json else "\n".join(f"{key}: {value}" for key, value in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
