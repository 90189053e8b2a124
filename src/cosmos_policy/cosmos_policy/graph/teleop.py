"""Teleoperation: what leads, and the node that makes the followers do the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from cosmos_policy.errors import GraphError
from cosmos_policy.graph.description import Argument, Chosen, NodeSpec
from cosmos_policy.graph.robot import embodiment, emulated_port, emulator, hardware, is_simulated
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.embodiment.arms import Arm
from cosmos_policy_core.embodiment.leaders import LOWER, SLEEP_POSE, UPPER, gripper_span, leader_name

ARGUMENTS = (
    Argument(
        "leader",
        "auto",
        "What leads: arms are the leader arms of the hardware file, scripted is a rehearsed motion, keyboard the keys "
        "of another terminal (ros2 run aloha_hardware leaders_node --ros-args -p source:=keyboard). auto means arms, "
        "and scripted where the robot is simulated.",
        choices=("auto", "arms", "scripted", "keyboard"),
    ),
    Argument(
        "gravity_compensation",
        "",
        "SetBool service below each leader's namespace that is told when the leaders are in use, such as the vendor's "
        "gravity_compensation_enable; empty: springs balance them.",
    ),
)

PATIENCE = 1.0  # [s] age of joint states where no arm can be hurt and one machine does everything


def teleop(chosen: Chosen) -> list[NodeSpec]:
    """Describe the leaders, and the node that has the followers do what they do."""
    contract, simulated = Embodiment.load(embodiment(chosen)), is_simulated(chosen)
    span = gripper_span(contract.arms[0])
    spans = [span for _ in contract.arms]  # leaders that are no arms have one kind of gripper
    leaders: list[NodeSpec] = []
    leader = _leading(chosen)
    if leader == "arms":
        cell = hardware(chosen)
        spans = [cell.arm(leader_name(arm)).gripper or gripper_span(arm) for arm in contract.arms]
        leaders = [node for arm in contract.arms for node in _leader(contract, chosen, arm)]
    elif leader == "scripted":
        leaders = [
            NodeSpec("aloha_hardware", "leaders_node", "leaders", parameters=_leaders(contract, list(span), simulated))
        ]
    patient = simulated or any(arm.emulated for arm in hardware(chosen).arms.values())
    parameters = _settings(contract, spans) | {"use_sim_time": simulated}
    if chosen["gravity_compensation"]:
        parameters["gravity_compensation"] = chosen["gravity_compensation"]
    if patient:
        parameters["state_timeout"] = PATIENCE
    return [*leaders, NodeSpec("aloha_hardware", "teleop_node", "teleop", parameters=parameters)]


def _leading(chosen: Chosen) -> str:
    """Return what leads.

    Raises:
        GraphError: leader arms were asked for where there are none.
    """
    leader = str(chosen["leader"])
    if not is_simulated(chosen):
        return "arms" if leader == "auto" else leader
    if leader == "arms":
        raise GraphError(f"leader: robot:={chosen['robot']} has no leader arms. Use leader:=scripted or keyboard.")
    return "scripted" if leader == "auto" else leader


def _settings(contract: Embodiment, leader_spans: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Describe what the followers may do: each with its own gripper, and within what all of them can."""
    arms = contract.arms
    if any(arm.command_names != arms[0].command_names for arm in arms):
        raise GraphError("teleoperation: the followers have different joints. Give every arm of the contract the same.")
    spans = [(arm.gripper.values.joint_close, arm.gripper.values.joint_open) for arm in arms]
    closed, opened = zip(*spans, strict=True)
    speeds = [arm.velocity[-1] * (high - low) for arm, (low, high) in zip(arms, spans, strict=True)]
    return {
        "leaders": [leader_name(follower) for follower in arms],
        "followers": [follower.name for follower in arms],
        "joint_names": list(arms[0].command_names),
        "lower": [*map(max, zip(*(arm.lower[:-1] for arm in arms), strict=True)), min(closed)],
        "upper": [*map(min, zip(*(arm.upper[:-1] for arm in arms), strict=True)), max(opened)],
        "velocity": [*map(min, zip(*(arm.velocity[:-1] for arm in arms), strict=True)), min(speeds)],
        "leader_gripper": list(chain.from_iterable(leader_spans)),
        "follower_gripper": list(chain.from_iterable(spans)),
        "rate": contract.command_rate,
    }


def _leaders(contract: Embodiment, span: list[float], simulated: bool) -> dict[str, Any]:
    arm = contract.arms[0]
    return {
        "leaders": [leader_name(follower) for follower in contract.arms],
        "joint_names": list(arm.command_names),
        "start_pose": list(arm.start_pose),
        "leader_gripper": span,
        "lower": list(arm.lower),
        "upper": list(arm.upper),
        "rate": contract.command_rate,
        "use_sim_time": simulated,
    }


def _leader(contract: Embodiment, chosen: Chosen, follower: Arm) -> list[NodeSpec]:
    """Describe the driver of a leader: it reads, and never holds."""
    name, cell = leader_name(follower), hardware(chosen)
    here = cell.arm(name)
    closed, opened = here.gripper or gripper_span(follower)
    settings: dict[str, Any] = {
        "arm": name,
        "kind": "leader",
        "torque": False,
        "port": here.port,
        "adapter_serial": here.adapter_serial,
        "models": list(here.models),
        "lower": [*LOWER, closed],
        "upper": [*UPPER, opened],
        "sleep_pose": list(SLEEP_POSE),
        "rate": contract.state_rate,
        "realtime_priority": chosen["realtime_priority"],
    }
    nodes = []
    if here.emulated:
        settings["port"] = settings["port"] or emulated_port(name)
        nodes.append(emulator(name, settings["port"], "--arm", "leader", "--stays"))
    settings = {key: value for key, value in settings.items() if value not in ("", [])} | here.driver
    return [*nodes, NodeSpec("aloha_hardware", "arm_driver_node", "arm_driver", f"/{name}", parameters=settings)]
