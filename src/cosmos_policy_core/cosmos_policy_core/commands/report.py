"""`cosmos-policy report`: a recorded run, or evaluations, as a page that a person would show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError

FILM_RATE = 12.5  # frames per second of recorded time


@dataclass(frozen=True)
class Options:
    """Write report.html with every figure in it, the figures as PNG, and a film of a run as MP4.

    Examples:
        cosmos-policy report episodes/20261121_101500
        cosmos-policy report direct.jsonl best_of_n.jsonl --out comparison
    """

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """One recorded bag, or one or more logs of `cosmos-policy eval --log`."""
    out: Path | None = None
    """Folder to write; by default the first path with `_report` at its end."""
    embodiment: str = ""
    """Contract of the robot: a name or a YAML file; by default the one inside the bag."""
    film: bool = True
    """Also make the film of a run."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Report on what the paths are."""
    from cosmos_policy_core.data.bags.reading import is_bag

    if not options.paths:
        raise ConfigurationError("report: nothing to report on. Give a bag, or logs of `cosmos-policy eval --log`.")
    first = options.paths[0]
    folder = options.out or first.with_name(f"{first.stem}_report")
    if any(path.is_dir() for path in options.paths):
        if len(options.paths) > 1 or not is_bag(first):
            raise ConfigurationError(f"{first}: a report is about one bag, the folder that holds metadata.yaml.")
        summary = _report_run(first, folder, options)
    else:
        summary = _report_trials(options.paths, folder)
    Console(stderr=True).print(f"{summary['page']}: {', '.join(summary['figures'])}", soft_wrap=True)
    if options.json:
        print(json.dumps(summary))
    return 0


def _report_run(bag: Path, folder: Path, options: Options) -> dict[str, Any]:
    from cosmos_policy_core.evaluation.report.figures import run_figures
    from cosmos_policy_core.evaluation.report.from_bag import contract_of, run_from_bag

    contract = Embodiment.load(options.embodiment) if options.embodiment else contract_of(bag)
    run = run_from_bag(bag, contract)
    error = run.tracking_error().values
    facts = dict(run.facts)
    if error.size:
        facts["tracking error"] = (
            f"{float(error.max(axis=1).mean()):.3f} rad mean, {float(error.max()):.3f} rad largest"
        )
    for name, number in (("imagined", "error"), ("nothing imagined to change", "change")):
        if run.comparisons:
            mean = sum(getattr(comparison, number) for comparison in run.comparisons) / len(run.comparisons)
            facts[f"pixel error, {name}"] = f"{mean:.1%}"
    film = _film(bag, contract, folder, run.plans) if options.film else ""
    return _write(folder, f"Run {run.title}", facts, run_figures(run), video=film) | {"plans": len(run.plans)}


def _film(bag: Path, contract: Embodiment, folder: Path, plans: Any) -> str:
    from cosmos_policy_core.data.bags.recording import load_recording
    from cosmos_policy_core.data.mp4 import write_mp4
    from cosmos_policy_core.evaluation.report.film import film_frames

    folder.mkdir(parents=True, exist_ok=True)
    frames = film_frames(load_recording(bag, contract), plans, FILM_RATE)
    # H.264 because browsers play it.
    write_mp4(folder / "run.mp4", frames, FILM_RATE, "libx264", {"preset": "veryfast", "crf": "24"})
    return "run.mp4"


def _report_trials(logs: tuple[Path, ...], folder: Path) -> dict[str, Any]:
    from cosmos_policy_core.evaluation.report.from_log import trials_from_logs
    from cosmos_policy_core.evaluation.report.trials import trial_figures, trial_table

    evaluations = trials_from_logs(logs)
    facts = {"evaluations": str(len(evaluations)), "logs": ", ".join(str(log) for log in logs)}
    figures = trial_figures(evaluations)
    return _write(folder, "Evaluation", facts, figures, table=trial_table(evaluations))


def _write(folder: Path, title: str, facts: Mapping[str, str], figures: Any, **rest: Any) -> dict[str, Any]:
    from cosmos_policy_core.evaluation.report.page import page, write_figures

    files = write_figures(folder, figures)
    target = folder / "report.html"
    pictures = {name: file.read_bytes() for name, file in files.items()}
    target.write_text(page(title, facts, pictures, **rest), encoding="utf-8")
    return {"page": str(target), "figures": list(files), "facts": dict(facts), "film": rest.get("video", "")}
