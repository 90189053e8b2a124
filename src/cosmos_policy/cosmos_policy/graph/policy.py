"""The policy's side of the graph: models, planner, chunk executor."""

from __future__ import annotations

from cosmos_policy.graph.description import Argument, Chosen, NodeSpec
from cosmos_policy.graph.robot import embodiment, is_simulated

ARGUMENTS = (
    Argument("planner", "best_of_n", "How a chunk is chosen.", choices=("direct", "best_of_n")),
    Argument("checkpoint", "nano_transfer_cube", "Policy checkpoint: a shipped name or a folder."),
    Argument("planning_checkpoint", "", "World model and value checkpoint; empty: the policy's own."),
    Argument("device", "auto", "Device of the networks: auto, cpu, cuda or cuda:<index>."),
    Argument(
        "accelerate", False, "Compile the networks, for a GPU: the first plan takes a minute longer, the others less."
    ),
    Argument("candidates", 8, "Chunks to choose among.", minimum=1),
    Argument("futures", 3, "Imagined futures per chunk.", minimum=1),
    Argument("values", 5, "Value predictions per future.", minimum=1),
    Argument("preset", "default", "Base of the settings of planning.", choices=("reference", "default")),
    Argument(
        "aggregation",
        "majority_mean",
        "Values to one score.",
        choices=("average", "lcb", "success_vote", "majority_mean"),
    ),
    Argument("depth", 1, "Chunks looked ahead.", minimum=1),
    Argument(
        "mode",
        "hold",
        "Plan at rest, while moving, or while moving with the time until the seam.",
        choices=("hold", "overlap", "deadline"),
    ),
    Argument("deadline", 0.0, "Wall time of a plan [s]; the best choice so far is run then. 0: none.", minimum=0.0),
    Argument("more_scorers", "", "Names of scorers started elsewhere that share the candidates: /scorer_b,/scorer_c."),
    Argument("report_folder", "", "Folder that keeps every plan report, for cosmos-policy explain-plan; empty: none."),
    Argument("imagined_images", False, "Report what the planner imagined for the chunk it chose."),
)

POLICY = "policy"
SCORER = "scorer"


def policies(chosen: Chosen) -> list[NodeSpec]:
    """Describe the nodes that hold a model."""
    checkpoints = {POLICY: chosen["checkpoint"]}
    if chosen["planning_checkpoint"]:
        checkpoints[SCORER] = chosen["planning_checkpoint"]
    common = {name: chosen[name] for name in ("device", "accelerate")} | {
        "embodiment": embodiment(chosen),
        "use_sim_time": is_simulated(chosen),
    }
    if chosen["depth"] > 1:  # beyond the first chunk the policy proposes from states that the scorer imagines
        common["proposing_checkpoint"] = chosen["checkpoint"]
    return [
        NodeSpec("cosmos_policy", "policy_node", name, parameters={**common, "checkpoint": checkpoint})
        for name, checkpoint in checkpoints.items()
    ]


def planner(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that turns an instruction into chunks."""
    scorer = SCORER if chosen["planning_checkpoint"] else POLICY
    names = ("planner", "candidates", "futures", "values", "preset", "aggregation", "depth", "mode", "deadline")
    more = [name.strip() for name in chosen["more_scorers"].split(",") if name.strip()]
    parameters = {name: chosen[name] for name in (*names, "imagined_images", "report_folder")} | {
        "embodiment": embodiment(chosen),
        "policy": f"/{POLICY}",
        "scorers": [f"/{scorer}", *more],
        "use_sim_time": is_simulated(chosen),
    }
    return [NodeSpec("cosmos_policy", "planner_node", "planner", parameters=parameters)]


def executor(chosen: Chosen) -> list[NodeSpec]:
    """Describe the node that commands the arms."""
    parameters = {
        "embodiment": embodiment(chosen),
        # The arms rest while a plan is made, and a plan on a slow CPU takes its time.
        "max_observation_age": 30.0,
        "realtime_priority": chosen["realtime_priority"],
        "use_sim_time": is_simulated(chosen),
    }
    return [NodeSpec("cosmos_policy", "chunk_executor_node", "chunk_executor", parameters=parameters)]
