"""`cosmos-policy eval-benchmark`: success rate of a checkpoint in LIBERO or RoboCasa."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import track

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.evaluation.adapters.cell import BenchmarkCell, run_trials
from cosmos_policy_core.evaluation.intervals import wilson


@dataclass(frozen=True)
class Options:
    """Measure how often a checkpoint succeeds in one task of a simulated benchmark, which must be installed.

    Example:
        cosmos-policy eval-benchmark --checkpoint checkpoints/libero --suite libero_spatial --task 0
    """

    checkpoint: str
    """Checkpoint folder, or the name of a shipped one."""
    suite: Literal["libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90", "robocasa"]
    """Benchmark suite."""
    task: str
    """Number of a LIBERO task, or name of a RoboCasa task."""
    trials: int = 50
    """Number of trials."""
    seed: int = 195
    """Seed; the published runs used 195, 196 and 197."""
    planner: Literal["direct", "best_of_n"] = "direct"
    """Run the policy's own chunk, or the best of several imagined ones."""
    planning_checkpoint: str | None = None
    """Checkpoint that imagines and values; the policy itself when left out."""
    steps: int | None = None
    """Denoising steps of the action query; the checkpoint's default when left out."""
    device: str = "cpu"
    """Where the networks run: cpu or cuda."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Run the trials and say how many succeeded."""
    if options.trials < 1 or options.seed < 0:
        raise ConfigurationError("--trials must be at least 1, and --seed not negative.")
    cell = make_cell(options.suite, options.task)  # a simulator that is missing is noticed before weights are loaded
    planner = _planner(options, cell)
    console, started = Console(stderr=True), time.monotonic()
    trials = list(
        track(
            run_trials(cell, planner, range(options.trials), options.seed),
            options.suite,
            total=options.trials,
            console=console,
        )
    )
    cell.close()
    successes = sum(trial.success for trial in trials)
    low, high = wilson(successes, len(trials))
    console.print(
        f"{options.suite} {options.task}: {successes} of {len(trials)} succeeded "
        f"(95 % interval {low:.0%} to {high:.0%})."
    )
    if options.json:
        print(
            json.dumps(
                {
                    "suite": options.suite,
                    "task": options.task,
                    "instruction": cell.instruction,
                    "checkpoint": options.checkpoint,
                    "trials": len(trials),
                    "successes": successes,
                    "interval_95": [round(low, 4), round(high, 4)],
                    "steps": [trial.steps for trial in trials],
                    "seconds": round(time.monotonic() - started, 1),
                }
            )
        )
    return 0


def make_cell(suite: str, task: str) -> BenchmarkCell:
    """Make the cell of a task.

    Raises:
        ConfigurationError: unknown task.
        SimulatorError: the benchmark is not installed.
    """
    from cosmos_policy_core.evaluation.adapters.libero import LiberoCell
    from cosmos_policy_core.evaluation.adapters.robocasa import RobocasaCell

    if suite == "robocasa":
        return RobocasaCell.make(task)
    if not task.isdigit():
        raise ConfigurationError(f"--task {task}: LIBERO's tasks are numbered. Give a number from 0.")
    return LiberoCell.make(suite, int(task))


def _planner(options: Options, cell: BenchmarkCell) -> Any:
    from cosmos_policy_core.model.policy import CosmosPolicy
    from cosmos_policy_core.planning.planner import BestOfN, Direct

    policy = CosmosPolicy.from_pretrained(options.checkpoint, device=options.device)
    policy.check(cell.contract)
    if options.planner == "direct":
        return Direct(policy, options.steps)
    world = policy
    if options.planning_checkpoint is not None:
        world = CosmosPolicy.from_pretrained(options.planning_checkpoint, device=options.device)
        world.check(cell.contract)
    return BestOfN(policy, world, steps=options.steps)
