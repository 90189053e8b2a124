"""Turn episodes of one layout into another, one at a time, each whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cosmos_policy_core.data import aloha, hdf5, layouts, lerobot
from cosmos_policy_core.data.bags import from_episodes
from cosmos_policy_core.data.bags.episodes import Reading, read_bag
from cosmos_policy_core.data.bags.reading import find_bags, is_bag, read_record
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.fields import opened, plain
from cosmos_policy_core.data.layouts import Entry, LeftOut
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CosmosPolicyError, EpisodeError, RecordingError

Target = Literal["jpeg", "films", "raw", "lerobot", "bag"]
DIGEST = "source_digest"  # attribute that tells what an episode file was made of


@dataclass(frozen=True)
class Source:
    """One episode to convert: a bag, or an entry of a file."""

    name: str
    path: Path
    entry: Entry | None = None

    def read(self, contract: Embodiment, reading: Reading, instruction: str | None) -> tuple[Episode, tuple[str, ...]]:
        """Read the episode, and what in it was odd; raises EpisodeError."""
        if self.entry is not None:
            return self.entry.read(contract, instruction), ()
        found = read_bag(self.path, contract, reading)
        episode = found.episode
        if not episode.instruction and instruction:
            episode = replace(episode, instruction=instruction)
        return episode, found.notes

    def digest(self, settings: str) -> str:
        """Tell versions of the source apart, cheaply: a label that changes changes it too."""
        files = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
        total = hashlib.sha256(settings.encode())
        for file in files:
            state = file.stat()
            total.update(f"{file.name} {state.st_size} {state.st_mtime_ns};".encode())
        return total.hexdigest()[:16]


@dataclass(frozen=True)
class Job:
    """Where episodes go and how they are read; picklable."""

    out: Path
    target: Target
    contract: Embodiment
    reading: Reading = field(default_factory=Reading)
    instruction: str | None = None
    split: str = "train"

    def settings(self) -> str:
        """Everything that changes what an episode becomes."""
        return f"{self.target} {self.reading} {self.instruction} {self.contract.to_yaml()}"


@dataclass(frozen=True)
class Converted:
    """What became of one episode; `kept` when an earlier run had made it already."""

    source: str
    steps: int
    success: bool
    success_score: float
    notes: tuple[str, ...] = ()
    kept: bool = False


def find_sources(paths: Sequence[Path]) -> tuple[list[Source], list[LeftOut]]:
    """List the episodes below some paths, bags and files alike; what cannot be told is left out and named.

    Raises:
        EpisodeError: a path does not exist, there is nothing below the paths, or two episodes have one name.
    """
    found: list[Source] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if not path.exists():
            raise EpisodeError(f"{path}: no such file or folder. Check the path.")
        bags = [] if path.is_file() else find_bags(path)
        found += [Source(bag.name, bag) for bag in bags]
        if not is_bag(path) and (path.is_file() or any(path.rglob("*.hdf5")) or any(path.rglob("*.h5"))):
            entries, broken = layouts.scan(path)
            found += [Source(_entry_name(entry), entry.path, entry) for entry in entries]
            left_out += broken
    if not found and not left_out:
        raise EpisodeError(f"{', '.join(map(str, paths))}: holds neither bags nor HDF5 episodes. Give their folder.")
    names = [source.name for source in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EpisodeError(f"'{twice[0]}' is the name of several episodes. Convert their folders one by one.")
    return sorted(found, key=lambda source: source.name), left_out


def convert(source: Source, job: Job) -> Converted | LeftOut:
    """Convert one episode, or keep what an earlier run made of it; a broken one is returned as what is wrong.

    Raises:
        RecordingError: the output cannot be written.
    """
    digest = source.digest(job.settings())
    done = _done(source, job, digest)
    if done is not None:
        return done
    try:
        episode, notes = source.read(job.contract, job.reading, job.instruction)
        _write(source, episode, job, {DIGEST: digest, "notes": list(notes)})
    except CosmosPolicyError as error:
        return LeftOut(str(source.path), str(error))
    except OSError as error:
        raise RecordingError(f"{output(source, job)}: cannot be written ({error}). Free the disk, repeat it.") from None
    return Converted(str(source.path), len(episode), episode.success, float(episode.success_score), notes)


def output(source: Source, job: Job) -> Path:
    """Name what an episode becomes."""
    if job.target == "lerobot":
        return job.out / lerobot.STAGING / source.name
    if job.target == "bag":
        return job.out / source.name
    folder = job.out / job.split if job.target == "films" else job.out
    return folder / f"episode_{source.name}.hdf5"


def _write(source: Source, episode: Episode, job: Job, about: dict[str, Any]) -> None:
    path = output(source, job)
    if job.target == "lerobot":
        lerobot.stage(job.out, source.name, episode, job.contract, {**about, "steps": len(episode)})
        return
    if job.target == "bag":
        from_episodes.write_bag(job.out, source.name, episode, job.contract)
        return
    episode = replace(episode, extra={**episode.extra, DIGEST: about[DIGEST], "notes": json.dumps(about["notes"])})
    if job.target == "jpeg":
        hdf5.write_episode(path, episode, job.contract)
    elif job.target == "raw":
        aloha.write_raw(path, episode, job.contract)
    else:
        aloha.write_preprocessed(path.parent, source.name, episode, job.contract)


def _done(source: Source, job: Job, digest: str) -> Converted | None:
    """Tell what an earlier run made of the same source with the same settings."""
    path = output(source, job)
    if job.target == "lerobot":
        facts = lerobot.staged(job.out, source.name)
    elif job.target == "bag":
        facts = _bag_facts(path)
        digest = facts[DIGEST] if facts else digest  # a bag is for viewing; it is made once
    else:
        facts = _file_facts(path)
    if facts is None or facts.get(DIGEST) != digest:
        return None
    notes = facts.get("notes") or []
    notes = tuple(json.loads(notes) if isinstance(notes, str) else notes)
    success, score = bool(facts["success"]), float(facts["success_score"])
    return Converted(str(source.path), int(facts["steps"]), success, score, notes, kept=True)


def _file_facts(path: Path) -> dict[str, Any] | None:
    try:
        with opened(path) as file:
            facts: dict[str, Any] = {name: plain(file.attrs[name]) for name in file.attrs if name != "embodiment"}
            return {**facts, "steps": len(file["action"])}
    except EpisodeError:
        return None


def _bag_facts(path: Path) -> dict[str, Any] | None:
    try:
        outcome = read_record(path).outcome
    except EpisodeError:
        return None
    if outcome is None:
        return None
    return {DIGEST: "", "success": outcome.success, "success_score": outcome.score, "steps": 0}


def _entry_name(entry: Entry) -> str:
    name = entry.path.stem.removeprefix("episode_")
    return f"{name}_{entry.inside}" if entry.inside else name
