"""ros2 launch cosmos_policy aloha_bringup.launch.py robot:=sim planner:=best_of_n

The graph itself is described in cosmos_policy.graph; this file only hands it to launch.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from cosmos_policy.graph import ARGUMENTS, Argument, NodeSpec, bringup, is_misspelt


def declaration(argument: Argument) -> DeclareLaunchArgument:
    """Declare an argument of the graph to launch."""
    return DeclareLaunchArgument(
        argument.name,
        default_value=typed(argument.default),
        description=argument.description,
        choices=list(argument.choices) or None,
    )


def typed(value: object) -> str:
    """Write a default as a person would type it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def action(node: NodeSpec) -> Node:
    """Describe a node of the graph to launch; when it ends, the graph ends."""
    return Node(
        package=node.package,
        executable=node.executable,
        name=node.name,
        namespace=node.namespace,
        parameters=[dict(node.parameters)] if node.parameters else None,
        remappings=list(node.remappings.items()),
        arguments=list(node.arguments),
        output="screen",
        emulate_tty=True,
        on_exit=Shutdown(reason=f"{node.name} ended"),
    )


def nodes(context: LaunchContext) -> list[Node]:
    """Describe every node for the arguments in the context."""
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    return [action(node) for node in bringup(given | misspelt(context))]


def misspelt(context: LaunchContext) -> dict[str, str]:
    """Find typed arguments that nearly match one of the graph, for the graph to refuse.

    launch ignores names it does not know; others may belong to a launch file that includes this one.
    """
    words = [word.partition(":=") for word in context.argv]
    return {name: value for name, separator, value in words if separator and is_misspelt(name)}


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    return LaunchDescription([*map(declaration, ARGUMENTS), OpaqueFunction(function=nodes)])
