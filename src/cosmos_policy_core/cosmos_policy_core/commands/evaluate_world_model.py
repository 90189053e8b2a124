"""`cosmos-policy eval world-model`: imagined futures and values held against the simulator."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cosmos_policy_core.errors import ConfigurationError

DEFAULT_GAMMA = 0.99  # of checkpoints that do not say
SHOWN = 8  # candidates in the gallery


@dataclass(frozen=True)
class Options:
    """Execute every candidate in the simulator and compare what came with what was imagined and valued.

    At each plan of an episode, all candidates are proposed, imagined and valued; then each is executed from the same
    instant and followed by the direct policy to the end. The result says whether values rank candidates rightly, what
    choosing by them gains, what a perfect choice would, and how far imagined images and joints are from the truth.

    Example:
        cosmos-policy eval world-model --checkpoint nano_transfer_cube --episodes 5 --report truth
    """

    checkpoint: str = "nano_transfer_cube"
    """Policy: a checkpoint folder, or the name of a shipped one."""
    planning_checkpoint: str | None = None
    """Checkpoint that imagines and values; the policy itself when left out."""
    task: str = "transfer_cube"
    """Task of the simulated cell."""
    episodes: int = 5
    """Episodes whose plans are tried."""
    seed: int = 6000
    """Seed of the first episode; the others follow."""
    candidates: int = 8
    """Chunks per plan."""
    futures: int = 3
    """Imagined futures per chunk."""
    values: int = 5
    """Value predictions per future."""
    max_steps: int | None = None
    """Budget of an episode [control steps]; the task's own time limit when left out."""
    embodiment: str = "aloha_sim"
    """Contract: a name or a YAML file."""
    threads: int = 1
    """CPU threads."""
    report: Path | None = None
    """Folder for report.html, the figures and fates.json, one row per candidate."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Try, summarise, print."""
    for name in ("episodes", "candidates", "futures", "values", "threads"):
        if getattr(options, name) < 1:
            raise ConfigurationError(f"--{name} is {getattr(options, name)}. Use at least 1.")
    from cosmos_policy_core.evaluation.truth import summarise

    console, started = Console(stderr=True), time.monotonic()
    fates, sights, cameras = _follow(options, console)
    summary = {
        "task": options.task,
        "checkpoint": options.checkpoint,
        "planning_checkpoint": options.planning_checkpoint,
        "episodes": options.episodes,
        **summarise(fates),
        "seconds": round(time.monotonic() - started, 1),
    }
    _tell(summary, console)
    if options.report is not None:
        console.print(f"report: {_write(options.report, summary, fates, sights, cameras)}", soft_wrap=True)
    if options.json:
        print(json.dumps(summary))
    return 0


def _follow(options: Options, console: Console) -> tuple[list[Any], list[Any], tuple[str, ...]]:
    from cosmos_policy_core.evaluation.campaign import Campaign
    from cosmos_policy_core.evaluation.truth import TruthCheck, TruthOptions
    from cosmos_policy_core.evaluation.worker import TrialBench

    campaign = Campaign(
        checkpoint=options.checkpoint,
        planning_checkpoint=options.planning_checkpoint,
        task=options.task,
        embodiment=options.embodiment,
        max_steps=options.max_steps,
    )
    fates, sights = [], []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with closing(TrialBench(campaign, options.threads)) as bench, Progress(*columns, console=console) as progress:
        settings = TruthOptions(
            candidates=options.candidates,
            futures=options.futures,
            values=options.values,
            max_steps=bench.options.max_steps,
            gamma=bench.world.config.gamma or DEFAULT_GAMMA,
        )
        check = TruthCheck(bench.environment, bench.policy, bench.world, settings)
        task = progress.add_task("episodes", total=options.episodes)
        for seed in range(options.seed, options.seed + options.episodes):
            for of_plan, seen in check.follow(seed):
                fates += of_plan
                sights += _extremes(seen)
                progress.update(task, description=f"episodes ({len(fates)} candidates)")
            progress.advance(task)
    return fates, sights, bench.contract.camera_names


def _extremes(sights: list[Any]) -> list[Any]:
    """Keep the candidates of a plan that are valued highest and lowest."""
    ordered = sorted(sights, key=lambda sight: sight.predicted)
    return [ordered[-1], ordered[0]] if len(ordered) > 1 else ordered


def _tell(summary: dict[str, Any], console: Console) -> None:
    table = Table("", "", title=f"{summary['candidates']} candidates of {summary['plans']} plans", show_header=False)
    for fact in _facts(summary).items():
        table.add_row(*fact)
    console.print(table)


def _write(
    folder: Path, summary: dict[str, Any], fates: list[Any], sights: list[Any], cameras: tuple[str, ...]
) -> Path:
    from cosmos_policy_core.evaluation.report.page import page, write_figures
    from cosmos_policy_core.evaluation.report.truth import truth_figures

    files = write_figures(folder, truth_figures(fates, sights[:SHOWN], cameras))
    (folder / "fates.json").write_text(json.dumps([asdict(fate) for fate in fates]) + "\n")
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    target, facts = folder / "report.html", _facts(summary)
    pictures = {name: file.read_bytes() for name, file in files.items()}
    target.write_text(page(f"World model against simulator: {summary['task']}", facts, pictures), "utf-8")
    return target


def _facts(summary: dict[str, Any]) -> dict[str, str]:
    """Say the numbers in words; "-" where there was nothing to measure."""
    return {key.replace("_", " "): "-" if value is None else str(value) for key, value in summary.items()}
