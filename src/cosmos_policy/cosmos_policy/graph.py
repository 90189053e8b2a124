"""The one description of the graph: which nodes run, under which names, with which parameters.

`ros2 launch` and the launcher for machines without the launch package both start what :func:`bringup` returns.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cosmos_policy.errors import GraphError
from cosmos_policy_core.embodiment import Embodiment


@dataclass(frozen=True)
class Argument:
    """A choice the person who starts the graph has; its default decides its type."""

    name: str
    default: str | int | float | bool
    description: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None


@dataclass(frozen=True)
class NodeSpec:
    """A node of the graph: one process."""

    package: str
    executable: str
    name: str
    namespace: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


ARGUMENTS = (
    Argument("robot", "sim", "The robot: sim is the MuJoCo cell.", choices=("sim",)),
    Argument("planner", "best_of_n", "How a chunk is chosen.", choices=("direct", "best_of_n")),
    Argument("checkpoint", "nano_transfer_cube", "Policy checkpoint: a shipped name or a folder."),
    Argument("planning_checkpoint", "", "World model and value checkpoint; empty: the policy's own."),
    Argument("embodiment", "", "Contract: a shipped name or a YAML file; empty: the robot's own."),
    Argument("device", "auto", "Device of the networks: auto, cpu, cuda or cuda:<index>."),
    Argument("seed", 0, "Seed of the simulated scene.", minimum=0),
    Argument("candidates", 8, "Chunks to choose among.", minimum=1),
    Argument("futures", 3, "Imagined futures per chunk.", minimum=1),
    Argument("values", 5, "Value predictions per future.", minimum=1),
    Argument("imagined_images", False, "Report what the planner imagined for the chunk it chose."),
    Argument("real_time_factor", 1.0, "Speed of simulated time; 0: as fast as it goes.", minimum=0.0),
    Argument("rviz", False, "Also open rviz."),
)

EMBODIMENTS = {"sim": "aloha_sim"}

POLICY = "policy"
SCORER = "scorer"


def bringup(given: Mapping[str, str]) -> list[NodeSpec]:
    """Describe the nodes of the graph.

    Args:
        given: arguments by name, as typed; the others keep their defaults.

    Raises:
        GraphError: an argument or its value is unknown; names the allowed ones.
        ContractError: the embodiment cannot be used.
    """
    chosen = resolve(given)
    chosen["embodiment"] = chosen["embodiment"] or EMBODIMENTS[chosen["robot"]]
    nodes = [_cell(chosen), *_policies(chosen), _planner(chosen), _executor(chosen)]
    if chosen["rviz"]:
        nodes.append(NodeSpec("rviz2", "rviz2", "rviz", parameters={"use_sim_time": True}))
    return nodes


def resolve(given: Mapping[str, str]) -> dict[str, Any]:
    """Give every argument a value of its type.

    Raises:
        GraphError: an argument or its value is unknown; names the allowed ones.
    """
    known = {argument.name: argument for argument in ARGUMENTS}
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise GraphError(f"{name}: there is no such argument.{hint} Use: {', '.join(known)}.")
    return {
        name: _value(argument, given[name]) if name in given else argument.default for name, argument in known.items()
    }


def is_misspelt(name: str) -> bool:
    """Tell whether a name is not an argument but close to one."""
    known = [argument.name for argument in ARGUMENTS]
    return name not in known and bool(difflib.get_close_matches(name, known, n=1))


def _value(argument: Argument, text: str) -> Any:
    if argument.choices and text not in argument.choices:
        raise GraphError(f"{argument.name}: '{text}' is unknown. Use one of: {', '.join(argument.choices)}.")
    if isinstance(argument.default, bool):
        if text.lower() not in ("true", "false"):
            raise GraphError(f"{argument.name}: '{text}' is unknown. Use one of: true, false.")
        return text.lower() == "true"
    if isinstance(argument.default, (int, float)):
        return _number(argument, text)
    return text


def _number(argument: Argument, text: str) -> int | float:
    kind = float if isinstance(argument.default, float) else int
    try:
        number = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise GraphError(f"{argument.name}: '{text}' is not {what}.") from None
    if argument.minimum is not None and not number >= argument.minimum:
        raise GraphError(f"{argument.name}: {text} is too small. Give at least {argument.minimum:g}.")
    return number


def _cell(chosen: Mapping[str, Any]) -> NodeSpec:
    settings = Embodiment.load(chosen["embodiment"]).sim_settings()
    return NodeSpec(
        "aloha_sim",
        "cell_node",
        "sim",
        parameters={**settings, "seed": chosen["seed"], "real_time_factor": chosen["real_time_factor"]},
    )


def _policies(chosen: Mapping[str, Any]) -> list[NodeSpec]:
    checkpoints = {POLICY: chosen["checkpoint"]}
    if chosen["planning_checkpoint"]:
        checkpoints[SCORER] = chosen["planning_checkpoint"]
    common = {"embodiment": chosen["embodiment"], "device": chosen["device"], "use_sim_time": True}
    return [
        NodeSpec("cosmos_policy", "policy_node", name, parameters={**common, "checkpoint": checkpoint})
        for name, checkpoint in checkpoints.items()
    ]


def _planner(chosen: Mapping[str, Any]) -> NodeSpec:
    scorer = SCORER if chosen["planning_checkpoint"] else POLICY
    names = ("embodiment", "planner", "candidates", "futures", "values", "imagined_images")
    parameters = {name: chosen[name] for name in names}
    return NodeSpec(
        "cosmos_policy",
        "planner_node",
        "planner",
        parameters={**parameters, "policy": f"/{POLICY}", "scorers": [f"/{scorer}"], "use_sim_time": True},
    )


def _executor(chosen: Mapping[str, Any]) -> NodeSpec:
    return NodeSpec(
        "cosmos_policy",
        "chunk_executor_node",
        "chunk_executor",
        # The arms rest while a plan is made, and a plan on a slow CPU takes its time.
        parameters={"embodiment": chosen["embodiment"], "max_observation_age": 30.0, "use_sim_time": True},
    )
