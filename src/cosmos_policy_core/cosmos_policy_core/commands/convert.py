"""`cosmos-policy convert`: recordings into training files, LeRobot datasets, and back into bags."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import track

from cosmos_policy_core.data import lerobot
from cosmos_policy_core.data.bags.episodes import Reading
from cosmos_policy_core.data.bags.resample import Tolerances
from cosmos_policy_core.data.conversion import Converted, Job, Source, Target, convert, find_sources, set_aside_all
from cosmos_policy_core.data.layouts import LeftOut
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import RecordingError
from cosmos_policy_core.workers import die_with_parent

Result = Converted | LeftOut


@dataclass(frozen=True)
class Options:
    """Convert bags (or HDF5 episodes of any known layout); what cannot be converted is named and left out.

    Steps are laid at the contract's control rate by the stamps of the messages. A step is observed with the newest
    messages at its time; older ones than the live graph accepts are a gap. Repeat the command to go on where it was
    interrupted, or to add new recordings.

    Example:
        cosmos-policy convert episodes --out demos --embodiment aloha
    """

    sources: tyro.conf.Positional[tuple[Path, ...]]
    """Bags, folders of bags, HDF5 files or folders of them."""
    out: Path
    """Folder to write into."""
    to: Target = "jpeg"
    """jpeg: what training reads. films, raw: other published ALOHA layouts. lerobot: a dataset. bag: for viewing."""
    embodiment: str = "aloha"
    """Contract the episodes were recorded under: a name or a YAML file."""
    workers: int = 2
    """Processes."""
    instruction: str | None = None
    """Task of episodes that do not say it."""
    assume: Literal["success", "failure"] | None = None
    """Verdict on episodes nobody labelled; without it they are left out."""
    gap_steps: int = 0
    """Steps beyond a tolerance that an episode may have."""
    image_tolerance: float | None = None
    """Oldest image of a step [s]; by default what the live planner accepts."""
    state_tolerance: float | None = None
    """Oldest joint state of a step [s]; by default what the live executor accepts."""
    command_tolerance: float | None = None
    """Farthest command of a step [s]; by default what the arms' watchdog accepts."""
    split: Literal["train", "val"] = "train"
    """Folder of the films layout."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Convert; the exit status is 1 when something had to be left out."""
    contract = Embodiment.load(options.embodiment)
    if options.to == "lerobot":
        lerobot.require_pyarrow()
    sources, left_out = find_sources(options.sources)
    job = Job(options.out, options.to, contract, _reading(options, contract), options.instruction, options.split)
    left_out = [replace(item, reason=f"{item.reason}{set_aside_all(Path(item.source), job)}") for item in left_out]
    console = Console(stderr=True)
    done: list[Converted] = []
    results = track(_run(sources, job, options.workers), "converting", len(sources), console=console, transient=True)
    for result in results:
        if isinstance(result, LeftOut):
            left_out.append(result)
        else:
            done.append(result)
    done.sort(key=lambda item: item.source)
    summary = summarise(options, done, left_out)
    _print(console, summary, done, left_out)
    if options.json:
        print(json.dumps(summary), flush=True)
    if options.to == "lerobot":
        _assemble(options.out, contract, console)
    return 1 if left_out else 0


def _assemble(out: Path, contract: Embodiment, console: Console) -> None:
    """Make the dataset of all staged episodes, those of earlier runs as well; without one there is none any more."""
    names = lerobot.staged_names(out)
    if names:
        try:
            lerobot.assemble(out, names, contract)
        except OSError as error:
            raise RecordingError(
                f"{out}: the dataset cannot be put together ({error}). Free the disk and run the same command again: "
                "finished episodes are kept."
            ) from None
    elif sentence := lerobot.set_aside(out):
        console.print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)


def summarise(options: Options, done: list[Converted], left_out: list[LeftOut]) -> dict[str, Any]:
    """Count what was converted and what was not."""
    return {
        "out": str(options.out),
        "to": options.to,
        "converted": sum(not item.kept for item in done),
        "kept": sum(item.kept for item in done),
        "left_out": len(left_out),
        "unlabelled": sum("has no label" in item.reason for item in left_out),
        "unfinished": sum("is unfinished" in item.reason for item in left_out),
        "steps": sum(item.steps for item in done),
        "successes": sum(item.success for item in done),
        "episodes": [asdict(item) for item in done],
        "reasons": [asdict(item) for item in left_out],
    }


def _reading(options: Options, contract: Embodiment) -> Reading:
    usual = Tolerances.of(contract) if contract.arms else Tolerances(0.0, 0.0, 0.0)  # without arms there are no bags
    tolerances = Tolerances(
        usual.image if options.image_tolerance is None else options.image_tolerance,
        usual.state if options.state_tolerance is None else options.state_tolerance,
        usual.command if options.command_tolerance is None else options.command_tolerance,
    )
    assume = None if options.assume is None else options.assume == "success"
    return Reading(tolerances, options.gap_steps, assume)


def _run(sources: list[Source], job: Job, workers: int) -> Iterator[Result]:
    if workers <= 1 or len(sources) <= 1:
        yield from (convert(source, job) for source in sources)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(sources)), mp_context=context, initializer=die_with_parent) as pool:
        futures: list[Future[Result]] = [pool.submit(partial(convert, source, job)) for source in sources]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise RecordingError(
                f"{job.out}: a converting process was killed or crashed. Run the same command again: finished episodes "
                "are kept. Use fewer --workers where memory is short."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _print(console: Console, summary: dict[str, Any], done: list[Converted], left_out: list[LeftOut]) -> None:
    for item in done:
        for note in item.notes:
            console.print(f"{item.source}: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    for broken in left_out:
        console.print(f"left out: {broken.reason}", style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{summary['out']}: {summary['converted']} episodes converted, {summary['kept']} kept from before, "
        f"{summary['steps']} steps, {summary['successes']} successes; left out: {summary['left_out']}"
        f" ({summary['unlabelled']} without a label, {summary['unfinished']} unfinished).",
        markup=False,
        soft_wrap=True,
    )
