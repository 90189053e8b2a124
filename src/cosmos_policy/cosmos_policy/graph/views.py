"""Windows on a running graph."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from cosmos_policy.errors import GraphError
from cosmos_policy.graph.description import Argument, Chosen, NodeSpec
from cosmos_policy.graph.robot import embodiment, is_simulated
from cosmos_policy_core.embodiment import Embodiment

ARGUMENTS = (Argument("rviz", False, "Also open rviz, with what it shows the robot by."),)

PUBLISHER = "robot_state_publisher"
ARM_URDFS = {"vx300s": "vx300s.urdf"}


def rviz(chosen: Chosen) -> list[NodeSpec]:
    """Describe rviz and the frames of the robot it draws; nothing unless asked for."""
    if not chosen["rviz"]:
        return []
    window = NodeSpec("rviz2", "rviz2", "rviz", parameters={"use_sim_time": is_simulated(chosen)}, ends_graph=False)
    return [*frames(chosen), window]


def frames(chosen: Chosen) -> list[NodeSpec]:
    """Describe the publishers of the robot's frames: one for the cell, one per arm on its driver's own topic."""
    clock = {"use_sim_time": is_simulated(chosen)}
    nodes = [NodeSpec(PUBLISHER, PUBLISHER, PUBLISHER, parameters={"robot_description": _urdf("aloha.urdf"), **clock})]
    for arm in Embodiment.load(embodiment(chosen)).arms:
        parameters = {
            "robot_description": _urdf(ARM_URDFS[arm.model]),
            "frame_prefix": f"{arm.name}/",
            "publish_frequency": 50.0,
            **clock,
        }
        remappings = {"joint_states": arm.state_topic}
        nodes.append(NodeSpec(PUBLISHER, PUBLISHER, PUBLISHER, f"/{arm.name}", parameters, remappings))
    return nodes


def _urdf(name: str) -> str:
    try:
        return Path(get_package_share_directory("aloha_description"), "urdf", name).read_text(encoding="utf-8")
    except (PackageNotFoundError, OSError) as error:
        raise GraphError(f"rviz: {name} is not installed ({error}). Build aloha_description ('make setup').") from None
