"""Recording episodes into bags, and playing them back on the robot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cosmos_policy.graph.description import Argument, Chosen, NodeSpec
from cosmos_policy.graph.robot import embodiment, is_simulated

RECORD = (
    Argument("instruction", "", "What the episodes show, in words; stored with each."),
    Argument("folder", "episodes", "Where the bags go, one per episode."),
    Argument("operator", "", "Who operates the robot; stored with each episode."),
    Argument("images", "raw", "Which images to record.", choices=("raw", "compressed")),
)
TASKS = (Argument("record", "", "Folder for a bag of every /run_task; empty: none is recorded."),)
REPLAY = (
    Argument("episode", "", "The bag or episode file to play back on the robot."),
    Argument("speed", 1.0, "1 is as recorded, 0.5 takes twice as long.", minimum=0.05, maximum=1.0),
)


def recorder(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that writes a bag per episode, begun and ended by a person."""
    names = ("instruction", "folder", "operator", "images")
    return [_recorder(chosen, {name: chosen[name] for name in names})]


def task_recorder(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that writes a bag per task, where a folder for them was given."""
    if not chosen["record"]:
        return []
    return [_recorder(chosen, {"folder": chosen["record"], "tasks": True})]


def _recorder(chosen: Chosen, parameters: Mapping[str, Any]) -> NodeSpec:
    common = {"embodiment": embodiment(chosen), "use_sim_time": is_simulated(chosen)}
    return NodeSpec("cosmos_policy", "episode_recorder_node", "episode_recorder", parameters={**parameters, **common})


def replayer(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that sends a recorded episode's actions to the chunk executor."""
    parameters = {
        "embodiment": embodiment(chosen),
        "episode": chosen["episode"],
        "speed": chosen["speed"],
        "use_sim_time": is_simulated(chosen),
    }
    return [NodeSpec("cosmos_policy", "episode_replay_node", "episode_replay", parameters=parameters)]
