"""Turn episodes of one layout into another, one at a time, each whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cosmos_policy_core.data import aloha, hdf5, layouts, lerobot
from cosmos_policy_core.data.bags import from_episodes
from cosmos_policy_core.data.bags.episodes import ASSUMED, Reading, read_bag
from cosmos_policy_core.data.bags.reading import find_bags, is_bag, read_record
from cosmos_policy_core.data.bags.staging import cut_off
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.fields import opened, others
from cosmos_policy_core.data.layouts import Entry, LeftOut
from cosmos_policy_core.data.lerobot import OUTDATED
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CosmosPolicyError, EpisodeError, RecordingError

Target = Literal["jpeg", "films", "raw", "lerobot", "bag"]
# Attributes that tell what an episode file was made of: which version of it, and where it was.
DIGEST, MADE_OF = "source_digest", "source_path"


@dataclass(frozen=True)
class Source:
    """One episode to convert: a bag, or an entry of a file."""

    name: str
    path: Path
    entry: Entry | None = None

    @property
    def where(self) -> str:
        """Name of the episode in messages."""
        return str(self.path) if self.entry is None else self.entry.where

    @property
    def origin(self) -> str:
        """Where the episode is, from whichever folder the command is given."""
        return self.where.replace(str(self.path), str(self.path.resolve()), 1)

    def read(self, contract: Embodiment, reading: Reading, instruction: str | None) -> tuple[Episode, tuple[str, ...]]:
        """Read the episode, and what in it was odd; raises EpisodeError."""
        if self.entry is not None:
            return _judged(self.entry.read(contract, instruction), reading.assume), ()
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
        if path.is_dir() and not is_bag(path):
            left_out += [LeftOut(str(leftover.path), leftover.sentence) for leftover in cut_off(path)]
        if not is_bag(path) and (path.is_file() or any(path.rglob("*.hdf5")) or any(path.rglob("*.h5"))):
            entries, broken = layouts.scan(path)
            found += [Source(_entry_name(entry), entry.path, entry) for entry in entries]
            left_out += broken
    if not found and not left_out:
        raise EpisodeError(f"{', '.join(map(str, paths))}: holds neither bags nor HDF5 episodes. Give their folder.")
    names = [source.name for source in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        where = " and ".join(source.where for source in found if source.name == twice[0])
        raise EpisodeError(
            f"'{twice[0]}' is the name of several episodes: {where}. Convert them into folders of their own."
        )
    return sorted(found, key=lambda source: source.name), left_out


def convert(source: Source, job: Job) -> Converted | LeftOut:
    """Convert one episode, or keep what an earlier run made of it; a broken one is returned as what is wrong.

    Raises:
        RecordingError: the output cannot be written.
    """
    try:
        digest = source.digest(job.settings())
    except OSError as error:  # it was moved meanwhile, or is a link to nowhere
        return LeftOut(source.where, f"{source.where}: cannot be read ({error}). Check the path, or leave it out.")
    done = _done(source, job, digest)
    if done is not None:
        return done
    taken = _taken(source, job)
    if taken is not None:
        return LeftOut(source.where, taken)
    try:
        episode, notes = source.read(job.contract, job.reading, job.instruction)
    except Exception as error:  # a damaged file can break any part of any reader
        return _refused(source, job, error)
    about = {DIGEST: digest, MADE_OF: source.origin, "notes": list(notes)}
    try:
        replaced = _write(source, episode, job, about)
    except OSError as error:
        raise RecordingError(f"{output(source, job)}: cannot be written ({error}). Free the disk, repeat it.") from None
    except Exception as error:  # images are read while they are written, by readers that name a fault themselves
        return _refused(source, job, error)
    return Converted(source.where, len(episode), episode.success, float(episode.success_score), (*notes, *replaced))


def _refused(source: Source, job: Job, error: Exception) -> LeftOut:
    """Name what is wrong with a source, and put aside what was made of it before."""
    if isinstance(error, CosmosPolicyError):
        reason = str(error)
    else:
        reason = f"{source.where}: cannot be read ({error!r}). Leave it out, or record it again."
    return LeftOut(source.where, f"{reason}{set_aside(output(source, job))}")


def set_aside(path: Path) -> str:
    """Give what an earlier run made of a refused episode a name that no reader takes, and say so in a sentence."""
    if not path.exists():
        return ""
    ending = path.with_name(f"{path.name}{OUTDATED}")
    if path.is_dir():
        ending = path.with_name(f".{path.name}{OUTDATED}")  # of folders, those with a dot are passed over
        shutil.rmtree(ending, ignore_errors=True)
    os.replace(path, ending)
    return f" What was made of it before is now {ending}."


def set_aside_all(path: Path, job: Job) -> str:
    """Do so with everything that was made of a file of which no episode can be told any more."""
    folder, origin = output(Source("any", path), job).parent, str(path.resolve())
    made = folder.glob("[!.]*" if job.target in ("lerobot", "bag") else "episode_*.hdf5") if folder.is_dir() else ()
    sentences = []
    for found in sorted(made):
        maker = str((_facts(found, job) or {}).get(MADE_OF, ""))
        if maker == origin or maker.startswith(f"{origin}: "):
            sentences.append(set_aside(found))
    return "".join(sentences)


def _judged(episode: Episode, assume: bool | None) -> Episode:
    """Refuse an episode that nobody labelled, or give it the verdict that is assumed."""
    if episode.labelled:
        return episode
    if assume is None:
        raise EpisodeError(
            f"{episode.where}: has no label: nobody said what came of it. Give --assume success for demonstrations, or "
            "write the attribute 'success' into it."
        )
    extra = {**episode.extra, "judge": ASSUMED}
    return replace(episode, success=assume, success_score=float(assume), labelled=True, extra=extra)


def _taken(source: Source, job: Job) -> str | None:
    """Say whether a name in the output folder belongs to another episode than this one."""
    path = output(source, job)
    facts = _facts(path, job)
    if facts is None:
        return None
    if DIGEST not in facts:
        return f"{source.where}: {path} is there already and was not made by convert. Give another --out."
    maker = str(facts.get(MADE_OF) or source.origin)  # older conversions do not say it
    if maker == source.origin:
        return None
    return f"{source.where}: {path} was made of {maker}. Give another --out, or delete it if that was moved here."


def output(source: Source, job: Job) -> Path:
    """Name what an episode becomes."""
    if job.target == "lerobot":
        return job.out / lerobot.STAGING / source.name
    if job.target == "bag":
        return job.out / source.name
    folder = job.out / job.split if job.target == "films" else job.out
    return folder / f"episode_{source.name}.hdf5"


def _write(source: Source, episode: Episode, job: Job, about: dict[str, Any]) -> list[str]:
    """Write an episode; returns a sentence about what had its name before, where that is kept."""
    path = output(source, job)
    if job.target == "lerobot":
        lerobot.stage(job.out, source.name, episode, job.contract, {**about, "steps": len(episode)})
        return []
    if job.target == "bag":
        replaced = set_aside(path).strip()  # made of an older version, and perhaps labelled by hand since
        from_episodes.write_bag(job.out, source.name, episode, job.contract, about[MADE_OF], about[DIGEST])
        return [replaced] if replaced else []
    episode = replace(episode, extra={**episode.extra, **about, "notes": json.dumps(about["notes"])})
    if job.target == "jpeg":
        hdf5.write_episode(path, episode, job.contract)
    elif job.target == "raw":
        aloha.write_raw(path, episode, job.contract)
    else:
        aloha.write_preprocessed(path.parent, source.name, episode, job.contract)
    return []


def _done(source: Source, job: Job, digest: str) -> Converted | None:
    """Tell what an earlier run made of the same source with the same settings."""
    facts = _facts(output(source, job), job)
    if facts is None or facts.get(DIGEST) != digest:
        return None
    notes = facts.get("notes") or []
    notes = tuple(json.loads(notes) if isinstance(notes, str) else notes)
    success, score = bool(facts["success"]), float(facts["success_score"])
    return Converted(source.where, int(facts["steps"]), success, score, notes, kept=True)


def _facts(path: Path, job: Job) -> dict[str, Any] | None:
    """Read what an earlier run noted about an output; None where there is none."""
    if job.target == "lerobot":
        return lerobot.staged(job.out, path.name)
    return _bag_facts(path) if job.target == "bag" else _file_facts(path)


def _file_facts(path: Path) -> dict[str, Any] | None:
    try:
        with opened(path) as file:
            return {**others(file, ("embodiment",), path), "steps": len(file["action"])}
    except EpisodeError:
        return None


def _bag_facts(path: Path) -> dict[str, Any] | None:
    """The same of a bag; a recording, or a folder that cannot be told, is no bag of ours."""
    if not path.exists():
        return None
    try:
        record = read_record(path)
    except EpisodeError:
        return {}
    if not record.made_of:
        return {}
    outcome = record.outcome
    return {
        DIGEST: record.made_of_version,
        MADE_OF: record.made_of,
        "success": outcome is not None and outcome.success,
        "success_score": outcome.score if outcome is not None else 0.0,
        "steps": 0,
    }


def _entry_name(entry: Entry) -> str:
    name = entry.path.stem.removeprefix("episode_")
    return f"{name}_{entry.inside}" if entry.inside else name
