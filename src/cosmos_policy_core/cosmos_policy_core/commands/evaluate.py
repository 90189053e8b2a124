"""`cosmos-policy eval`: closed-loop success rate of a checkpoint in the simulated cell."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.evaluation.campaign import Campaign, Log, Outcome, evaluate, summarise


@dataclass(frozen=True)
class Options:
    """Measure how often a checkpoint succeeds in closed loop, headless and faster than real time.

    Example:
        cosmos-policy eval --checkpoint nano_transfer_cube --planner best_of_n --episodes 50 --seed 5000
    """

    checkpoint: str = "nano_transfer_cube"
    """Checkpoint folder, or the name of a shipped one."""
    planning_checkpoint: str | None = None
    """Checkpoint that imagines and values; the policy itself when left out."""
    task: Literal["transfer_cube"] = "transfer_cube"
    """Task of the simulated cell."""
    planner: Literal["direct", "best_of_n"] = "direct"
    """Run the policy's own chunk, or the best of several imagined ones."""
    episodes: int = 50
    """Number of trials."""
    seed: int = 5000
    """Seed of the first trial; the others follow. Demonstrations never use 5000..9999."""
    candidates: int = 8
    """Chunks per plan (best_of_n)."""
    futures: int = 3
    """Imagined futures per chunk (best_of_n)."""
    values: int = 5
    """Value predictions per future (best_of_n)."""
    aggregation: Literal["average", "lcb", "success_vote", "majority_mean"] = "majority_mean"
    """How values become one score (best_of_n)."""
    steps: int | None = None
    """Denoising steps of the action query; the checkpoint's default when left out."""
    max_steps: int = 200
    """Budget of a trial [control steps]."""
    thinking: float = 0.4
    """Time the arms rest in the cell while a plan is made [s]."""
    embodiment: str = "aloha_sim"
    """Contract: a name or a YAML file."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes."""
    log: Path | None = None
    """File of finished trials, one JSON line each; given again, the campaign continues."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Evaluate, summarise, print."""
    if options.episodes < 1 or options.workers < 1 or options.seed < 0:
        raise ConfigurationError("--episodes and --workers must be at least 1, and --seed not negative.")
    campaign = Campaign(
        checkpoint=options.checkpoint,
        planner=options.planner,
        planning_checkpoint=options.planning_checkpoint,
        candidates=options.candidates,
        futures=options.futures,
        values=options.values,
        aggregation=options.aggregation,
        embodiment=options.embodiment,
        max_steps=options.max_steps,
        thinking=options.thinking,
        steps=options.steps,
    )
    seeds = range(options.seed, options.seed + options.episodes)
    log = Log(options.log, campaign) if options.log else None
    done = {seed: outcome for seed, outcome in (log.read() if log else {}).items() if seed in seeds}
    started = time.monotonic()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(options.planner, total=len(seeds), completed=len(done))
        for outcome in evaluate(campaign, [seed for seed in seeds if seed not in done], options.workers):
            done[outcome.seed] = outcome
            if log:
                log.append(outcome)
            successes = sum(each.success for each in done.values())
            progress.update(task, completed=len(done), description=f"{options.planner}: {successes} of {len(done)}")
    summary = summarise(campaign, options.task, _in_order(done), time.monotonic() - started)
    low, high = summary["interval_95"]
    console.print(
        f"{summary['successes']} of {summary['episodes']} succeeded ({summary['success_rate']:.0%}, 95 % interval "
        f"{low:.0%} to {high:.0%}); published criterion {summary['published_criterion']}; "
        f"failures by stage reached {summary['failed_at_stage']}; plan {summary['plan_seconds_median']:.2f} s median"
    )
    if options.json:
        print(json.dumps(summary))
    return 0


def _in_order(done: dict[int, Outcome]) -> list[Outcome]:
    return [done[seed] for seed in sorted(done)]
