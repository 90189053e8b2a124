"""Recording episodes into bags, and playing them back on the robot."""

from __future__ import annotations

from cosmos_policy.graph.description import Argument, Chosen, NodeSpec
from cosmos_policy.graph.robot import embodiment, is_simulated

RECORD = (
    Argument("instruction", "", "What the episodes show, in words; stored with each."),
    Argument("folder", "episodes", "Where the bags go, one per episode."),
)
REPLAY = (Argument("episode", "", "The bag to play back on the robot."),)


def recorder(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that writes a bag per episode."""
    parameters = {
        "embodiment": embodiment(chosen),
        "instruction": chosen["instruction"],
        "folder": chosen["folder"],
        "use_sim_time": is_simulated(chosen),
    }
    return [NodeSpec("cosmos_policy", "episode_recorder_node", "episode_recorder", parameters=parameters)]


def replayer(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that sends a recorded episode's actions to the chunk executor."""
    parameters = {
        "embodiment": embodiment(chosen),
        "episode": chosen["episode"],
        "use_sim_time": is_simulated(chosen),
    }
    return [NodeSpec("cosmos_policy", "episode_replay_node", "episode_replay", parameters=parameters)]
