"""The robot's side of every graph: the simulated cell, or drivers of arms and cameras, real or emulated."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cosmos_policy.errors import GraphError
from cosmos_policy.graph.description import Argument, Chosen, NodeSpec
from cosmos_policy_core.embodiment import Embodiment, Hardware
from cosmos_policy_core.embodiment.arms import Arm


@dataclass(frozen=True)
class Robot:
    """What an argument `robot` stands for."""

    embodiment: str
    hardware: str = ""  # empty: a simulated cell, which makes the clock
    meaning: str = ""


ROBOTS = {
    "sim": Robot("aloha_sim", "", "the MuJoCo cell"),
    "aloha": Robot("aloha", "aloha", "the real cell"),
    "emulated": Robot("aloha_sim", "emulated", "the real drivers on emulated motors and test pictures"),
}

ARGUMENTS = (
    Argument(
        "robot",
        "sim",
        "The robot: " + ", ".join(f"{name} is {robot.meaning}" for name, robot in ROBOTS.items()) + ".",
        choices=tuple(ROBOTS),
    ),
    Argument("embodiment", "", "Contract: a shipped name or a YAML file; empty: the robot's own."),
    Argument(
        "hardware",
        "",
        "Ports of the arms, devices of the cameras: aloha, emulated, or a YAML file; empty: the robot's own.",
    ),
    Argument("task", "", "Task of the simulated cell, such as candies_in_bowl; empty: transfer_cube."),
    Argument(
        "realtime_priority",
        0,
        "SCHED_FIFO priority of the threads that command and drive the arms; 0: none.",
        minimum=0,
        maximum=99,
    ),
    Argument("seed", 0, "Seed of the simulated scene.", minimum=0),
    Argument("real_time_factor", 1.0, "Speed of simulated time; 0: as fast as it goes.", minimum=0.0),
)


def embodiment(chosen: Chosen) -> str:
    """Return the contract: the chosen one, or the robot's own."""
    return str(chosen["embodiment"] or ROBOTS[chosen["robot"]].embodiment)


def is_simulated(chosen: Chosen) -> bool:
    """Tell whether the cell is simulated, time included: then every node follows its clock."""
    return not ROBOTS[chosen["robot"]].hardware


def hardware(chosen: Chosen) -> Hardware:
    """Read what is plugged in where.

    Raises:
        GraphError: the robot has no hardware.
        ContractError: the file cannot be used.
    """
    if is_simulated(chosen):
        raise GraphError(f"hardware: robot:={chosen['robot']} has none. Use robot:=aloha, or leave hardware out.")
    return Hardware.load(chosen["hardware"] or ROBOTS[chosen["robot"]].hardware)


def robot(chosen: Chosen) -> list[NodeSpec]:
    """Describe the nodes that own the robot."""
    contract = Embodiment.load(embodiment(chosen))
    if not is_simulated(chosen):
        drivers = arms(contract, hardware(chosen), chosen["realtime_priority"])
        return [*drivers, *cameras(contract, hardware(chosen))]
    if chosen["hardware"]:
        hardware(chosen)
    return [_cell(contract, chosen)]


def stop(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that keeps the emergency stop; the graph ends with it."""
    clock = {"use_sim_time": is_simulated(chosen)}
    return [NodeSpec("cosmos_policy", "emergency_stop_node", "emergency_stop", parameters=clock)]


def arms(contract: Embodiment, cell: Hardware, priority: int = 0) -> list[NodeSpec]:
    """Describe a driver per arm that nobody else drives, and the motors of emulated ones."""
    ours = [arm for arm in contract.arms if not cell.arm(arm.name).external]
    return [node for arm in ours for node in _arm(contract, cell, arm, priority)]


def cameras(contract: Embodiment, cell: Hardware) -> list[NodeSpec]:
    """Describe a node per camera that nobody else publishes."""
    return [
        NodeSpec("aloha_hardware", "camera_node", "camera", namespace=f"/{camera.name}", parameters=settings)
        for camera in contract.cameras
        if (settings := cell.camera_settings(camera)) is not None
    ]


def emulated_port(arm: str) -> str:
    """Return where the motors of an emulated arm are, apart from those of other users and other ROS domains."""
    folder = f"cosmos_policy_{os.getuid()}_{os.environ.get('ROS_DOMAIN_ID', '0')}"
    return str(Path(tempfile.gettempdir(), folder, f"ttyDXL_{arm}"))


def emulator(arm: str, port: str, *arguments: str) -> NodeSpec:
    """Describe the emulated motors behind a port."""
    words = ("--link", port, *arguments)
    return NodeSpec("aloha_hardware", "dynamixel_emulator", "motors", f"/{arm}", arguments=words, ros=False)


def _arm(contract: Embodiment, cell: Hardware, arm: Arm, priority: int) -> list[NodeSpec]:
    settings = {"realtime_priority": priority} | cell.arm_settings(contract, arm)
    nodes = []
    if cell.arm(arm.name).emulated:
        settings["port"] = settings["port"] or emulated_port(arm.name)
        nodes.append(emulator(arm.name, settings["port"]))
    driver = NodeSpec("aloha_hardware", "arm_driver_node", "arm_driver", f"/{arm.name}", parameters=settings)
    return [*nodes, driver]


def _cell(contract: Embodiment, chosen: Chosen) -> NodeSpec:
    parameters = {"seed": chosen["seed"], "real_time_factor": chosen["real_time_factor"]}
    if chosen["task"]:  # the cell knows its tasks and refuses others by name
        parameters["task"] = chosen["task"]
    return NodeSpec("aloha_sim", "cell_node", "sim", parameters={**contract.sim_settings(), **parameters})
