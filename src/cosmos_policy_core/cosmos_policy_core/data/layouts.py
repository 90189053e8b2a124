"""Folders of episodes in any known layout: what is there, what is sound, and what was left out and why.

The layout of a file is told by what is inside it. All readers give the same `Episode`, with images still on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py

from cosmos_policy_core.data import aloha, benchmarks, fields, hdf5
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError

Layout = Literal["jpeg rollout", "aloha raw", "aloha preprocessed", "benchmark demos", "benchmark rollout"]
Split = Literal["train", "val"]


@dataclass(frozen=True)
class Entry:
    """One episode somewhere on disk, not read yet; `inside` names it in a file of many."""

    path: Path
    layout: Layout
    inside: str = ""

    @property
    def where(self) -> str:
        """Name of the episode in messages."""
        return f"{self.path}: data/{self.inside}" if self.inside else str(self.path)

    def read(self, contract: Embodiment, instruction: str | None = None) -> Episode:
        """Read the episode; images stay on disk until they are asked for.

        Raises:
            EpisodeError: naming file and fault.
        """
        if self.layout == "jpeg rollout":
            return hdf5.read_episode(self.path, contract)
        if self.layout == "benchmark demos":
            return benchmarks.read_demo(self.path, self.inside, contract)
        if self.layout == "benchmark rollout":
            return benchmarks.read_rollout(self.path, contract)
        return aloha.read(self.path, contract, instruction)


@dataclass(frozen=True)
class LeftOut:
    """A broken episode, and the sentence that says what is wrong with it."""

    source: str
    reason: str


def files(folder: Path, split: Split | None = None) -> list[Path]:
    """List the HDF5 files below a folder, or the folder itself if it is a file.

    Args:
        split: take only files below a folder of that name, as the published data has them.

    Raises:
        EpisodeError: when there are none.
    """
    folder = Path(folder)
    if folder.is_file():
        return [folder]
    found = sorted(path for ending in ("*.hdf5", "*.h5") for path in folder.rglob(ending))
    found = [path for path in found if not path.name.startswith(".")]
    if split is not None:
        found = [path for path in found if _is_of(path, split, folder)]
    if not found:
        part = f" in a folder '{split}'" if split else ""
        raise EpisodeError(
            f"{folder}: holds no .hdf5 file{part}. Give the folder of the episodes, or collect some with "
            f"`cosmos-policy collect-demos --out {folder}`."
        )
    return found


def entries(path: Path) -> list[Entry]:
    """List the episodes of a file.

    Raises:
        EpisodeError: when it is not readable or of no known layout.
    """
    with fields.opened(path) as file:
        if "data" in file and isinstance(file["data"], h5py.Group):
            names = benchmarks.demo_names(file)
            if not names:
                raise EpisodeError(f"{path}: 'data' holds no demo_<number>. Leave the file out.")
            return [Entry(path, "benchmark demos", name) for name in names]
        if "actions" in file and "proprio" in file:
            return [Entry(path, "benchmark rollout")]
        if aloha.FILMS in file:
            return [Entry(path, "aloha preprocessed")]
        if aloha.RAW in file:
            return [Entry(path, "aloha raw")]
        if any(name.endswith("_jpeg") for name in file) or "action" in file:
            return [Entry(path, "jpeg rollout")]
        inside = ", ".join(file) or "nothing"
    raise EpisodeError(f"{path}: holds {inside}, which is no known layout of episodes. Convert it or leave it out.")


def scan(folder: Path, split: Split | None = None) -> tuple[list[Entry], list[LeftOut]]:
    """List all episodes below a folder without reading them; files that cannot be told are left out."""
    found: list[Entry] = []
    left_out: list[LeftOut] = []
    for path in files(folder, split):
        try:
            found.extend(entries(path))
        except EpisodeError as error:
            left_out.append(LeftOut(str(path), str(error)))
    return found, left_out


def without_validation(found: Sequence[Entry], folder: Path) -> tuple[list[Entry], list[Entry]]:
    """Set the episodes of `val` folders aside where there are `train` folders as well, as the published data has them.

    Args:
        folder: what was scanned; a `val` folder itself is taken whole.

    Returns:
        Episodes to train on, and those set aside.
    """
    if not any(_is_of(entry.path, "train", folder) for entry in found):
        return list(found), []
    kept: list[Entry] = []
    aside: list[Entry] = []
    for entry in found:
        (aside if _is_of(entry.path, "val", folder) else kept).append(entry)
    return kept, aside


def _is_of(path: Path, split: Split, folder: Path) -> bool:
    """Tell whether a file lies in a folder of that name, `folder` itself included."""
    return split in path.relative_to(folder.parent).parts[:-1]


def read_all(
    found: Sequence[Entry], contract: Embodiment, instruction: str | None = None
) -> Iterator[Episode | LeftOut]:
    """Read episodes one by one; a broken one is handed out as what is wrong with it."""
    for entry in found:
        try:
            yield entry.read(contract, instruction)
        except EpisodeError as error:
            yield LeftOut(entry.where, str(error))


def read_folder(
    folder: Path, contract: Embodiment, split: Split | None = None, instruction: str | None = None
) -> tuple[list[Episode], list[LeftOut]]:
    """Read every episode below a folder, in any known layout; broken ones are named and left out.

    Numbers are in memory afterwards, images are not.

    Raises:
        EpisodeError: when not one episode is left.
    """
    found, left_out = scan(folder, split)
    results = list(read_all(found, contract, instruction))
    episodes = [result for result in results if isinstance(result, Episode)]
    left_out += [result for result in results if isinstance(result, LeftOut)]
    if not episodes:
        raise EpisodeError(f"{folder}: no readable episode ({len(left_out)} left out). First: {left_out[0].reason}")
    return episodes, left_out
