"""An evaluation as a folder that a person would show: page, figures, films of failures, numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cosmos_policy_core.evaluation.campaign import UNWATCHED, Campaign, Outcome
from cosmos_policy_core.evaluation.report.failures import contact_sheet, png_of, write_film
from cosmos_policy_core.evaluation.report.page import page, write_figures
from cosmos_policy_core.evaluation.report.trials import TrialRow, trial_figures, trial_table
from cosmos_policy_core.evaluation.worker import TrialBench


def write_report(
    folder: Path,
    evaluations: Mapping[str, tuple[Campaign, Sequence[Outcome]]],
    summary: Mapping[str, Any],
    films: int,
) -> Path:
    """Write report.html, figures as PNG, summary.json, and films and a sheet of the first failures.

    Trials are repeatable, so that failures are filmed when they are known to be failures: nothing else pays for it.
    Those through the graph are not: the same seeds are run in this process, and the sheet says how that went.

    Args:
        evaluations: name -> what was evaluated and what came of it.
        films: failures to film per evaluation.

    Returns:
        The page.
    """
    rows = {name: [_row(outcome) for outcome in outcomes] for name, (_, outcomes) in evaluations.items()}
    files = write_figures(folder, trial_figures(rows))
    pictures = {name: file.read_bytes() for name, file in files.items()}
    for name, (campaign, outcomes) in evaluations.items():
        failed = [outcome for outcome in outcomes if not outcome.success][:films]
        if failed:
            sheet = _film_failures(folder / "failures", name, campaign, failed)
            pictures[f"Failures of {name}"] = sheet
            (folder / f"failures_{name}.png").write_bytes(sheet)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    target = folder / "report.html"
    target.write_text(page(f"Evaluation: {summary['task']}", _facts(summary), pictures, trial_table(rows)), "utf-8")
    return target


def _row(outcome: Outcome) -> TrialRow:
    fields = asdict(outcome)
    return TrialRow(**{name: fields[name] for name in TrialRow.__dataclass_fields__})


def _film_failures(folder: Path, name: str, campaign: Campaign, failed: Sequence[Outcome]) -> bytes:
    episodes = []
    with closing(TrialBench(campaign)) as bench:
        rate, cameras = bench.contract.control_rate, bench.contract.camera_names
        for outcome in failed:
            again, episode = bench.film(outcome.seed)
            write_film(folder / f"{name}_seed_{outcome.seed}.mp4", episode, cameras, rate)
            episodes.append((_caption(outcome, again), episode))
    return png_of(contact_sheet(episodes, cameras[-1], rate))


def _caption(outcome: Outcome, again: Outcome) -> str:
    """Say how the filmed trial ended; through the graph, another one in this process stands for it."""
    if outcome.best_stage != UNWATCHED:
        return f"seed {outcome.seed}: {outcome.ended}"
    return f"seed {outcome.seed}, without ROS: {again.ended or 'success'}"


def _facts(summary: Mapping[str, Any]) -> dict[str, str]:
    facts = {key: str(summary[key]) for key in ("task", "checkpoint", "planning_checkpoint") if summary.get(key)}
    if summary.get("domain"):
        facts["domain"] = ", ".join(f"{name} {value}" for name, value in summary["domain"].items())
    if summary.get("trained_on_seeds"):
        facts["trials on seeds that were trained on"] = str(summary["trained_on_seeds"])
    facts["failures by stage reached"] = str(summary.get("failures", {}))
    if "paired" in summary:
        paired = summary["paired"]
        low, high = paired["interval_95"]
        facts["paired difference"] = f"{paired['difference']:+.1%} (95 % interval {low:+.1%} to {high:+.1%})"
        facts["exact McNemar p"] = f"{paired['p_value']:g}"
    return facts
