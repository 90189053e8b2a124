"""`cosmos-policy bench seams`: what the executor's three modes cost and gain at the seams between chunks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from cosmos_policy_core.errors import ConfigurationError

if TYPE_CHECKING:
    from cosmos_policy_core.evaluation.seams import TimedTrial

ModeName = Literal["hold", "overlap", "deadline"]

ROWS = {
    "successes": "successes",
    "idle_share": "share of the time at rest",
    "seconds_to_success_median": "time to success, median [s]",
    "seam_acceleration_median": "peak acceleration at a seam, median [rad/s²]",
    "seam_acceleration_max": "…, largest [rad/s²]",
    "inside_acceleration_median": "the same inside chunks, median [rad/s²]",
    "gap_median": "new chunk from the motion, median [rad]",
    "unblended_acceleration_median": "what that gap would be unblended [rad/s²]",
    "dropped_median": "actions dropped per plan, median",
    "blended_median": "actions blended per plan, median",
    "late": "plans after the seam",
    "fallbacks": "plans cut short",
    "refusals": "plans refused as too far",
}


@dataclass(frozen=True)
class Seams:
    """Compare the executor's modes in the simulated cell, through its own code, with time spent on every plan.

    Example:
        cosmos-policy bench seams --episodes 50 --picture seams.png
    """

    checkpoint: str = "nano_transfer_cube"
    """Checkpoint folder, or the name of a shipped one."""
    planner: Literal["direct", "best_of_n"] = "direct"
    """How a chunk is chosen; the time it takes in the cell is --thinking."""
    candidates: int = 8
    """Chunks per plan (best_of_n)."""
    modes: tuple[ModeName, ...] = ("hold", "overlap", "deadline")
    """Modes to compare."""
    episodes: int = 50
    """Trials per mode."""
    seed: int = 5000
    """Seed of the first trial; the others follow."""
    thinking: float = 0.8
    """Median time of a plan in the cell [s]."""
    spread: float = 0.4
    """Spread of its logarithm."""
    lead: float = 1.2
    """A plan is begun this long before the seam where the arms move meanwhile [s]."""
    embodiment: str = "aloha_sim"
    """Contract: a name or a YAML file."""
    picture: Path | None = None
    """Draw the first seed's trials into this file (.png)."""
    json: bool = field(default=False)
    """Print a JSON object as the last line."""


def run(options: Seams) -> int:
    """Measure, print, draw."""
    if options.episodes < 1 or options.seed < 0 or not options.modes:
        raise ConfigurationError("--episodes must be at least 1, --seed not negative, and --modes name at least one.")
    from cosmos_policy_core.evaluation.seams import summarise
    from cosmos_policy_core.execution import ExecutorSettings

    trials = _trials(options)
    settings = ExecutorSettings.from_contract(_contract(options))
    modes = {name: summarise(done, settings) for name, done in trials.items()}
    table = Table("", *modes, title=f"{options.episodes} trials each, plans take {options.thinking} s")
    for key, label in ROWS.items():
        table.add_row(escape(label), *(_text(summary[key]) for summary in modes.values()))
    Console(stderr=True).print(table)
    if options.picture is not None:
        from cosmos_policy_core.evaluation.seam_pictures import draw

        draw({name: done[0] for name, done in trials.items()}, settings, options.picture)
    if options.json:
        print(json.dumps({"planner": options.planner, "thinking_s": options.thinking, "modes": modes}))
    return 0


def _trials(options: Seams) -> dict[str, list[TimedTrial]]:
    import torch

    from cosmos_policy_core.evaluation.seams import Thinking, TimedRollout
    from cosmos_policy_core.execution import Mode
    from cosmos_policy_core.simulated_cell import make_cell

    torch.set_num_threads(1)
    contract, planner = _contract(options), _planner(options)
    # One step of the cell is one command of the executor.
    cell = make_cell(contract, render=False, control_rate=contract.command_rate, max_episode_steps=1_000_000)
    thinking = Thinking(options.thinking, options.spread, options.lead)
    seeds = range(options.seed, options.seed + options.episodes)
    console = Console(stderr=True)
    try:
        return {
            name: [
                TimedRollout(cell, contract, planner, Mode[name.upper()], thinking).run(seed)
                for seed in track(seeds, name, console=console)
            ]
            for name in options.modes
        }
    finally:
        cell.close()


def _contract(options: Seams) -> Any:
    from cosmos_policy_core.embodiment import Embodiment

    return Embodiment.load(options.embodiment)


def _planner(options: Seams) -> Any:
    from cosmos_policy_core.model.policy import CosmosPolicy
    from cosmos_policy_core.planning.planner import BestOfN, Direct

    policy = CosmosPolicy.from_pretrained(options.checkpoint)
    policy.check(_contract(options))
    return Direct(policy) if options.planner == "direct" else BestOfN(policy, policy, options.candidates)


def _text(value: float | int | None) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
