"""Parameters of every node, as the node itself declares them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from reference.tables import code, table

# Declared by rclpy itself.
FOREIGN = ("use_sim_time", "start_type_description_service")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a node."""

    name: str
    default: Any
    descriptor: ParameterDescriptor


def declared() -> dict[tuple[str, str], list[Parameter]]:
    """Return the parameters of every (package, executable), by making each node without configuring it."""
    found = {}
    with context():
        for (package, executable), make in nodes().items():
            node = make()
            try:
                names = [name for name in node.list_parameters([], 0).names if name not in FOREIGN]
                found[package, executable] = [
                    Parameter(name, node.get_parameter(name).value, node.describe_parameter(name))
                    for name in names
                    if not name.startswith("qos_overrides.")
                ]
            finally:
                node.destroy_node()
    return found


def page() -> str:
    """Write the page."""
    parts = [
        "# Node parameters\n\nAs the nodes declare them; `ros2 param describe NODE PARAMETER` says the same of a "
        "running one. A value of another type or out of its range is refused in one sentence. All are fixed once the "
        "node runs, except those marked as changeable. Every node also has rclpy's `use_sim_time`.\n"
    ]
    for (package, executable), parameters in declared().items():
        rows = [(code(p.name), code(_plain(p.default)), _allowed(p), _meaning(p.descriptor)) for p in parameters]
        parts.append(
            f"## {executable}\n\n`ros2 run {package} {executable}`\n\n"
            + table(("parameter", "default", "allowed", "meaning"), rows)
        )
    return "\n".join(parts)


def nodes() -> dict[tuple[str, str], Callable[..., Node]]:
    """Return what makes each node, by package and executable."""
    from aloha_hardware.arm_driver_node import ArmDriverNode
    from aloha_hardware.camera_node import CameraNode
    from aloha_hardware.leaders_node import LeadersNode
    from aloha_hardware.teleop_node import TeleopNode
    from cosmos_policy.chunk_executor_node import ChunkExecutorNode
    from cosmos_policy.emergency_stop_node import EmergencyStopNode
    from cosmos_policy.episode_recorder_node import EpisodeRecorderNode
    from cosmos_policy.episode_replay_node import EpisodeReplayNode
    from cosmos_policy.live_view_node import LiveViewNode
    from cosmos_policy.monitor_node import MonitorNode
    from cosmos_policy.planner_node import PlannerNode
    from cosmos_policy.policy_node import PolicyNode
    from cosmos_policy.scorer_node import ScorerNode

    own, hardware = "cosmos_policy", "aloha_hardware"
    return {
        (own, "policy_node"): PolicyNode,
        (own, "scorer_node"): ScorerNode,
        (own, "planner_node"): PlannerNode,
        (own, "chunk_executor_node"): ChunkExecutorNode,
        (own, "emergency_stop_node"): EmergencyStopNode,
        (own, "episode_recorder_node"): EpisodeRecorderNode,
        (own, "episode_replay_node"): EpisodeReplayNode,
        (own, "monitor_node"): MonitorNode,
        (own, "live_view_node"): LiveViewNode,
        ("aloha_sim", "cell_node"): _cell,
        (hardware, "arm_driver_node"): ArmDriverNode,
        (hardware, "camera_node"): CameraNode,
        (hardware, "teleop_node"): TeleopNode,
        (hardware, "leaders_node"): LeadersNode,
    }


def _cell() -> Node:
    """Declare the cell's parameters without building the cell."""
    from aloha_sim import parameters

    node = Node("aloha_sim")
    parameters.declare(node)
    return node


@contextmanager
def context() -> Iterator[None]:
    """Open rclpy for a while."""
    rclpy.init()
    try:
        yield
    finally:
        rclpy.shutdown()


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    items = [item for item in value if item != "" and not (isinstance(item, float) and math.isnan(item))]
    return "[" + ", ".join(_plain(item) for item in items) + "]"


def _allowed(parameter: Parameter) -> str:
    if isinstance(parameter.default, bool):
        return "`true`, `false`"
    descriptor = parameter.descriptor
    for bounds in (*descriptor.integer_range, *descriptor.floating_point_range):
        # Beyond these, "no bound" is meant: a descriptor needs both.
        low, high = (None if abs(end) >= 2**62 else f"{end:.10g}" for end in (bounds.from_value, bounds.to_value))
        if low and high:
            return f"{low} to {high}"
        return f"at least {low}" if low else f"at most {high}"
    return descriptor.additional_constraints.removeprefix("One of: ").rstrip(".")


def _meaning(descriptor: ParameterDescriptor) -> str:
    changeable = "" if descriptor.read_only else " Changeable while the node runs."
    return descriptor.description.rstrip(".") + "." + changeable
