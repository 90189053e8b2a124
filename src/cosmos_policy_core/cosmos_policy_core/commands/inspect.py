"""`cosmos-policy inspect-data`: what a folder of episodes holds, and what in it is broken."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from cosmos_policy_core.data import layouts
from cosmos_policy_core.data.episode import Episode, unlabelled_sentence
from cosmos_policy_core.data.integrity import UNLABELLED, ImageCheck, Report, constant_dimensions, examine
from cosmos_policy_core.data.layouts import LeftOut, Split
from cosmos_policy_core.embodiment import Embodiment


@dataclass(frozen=True)
class Options:
    """Read every episode below a folder, in any known layout, and say what is sound and what is not.

    Example:
        cosmos-policy inspect-data demos --embodiment aloha_sim
    """

    folder: tyro.conf.Positional[Path]
    """Folder with episodes, searched to its depths, or one file."""
    embodiment: str = "aloha_sim"
    """Contract the episodes belong to: a name or a YAML file."""
    split: Split | None = None
    """Only files below a folder of this name."""
    images: ImageCheck = "all"
    """Images to decode: all, sampled (first, middle and last of every camera) or none."""
    instruction: str | None = None
    """Task of files that do not say it."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Check a folder of episodes; the exit status is 1 when something in it had to be left out."""
    contract = Embodiment.load(options.embodiment)
    found, left_out = layouts.scan(options.folder, options.split)
    console = Console(stderr=True)
    reports, episodes = [], []
    for entry in track(found, "checking", console=console, transient=True):
        result = examine(entry, contract, options.images, options.instruction)
        if isinstance(result, LeftOut):
            left_out.append(result)
        else:
            reports.append(result[0])
            episodes.append(_without_images(result[1]))
    summary = summarise(options.folder, reports, left_out, constant_dimensions(episodes, contract))
    _print(console, summary, reports, left_out)
    if options.json:
        rows = {"episodes": [asdict(report) for report in reports], "left_out": [asdict(item) for item in left_out]}
        print(json.dumps(summary | rows))
    return 1 if left_out else 0


def summarise(
    folder: Path, reports: list[Report], left_out: list[LeftOut], constant: dict[str, list[str]]
) -> dict[str, Any]:
    """Count what a folder holds."""
    return {
        "folder": str(folder),
        "sound": len(reports),
        "broken": len(left_out),
        "successes": sum(report.success for report in reports),
        "failures": sum(not report.success for report in reports),
        "steps": sum(report.steps for report in reports),
        "images_checked": sum(report.images_checked for report in reports),
        "unlabelled": sum(UNLABELLED in report.notes for report in reports),
        "shorter_than_a_chunk": sum(any("shorter" in note for note in report.notes) for report in reports),
        "instructions": dict(Counter(report.instruction for report in reports)),
        "layouts": dict(Counter(report.layout for report in reports)),
        "constant_dimensions": constant,
    }


def _without_images(episode: Episode) -> Episode:
    return Episode(episode.actions, episode.proprio, {}, episode.instruction, episode.success, episode.success_score)


def _print(console: Console, summary: dict[str, Any], reports: list[Report], left_out: list[LeftOut]) -> None:
    table = Table("episode", "task", "steps", "outcome", "notes", title=summary["folder"])
    for report in reports:
        outcome = "success" if report.success else f"failure ({report.success_score:g})"
        name = report.source.removeprefix(f"{summary['folder']}/")
        table.add_row(escape(name), escape(report.instruction), str(report.steps), outcome, "; ".join(report.notes))
    console.print(table)
    console.print(
        f"{summary['sound']} episodes are sound ({summary['successes']} successes, {summary['failures']} failures, "
        f"{summary['steps']} steps, {summary['images_checked']} images decoded); left out: {summary['broken']}."
    )
    if summary["unlabelled"]:
        console.print(unlabelled_sentence(summary["unlabelled"]), style="yellow")
    for kind, names in summary["constant_dimensions"].items():
        if names:
            console.print(f"{kind} that never change, and so cannot be normalised: {', '.join(names)}", style="yellow")
    for item in left_out:
        console.print(f"left out: {item.reason}", style="red", markup=False, highlight=False)
