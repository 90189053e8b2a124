"""Parameters of `cell_node`: the cell's own settings under the same names, and what only the graph needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from aloha_sim.cell import START_ARM, START_FINGER
from aloha_sim.errors import SimError
from aloha_sim.settings import CellSettings


@dataclass(frozen=True)
class GraphSettings:
    """What the node needs beside the cell.

    Topics left empty follow the names: /<camera>/image_raw, /<arm>/joint_states, /<arm>/joint_commands.
    """

    image_topics: Sequence[str] = ()
    state_topics: Sequence[str] = ()
    command_topics: Sequence[str] = ()
    clock_rate: float = 100.0
    state_rate: float = 50.0
    camera_rate: float = 25.0
    command_timeout: float = 0.08
    real_time_factor: float = 1.0
    seed: int = 0
    pause: float = 0.5

    def __post_init__(self) -> None:
        for name in ("state_rate", "camera_rate"):
            ratio = self.clock_rate / getattr(self, name)
            if ratio < 1 or abs(ratio - round(ratio)) > 1e-6:
                raise SimError(
                    f"{name}: {getattr(self, name)} Hz does not divide clock_rate {self.clock_rate} Hz. "
                    "Choose a clock_rate that is a multiple of every other rate."
                )


_TEXT = {
    "task": "task of the cell",
    "instruction": "the task in words, answered by the reset service; empty: the task's own",
    "arms": "names of the left and of the right arm",
    "joint_names": "joints of one arm in vendor order, the gripper last",
    "finger_names": "fingers appended to the joint states",
    "start_action": "start pose: per arm 6 joints [rad] and the gripper (0 closed, 1 open)",
    "cameras": "cameras to draw: cam_high, cam_left_wrist, cam_right_wrist, or one of the MJCF",
    "image_width": "of every camera [px]",
    "image_height": "of every camera [px]",
    "control_rate": "of the policy [Hz]",
    "command_rate": "of the commands to the arms [Hz], a multiple of control_rate",
    "gripper_position_open": "finger position that reads 1 [m]",
    "gripper_position_close": "finger position that reads 0 [m]",
    "gripper_joint_open": "motor angle that means 1 [rad]",
    "gripper_joint_close": "motor angle that means 0 [rad]",
    "gripper_horn_radius": "of the gripper's linkage [m]",
    "gripper_arm_length": "of the gripper's linkage [m]",
    "object_x_range": "where objects start, across the table [m]; none: the task's own",
    "object_y_range": "where objects start, away from the operator [m]; none: the task's own",
    "object_yaw_range": "heading of objects at the start [rad]; none: the task's own",
    "colour_shift": "how far the colours of objects and table stray per seed, 0 to 1",
    "light_shift": "how far brightness and direction of the lights stray per seed, 0 to 1",
    "camera_shift": "how far the cameras are displaced per seed [m]",
    "mesh_reduction": "share of the triangles dropped for drawing",
    "image_topics": "one per camera; none: /<camera>/image_raw",
    "state_topics": "one per arm; none: /<arm>/joint_states",
    "command_topics": "one per arm; none: /<arm>/joint_commands",
    "clock_rate": "of /clock, and how often commands are taken [Hz]",
    "state_rate": "of the joint states [Hz], divides clock_rate",
    "camera_rate": "of the images [Hz], divides clock_rate",
    "command_timeout": "age of the newest command beyond which an arm holds [s]",
    "real_time_factor": "simulated seconds per real second; 0: as fast as possible",
    "seed": "of the first start state",
    "pause": "simulated time for the cube to settle, before a reset is answered [s]",
}

_TOPICS = {
    "image_topics": ("cameras", "image_raw"),
    "state_topics": ("arms", "joint_states"),
    "command_topics": ("arms", "joint_commands"),
}
"""Lists of topics: what each entry belongs to, and the last part of its name where none is given."""

_RANGES: dict[str, tuple[float, float]] = {
    "image_width": (16, 1280),
    "image_height": (16, 960),
    "control_rate": (1.0, 500.0),
    "command_rate": (1.0, 500.0),
    "clock_rate": (1.0, 500.0),
    "state_rate": (1.0, 500.0),
    "camera_rate": (0.1, 500.0),
    "mesh_reduction": (0.0, 0.99),
    "colour_shift": (0.0, 1.0),
    "light_shift": (0.0, 1.0),
    "camera_shift": (0.0, 1.0),
    "command_timeout": (0.001, 10.0),
    "real_time_factor": (0.0, 100.0),
    "pause": (0.0, 10.0),
    "seed": (0, 2**31 - 1),
}


def declare(node: Node) -> tuple[dict[str, Any], GraphSettings]:
    """Declare all parameters and read them: keywords for `Cell`, and the graph's settings.

    Raises:
        SimError: a value is unusable.
    """
    cell = {field.name: _declare(node, field.name, _cell_default(field.name)) for field in fields(CellSettings)}
    graph = {field.name: _declare(node, field.name, field.default) for field in fields(GraphSettings)}
    for topics, (names, suffix) in _TOPICS.items():
        graph[topics] = graph[topics] or [f"/{name}/{suffix}" for name in cell[names]]
        if len(graph[topics]) != len(cell[names]):
            raise SimError(
                f"{topics}: {len(graph[topics])} topics for {len(cell[names])} {names}. Give one each, or none."
            )
    return cell, GraphSettings(**graph)


def _cell_default(name: str) -> Any:
    if name == "start_action":  # spelled out: the type of an empty list cannot be told
        return [*START_ARM, CellSettings().gripper.action_from_finger(START_FINGER)] * 2
    return getattr(CellSettings, name)


def _declare(node: Node, name: str, default: Any) -> Any:
    descriptor = ParameterDescriptor(description=_TEXT[name], read_only=True)
    if name in _RANGES:
        low, high = _RANGES[name]
        if isinstance(default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    if name.endswith("_topics"):
        default = [""]  # the type of an empty list cannot be told
    if name.startswith("object_"):
        default = [math.nan]
    default = list(default) if isinstance(default, tuple) else default
    try:
        value = node.declare_parameter(name, default, descriptor).value
    except InvalidParameterTypeException as error:
        hint = " (write 1.0, not 1)" if isinstance(default, float) else ""
        raise SimError(f"parameter {name} is not of type {type(default).__name__}{hint}.") from error
    except InvalidParameterValueException as error:
        low, high = _RANGES[name]
        raise SimError(f"parameter {name} must lie in [{low:g}, {high:g}].") from error
    if isinstance(value, str | int | float):
        return value
    return [item for item in value if item != "" and item == item]  # not the stand-ins for an empty list
