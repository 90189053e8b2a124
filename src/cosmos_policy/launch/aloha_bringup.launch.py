"""ros2 launch cosmos_policy aloha_bringup.launch.py (--show-args: the arguments); described in cosmos_policy.graph."""

from launch import LaunchDescription

from cosmos_policy.graph import GRAPHS
from cosmos_policy.graph.to_launch import describe


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    return describe(GRAPHS["aloha_bringup"])
