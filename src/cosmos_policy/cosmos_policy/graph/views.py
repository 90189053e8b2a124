"""Windows on a running graph."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from cosmos_policy.errors import GraphError, ParameterError
from cosmos_policy.graph.description import Argument, Chosen, NodeSpec
from cosmos_policy.graph.robot import embodiment, is_simulated
from cosmos_policy.robot_descriptions import arm_part, description_text, read_description
from cosmos_policy_core.embodiment import Embodiment

ARGUMENTS = (
    Argument("rviz", False, "Also open rviz, with the monitor and the frames it shows the robot by."),
    Argument("monitor", False, "Also publish plans, imagined futures and state under /monitor, for Foxglove or Rerun."),
    Argument(
        "description",
        "",
        "URDF or xacro file of the robot, for the views; links and joints named <arm>/<name>. Empty: the ALOHA cell.",
    ),
    Argument("tip", "ee_gripper_link", "Link of each arm, without <arm>/, whose path the views draw."),
    Argument("live", False, "Also serve the live view, a page for the browser of this machine."),
    Argument("live_host", "127.0.0.1", "Address the live view listens on; any other needs a live_token."),
    Argument("live_port", 8080, "Port the live view listens on.", minimum=1, maximum=65535),
    Argument("live_token", "", "Secret in the live view's address; empty: none is asked for on this machine."),
)

PUBLISHER = "robot_state_publisher"


def views(chosen: Chosen) -> list[NodeSpec]:
    """Describe every window that was asked for."""
    return [*monitor(chosen), *rviz(chosen), *live(chosen)]


def monitor(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that turns plans into markers and pictures; rviz needs it too."""
    if not (chosen["monitor"] or chosen["rviz"]):
        return []
    return [NodeSpec("cosmos_policy", "monitor_node", "monitor", parameters=_common(chosen), ends_graph=False)]


def rviz(chosen: Chosen) -> list[NodeSpec]:
    """Describe rviz and the frames of the robot it draws; nothing unless asked for."""
    if not chosen["rviz"]:
        return []
    display = str(_share("cosmos_policy", "rviz/aloha.rviz"))
    clock = {"use_sim_time": is_simulated(chosen)}
    window = NodeSpec("rviz2", "rviz2", "rviz", parameters=clock, arguments=("-d", display), ends_graph=False)
    return [*frames(chosen), window]


def live(chosen: Chosen) -> list[NodeSpec]:
    """Describe the live view; nothing unless asked for."""
    if not chosen["live"]:
        return []
    parameters = {name: chosen[f"live_{name}"] for name in ("host", "port", "token")} | _common(chosen)
    return [NodeSpec("cosmos_policy", "live_view_node", "live_view", parameters=parameters, ends_graph=False)]


def _common(chosen: Chosen) -> dict[str, object]:
    try:  # a view that cannot draw the robot is refused before anything starts
        read_description(chosen["description"], Embodiment.load(embodiment(chosen)))
    except ParameterError as error:
        raise GraphError(str(error)) from None
    return {name: chosen[name] for name in ("description", "tip")} | {
        "embodiment": embodiment(chosen),
        "use_sim_time": is_simulated(chosen),
    }


def frames(chosen: Chosen) -> list[NodeSpec]:
    """Describe the publishers of the robot's frames: one for the cell, one per arm on its driver's own topic."""
    contract, clock = Embodiment.load(embodiment(chosen)), {"use_sim_time": is_simulated(chosen)}
    whole = description_text(chosen["description"], contract, meshes=True)
    nodes = [NodeSpec(PUBLISHER, PUBLISHER, PUBLISHER, parameters={"robot_description": whole, **clock})]
    for arm in contract.arms:
        parameters = {
            "robot_description": arm_part(whole, arm.name),
            "frame_prefix": f"{arm.name}/",
            "publish_frequency": 50.0,
            **clock,
        }
        remappings = {"joint_states": arm.state_topic}
        nodes.append(NodeSpec(PUBLISHER, PUBLISHER, PUBLISHER, f"/{arm.name}", parameters, remappings))
    return nodes


def _share(package: str, file: str) -> Path:
    try:
        path = Path(get_package_share_directory(package), file)
    except PackageNotFoundError:
        raise GraphError(f"rviz: {package} is not installed. Build it ('make setup').") from None
    if not path.exists():
        raise GraphError(f"rviz: {path} is missing. Build {package} again ('make setup').")
    return path
