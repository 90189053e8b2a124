"""`cosmos-policy explain-plan`: draw what the planner decided, among what, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from cosmos_policy_core.errors import ConfigurationError


@dataclass(frozen=True)
class Options:
    """Draw decisions of the planner: every candidate, its values, the choice, where the time went.

    Example:
        cosmos-policy explain-plan bags/episode_0003 --plan 2
        cosmos-policy explain-plan plan.json
    """

    source: tyro.conf.Positional[Path]
    """A bag with /plan_report, or one report as JSON or YAML (`ros2 topic echo --once --full-length /plan_report`)."""
    plan: int | None = None
    """Index of the plan in its task; all of the bag when left out."""
    out: Path | None = None
    """Folder of the pictures; beside the source when left out."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Read, draw, and say in words what was decided."""
    from cosmos_policy_core.evaluation.report.decision import read_decisions
    from cosmos_policy_core.evaluation.report.decision_figure import decision_figure, headline

    decisions = read_decisions(options.source)
    known = sorted({decision.plan.index for decision in decisions})
    if options.plan is not None:
        decisions = [decision for decision in decisions if decision.plan.index == options.plan]
        if not decisions:
            raise ConfigurationError(f"--plan {options.plan}: {options.source} holds plans {known}. Use one of these.")
    folder = options.out or options.source.parent
    folder.mkdir(parents=True, exist_ok=True)
    console, files, stem = Console(stderr=True), [], options.source.stem
    for number, decision in enumerate(decisions):
        suffix = f"_{number:03d}" if len(decisions) > 1 else ""
        files.append(folder / f"{stem}_plan{decision.plan.index}{suffix}.png")
        decision_figure(decision).savefig(files[-1], dpi=110)
        console.print(f"{headline(decision)} -> {files[-1]}", highlight=False)
    if options.json:
        told = {
            "plans": [
                {
                    "index": decision.plan.index,
                    "chosen": decision.plan.chosen,
                    "values": [None if value != value else float(value) for value in decision.plan.values],
                    "completed": decision.completed,
                    "spent": decision.spent,
                    "saved": decision.saved,
                    "picture": str(file),
                }
                for decision, file in zip(decisions, files, strict=True)
            ]
        }
        print(json.dumps(told))
    return 0
