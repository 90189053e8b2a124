"""Hand a graph to `ros2 launch`; needs the launch and launch_ros packages of a sourced ROS 2."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from launch.action import Action
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from cosmos_policy import dds
from cosmos_policy.graph.description import Argument, Graph, NodeSpec, typed
from cosmos_policy.launcher import executable


def describe(graph: Graph) -> LaunchDescription:
    """Return what `ros2 launch` starts."""

    def nodes(context: LaunchContext) -> list[Action]:
        given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in graph.arguments}
        return [action(node) for node in graph.nodes(given | misspelt(graph, context))]

    environment = [SetEnvironmentVariable(name, value) for name, value in dds.profile(os.environ).items()]
    return LaunchDescription([*environment, *map(declaration, graph.arguments), OpaqueFunction(function=nodes)])


def declaration(argument: Argument) -> DeclareLaunchArgument:
    """Declare an argument of the graph."""
    return DeclareLaunchArgument(
        argument.name,
        default_value=typed(argument.default),
        description=f"{argument.description} Allowed: {argument.range}." if argument.range else argument.description,
        choices=list(argument.choices) or None,
    )


def action(node: NodeSpec) -> Action:
    """Describe a process; where the graph cannot do without it, its end is the end of all."""
    common: dict[str, Any] = {
        "output": "screen",
        "emulate_tty": True,
        "on_exit": Shutdown(reason=f"{node.label} ended") if node.ends_graph else None,
    }
    if not node.ros:
        return ExecuteProcess(cmd=[str(executable(node)), *node.arguments], name=node.label.replace("/", "_"), **common)
    return Node(
        package=node.package,
        executable=node.executable,
        name=node.name,
        namespace=node.namespace,
        parameters=[parameters(node.parameters)] if node.parameters else None,
        remappings=list(node.remappings.items()),
        arguments=list(node.arguments),
        **common,
    )


def parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep texts texts: launch would read a robot description, or the text '8', as YAML."""
    return {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in values.items()
    }


def misspelt(graph: Graph, context: LaunchContext) -> dict[str, str]:
    """Find typed arguments that nearly match one of the graph, for the graph to refuse.

    launch ignores names it does not know; others may belong to a launch file that includes this one.
    """
    words = [word.partition(":=") for word in context.argv]
    return {name: value for name, separator, value in words if separator and graph.is_misspelt(name)}
