"""Teleoperation: what leads, and the node that makes the followers do the same."""

from __future__ import annotations

from cosmos_policy.graph.description import Argument, Chosen, NodeSpec
from cosmos_policy.graph.robot import embodiment, is_simulated

ARGUMENTS = (
    Argument(
        "leader",
        "arms",
        "What leads: arms are the leader arms of the hardware file, scripted is a rehearsed motion, keyboard the keys.",
        choices=("arms", "scripted", "keyboard"),
    ),
)


def teleop(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that commands the followers."""
    parameters = {
        "embodiment": embodiment(chosen),
        "leader": chosen["leader"],
        "use_sim_time": is_simulated(chosen),
    }
    return [NodeSpec("aloha_hardware", "teleop_node", "teleop", parameters=parameters)]
