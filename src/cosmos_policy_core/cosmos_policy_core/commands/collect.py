"""`cosmos-policy collect-demos`: the scripted expert records demonstrations in simulation."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cosmos_policy_core.data.collection import Collector, Diversity, check_seeds, check_task
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.hdf5 import episode_path, episode_paths, read_episode, write_episode
from cosmos_policy_core.data.statistics import FILE_NAME, Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError, SimulatorError
from cosmos_policy_core.workers import die_with_parent


@dataclass(frozen=True)
class Options:
    """Let the scripted expert record demonstrations in simulation.

    One file per seed; finished seeds are skipped, so an interrupted run is continued by the same command.
    Failures of the expert are kept and marked: they teach the world model and the value function, not the policy.

    Example:
        cosmos-policy collect-demos --out demos --task candies_in_bowl --episodes 400

    Corrections of a policy, to train it on with (DAgger): it begins, the expert shows how to go on from there:
        cosmos-policy collect-demos --out corrections --task candies_in_bowl --episodes 300 --seed 10000
            --takeover nano_candies_in_bowl
    """

    out: Path
    """Folder for the episodes and dataset_statistics.json."""
    episodes: int = 100
    """Number of episodes."""
    seed: int = 0
    """Seed of the first episode; the others follow. Seeds 5000..9999 are kept for evaluation."""
    workers: int = 2
    """Processes."""
    embodiment: str = "aloha_sim"
    """Contract of a simulated robot: a name or a YAML file."""
    task: str = ""
    """Task of the simulated cell, such as transfer_cube or candies_in_bowl; the contract's own when left out."""
    steps: int = 150
    """Longest episode [control steps]."""
    tail: int = 15
    """Steps recorded after the first success."""
    takeover: str | None = None
    """Checkpoint that begins every episode, unrecorded, before the expert takes over; for tasks whose expert can go on
    from anywhere: candies_in_bowl. Give --out a folder of its own."""
    takeover_chunks: tuple[int, int] = (1, 4)
    """Fewest and most chunks that the checkpoint executes."""
    diversity: tyro.conf.OmitArgPrefixes[Diversity] = field(default_factory=Diversity)
    json: bool = False
    """Print a JSON object as the last line."""


@dataclass(frozen=True)
class Summary:
    """What a folder holds after a run; `successes` are its demonstrations."""

    out: str
    collected: int
    skipped: int
    successes: int
    failures: int
    steps: int
    seconds: float


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Record what is missing and summarise the folder."""
    console = Console(stderr=True)
    summary = collect(options, console)
    console.print(
        f"{summary.collected} episodes collected, {summary.skipped} found, in {summary.seconds:.0f} s; "
        f"{summary.out} now holds {summary.successes} successes and {summary.failures} failures."
    )
    if options.json:
        print(json.dumps(asdict(summary)))
    return 0


def collect(options: Options, console: Console) -> Summary:
    """Record every missing seed, then write the statistics of all successes in the folder.

    Raises:
        ConfigurationError: options out of range, or seeds kept for evaluation.
        EpisodeError: the folder holds an episode of another contract or task.
        SimulatorError: a process died.
    """
    seeds = range(options.seed, options.seed + options.episodes)
    if options.episodes < 1 or options.workers < 1 or options.steps < 1 or options.seed < 0:
        raise ConfigurationError("--episodes, --workers and --steps must be at least 1, and --seed not negative.")
    if not 1 <= options.takeover_chunks[0] <= options.takeover_chunks[1]:
        raise ConfigurationError("--takeover-chunks: give the fewest and the most chunks, both at least 1.")
    check_seeds(seeds)
    contract = Embodiment.load(options.embodiment)
    contract.sim_settings()  # refuse a contract of a real robot before any process starts
    options.out.mkdir(parents=True, exist_ok=True)
    existing = sorted(options.out.glob("episode_*.hdf5"))
    if existing:
        check_task(existing, contract, options.task)
    missing = [seed for seed in seeds if not episode_path(options.out, seed).exists()]
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("recording", total=len(seeds), completed=len(seeds) - len(missing))
        failures = 0
        for _, success in _record(options, missing):
            failures += not success
            progress.update(task, advance=1, description=f"recording ({failures} failed)" if failures else "recording")
    episodes = [read_episode(path, contract) for path in episode_paths(options.out)]
    write_statistics(options.out, episodes)
    successes = sum(episode.success for episode in episodes)
    return Summary(
        out=str(options.out),
        collected=len(missing),
        skipped=len(seeds) - len(missing),
        successes=successes,
        failures=len(episodes) - successes,
        steps=sum(len(episode) for episode in episodes),
        seconds=round(time.monotonic() - started, 1),
    )


def write_statistics(folder: Path, episodes: list[Episode]) -> None:
    """Write dataset_statistics.json over the successful episodes; without one there are no statistics."""
    demonstrations = [episode for episode in episodes if episode.success]
    if not demonstrations:
        (folder / FILE_NAME).unlink(missing_ok=True)
        return
    actions = np.concatenate([episode.actions for episode in demonstrations])
    proprio = np.concatenate([episode.proprio for episode in demonstrations])
    Statistics.of(actions, proprio).save(folder / FILE_NAME)


def _record(options: Options, seeds: list[int]) -> Iterator[tuple[int, bool]]:
    """Yield (seed, success) as episodes are finished."""
    if not seeds:
        return
    workers = min(options.workers, len(seeds))
    context = multiprocessing.get_context("spawn")  # a renderer does not survive a fork
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_Worker.start, initargs=(options,)) as pool:
        futures: list[Future[tuple[int, bool]]] = [pool.submit(_Worker.run, seed) for seed in seeds]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise SimulatorError(
                "a recording process was killed or crashed. Run the same command again: finished seeds are skipped."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Worker:
    """What one process holds: its cells, made once."""

    options: Options
    contract: Embodiment
    collector: Collector | None = None

    @classmethod
    def start(cls, options: Options) -> None:
        die_with_parent()
        cls.options, cls.contract = options, Embodiment.load(options.embodiment)

    @classmethod
    def run(cls, seed: int) -> tuple[int, bool]:
        if cls.collector is None:  # here and not at the start, where what is refused would pass for a crash
            cls.collector = _collector(cls.options, cls.contract)
        episode = cls.collector.record(seed)
        write_episode(episode_path(cls.options.out, seed), episode, cls.contract)
        return seed, episode.success


def _collector(options: Options, contract: Embodiment) -> Collector:
    lead = None
    if options.takeover is not None:
        from cosmos_policy_core.evaluation.takeover import PolicyLead  # torch, which plain demonstrations do without

        lead = PolicyLead(options.takeover, contract, options.takeover_chunks)
    return Collector(contract, options.diversity, options.steps, options.tail, options.task, lead)
