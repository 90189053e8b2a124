"""`cosmos-policy eval world-model`: imagined futures and values held against the simulator."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cosmos_policy_core.commands.evaluate import check_least

if TYPE_CHECKING:
    from cosmos_policy_core.evaluation.truth import TruthOptions
    from cosmos_policy_core.evaluation.truth_log import TruthLog

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
    log: Path | None = None
    """File of finished plans, one JSON line each; given again, the same check continues if its weights are the same."""
    report: Path | None = None
    """Folder for report.html, the figures and fates.json, one row per candidate."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Try, summarise, print."""
    check_least(options, ("episodes", "candidates", "futures", "values", "threads", "max_steps"), 1)
    check_least(options, ("seed",), 0)
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
    from cosmos_policy_core.evaluation.truth_log import Followed
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
        log = _log(options, settings)
        known = log.read() if log else {}
        task = progress.add_task("episodes", total=options.episodes)
        for seed in range(options.seed, options.seed + options.episodes):
            before = known.get(seed, Followed())
            fates += before.fates
            for of_plan, seen in () if before.whole else check.follow(seed, skip=len(before.plans)):
                fates += of_plan
                sights += _extremes(seen)
                if log:
                    log.append(of_plan)
                progress.update(task, description=f"episodes ({len(fates)} candidates)")
            if log and not before.whole:
                log.finish(seed)
            progress.advance(task)
    return fates, sights, bench.contract.camera_names


def _log(options: Options, settings: TruthOptions) -> TruthLog | None:
    """Open the log of this very check."""
    if options.log is None:
        return None
    from cosmos_policy_core.evaluation.truth_log import TruthLog
    from cosmos_policy_core.model.checkpoint import identify

    planning = options.planning_checkpoint
    about = {
        "policy_identity": identify(options.checkpoint),
        "planning_identity": identify(planning) if planning else "",
        "task": options.task,
        "embodiment": options.embodiment,
        **asdict(settings),
    }
    return TruthLog(options.log, about)


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
    facts = {key.replace("_", " "): "-" if value is None else str(value) for key, value in summary.items()}
    facts["calibration"] = "\n".join(
        f"valued {part['from']:g} to {part['to']:g}: {part['predicted']} predicted, {part['true_value']} true "
        f"({part['candidates']})"
        for part in summary["calibration"]
    )
    return facts
