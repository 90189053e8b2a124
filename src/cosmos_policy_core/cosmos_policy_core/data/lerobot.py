"""Episodes as a LeRobot dataset of version 3: parquet for numbers, MP4 for images, JSON and parquet about them.

Episodes are staged one by one, each whole or not at all, and put together in the order of their names; so workers may
stage in parallel, and an interrupted conversion goes on. Every episode keeps files of its own, which the format allows.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.frames import pictures
from cosmos_policy_core.data.lerobot_meta import CHUNK, Stats, image_key, image_stats, info, number_stats
from cosmos_policy_core.data.mp4 import Picture, write_mp4
from cosmos_policy_core.data.provenance import check_contract
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError, EpisodeError

STAGING = ".staging"
META = "meta"
PARTS = ("data", "videos", META)  # in the order in which they appear
OUTDATED = ".outdated"  # ending of what holds episodes that are refused now; no reader takes it
OPTIONS = {"g": "2", "crf": "18", "preset": "veryfast"}  # a key frame for every other: random access


def require_pyarrow() -> Any:
    """Import pyarrow, which only this layout needs.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(
            "LeRobot datasets need pyarrow. Install it: pip install 'pyarrow>=19' (or cosmos_policy_core[lerobot])."
        ) from None
    return pyarrow


# Staging --------------------------------------------------------------------------------------------------------------


def stage(out: Path, name: str, episode: Episode, contract: Embodiment, about: Mapping[str, Any]) -> None:
    """Encode one episode; it waits in `<out>/.staging/<name>` for :func:`assemble`.

    Args:
        about: kept with the episode, for example what it was made of.

    Raises:
        EpisodeError: an image is damaged.
    """
    final = out / STAGING / name
    partial = final.with_name(f".{name}.{os.getpid()}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    try:
        histograms, sizes = {}, {}
        for camera in contract.camera_names:
            counter = _Histogram()
            frames = counter.watch(pictures(episode.jpegs[camera], f"{episode.where}: {camera}"))
            write_mp4(partial / f"{camera}.mp4", frames, contract.control_rate, "libx264", OPTIONS)
            histograms[camera], sizes[camera] = counter.counts, counter.size
        numbers: dict[str, Any] = {"actions": episode.actions, "proprio": episode.proprio, **histograms}
        np.savez(partial / "numbers.npz", **numbers)
        facts = {
            "instruction": episode.instruction,
            "success": episode.success,
            "success_score": float(episode.success_score),
            "sizes": sizes,
            "embodiment": contract.to_yaml(),
            **about,
        }
        (partial / "episode.json").write_text(json.dumps(facts))
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def staged(out: Path, name: str) -> dict[str, Any] | None:
    """Return what is known about a staged episode, or None where there is none."""
    try:
        facts: dict[str, Any] = json.loads((out / STAGING / name / "episode.json").read_text())
    except (OSError, ValueError):
        return None
    return facts


class _Histogram:
    """Count the grey levels of every channel while pictures pass by."""

    def __init__(self) -> None:
        self.counts = np.zeros((3, 256), dtype=np.int64)
        self.size = (0, 0)

    def watch(self, frames: Iterator[Picture]) -> Iterator[Picture]:
        for picture in frames:
            self.size = (int(picture.shape[0]), int(picture.shape[1]))
            for channel in range(3):
                self.counts[channel] += np.bincount(picture[..., channel].reshape(-1), minlength=256)
            yield picture


# Assembly -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Staged:
    folder: Path
    facts: dict[str, Any]
    actions: NDArray[np.float32]
    proprio: NDArray[np.float32]
    histograms: dict[str, NDArray[np.int64]]

    @classmethod
    def load(cls, folder: Path, cameras: tuple[str, ...]) -> _Staged:
        with np.load(folder / "numbers.npz") as numbers:
            histograms = {camera: numbers[camera] for camera in cameras}
            facts = json.loads((folder / "episode.json").read_text())
            return cls(folder, facts, numbers["actions"], numbers["proprio"], histograms)

    def __len__(self) -> int:
        return len(self.actions)


def staged_names(out: Path) -> list[str]:
    """List the staged episodes of a dataset, of this run and of earlier ones."""
    folder = out / STAGING
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in found if path.is_dir() and not path.name.startswith("."))


def assemble(out: Path, names: list[str], contract: Embodiment) -> int:
    """Make the dataset of staged episodes and return its frames; an older dataset in the folder is replaced.

    Raises:
        EpisodeError: an episode is of another contract, cameras changed their size between episodes, or there is no
            episode.
    """
    arrow = require_pyarrow()
    cameras = contract.camera_names
    if not names:
        raise EpisodeError(f"{out}: not one episode could be converted, so there is no dataset.")
    for name in names:
        check_contract(str((staged(out, name) or {}).get("embodiment", "")), out / STAGING / name, contract)
    episodes = [_Staged.load(out / STAGING / name, cameras) for name in sorted(names)]
    _check_sizes(episodes, cameras)
    fresh = out / ".dataset.partial"
    shutil.rmtree(fresh, ignore_errors=True)
    tasks = {task: index for index, task in enumerate(sorted({str(e.facts["instruction"]) for e in episodes}))}
    rows, first = [], 0
    for index, episode in enumerate(episodes):
        columns = _columns(episode, index, first, tasks, contract)
        _write_parquet(arrow, fresh / _file("data", index, "parquet"), columns)
        for camera in cameras:
            _link(episode.folder / f"{camera}.mp4", fresh / _file(f"videos/{image_key(camera)}", index, "mp4"))
        rows.append(_row(episode, index, first, columns, contract))
        first += len(episode)
    _write_parquet(arrow, fresh / _file("meta/episodes", 0, "parquet"), _transposed(rows))
    _write_tasks(arrow, fresh / "meta/tasks.parquet", tasks)
    (fresh / "meta/stats.json").write_text(json.dumps(_all_stats(episodes, tasks, contract), indent=2))
    about = info(len(episodes), first, len(tasks), episodes[0].facts["sizes"], contract)
    (fresh / "meta/info.json").write_text(json.dumps(about, indent=4))
    _replace(out, fresh)
    return first


def set_aside(out: Path) -> str:
    """Take a dataset of which no episode is left out of use, and say so in a sentence; its other files stay."""
    if not (out / META).exists():
        return ""
    ending = _outdated(out)
    shutil.rmtree(ending, ignore_errors=True)
    os.replace(out / META, ending)
    return f"{out}: no episode of the dataset is left. Its description is now {ending}."


def _outdated(out: Path) -> Path:
    return out / f".{META}{OUTDATED}"


def _replace(out: Path, fresh: Path) -> None:
    """Put new parts in the place of old ones. Without its description a folder is no dataset: first out, last in."""
    set_aside(out)
    for part in PARTS:
        if (out / part).exists():
            shutil.rmtree(out / part)
        os.replace(fresh / part, out / part)
    fresh.rmdir()
    shutil.rmtree(_outdated(out), ignore_errors=True)


def _columns(
    episode: _Staged, index: int, first: int, tasks: Mapping[str, int], contract: Embodiment
) -> dict[str, NDArray[Any]]:
    length = len(episode)
    steps = np.arange(length, dtype=np.int64)
    return {
        "observation.state": episode.proprio.astype(np.float32),
        "action": episode.actions.astype(np.float32),
        "timestamp": (steps / contract.control_rate).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full(length, index, dtype=np.int64),
        "index": first + steps,
        "task_index": np.full(length, tasks[str(episode.facts["instruction"])], dtype=np.int64),
    }


def _row(
    episode: _Staged, index: int, first: int, columns: Mapping[str, NDArray[Any]], contract: Embodiment
) -> dict[str, Any]:
    """Describe one episode, its place in the files and its statistics."""
    row: dict[str, Any] = {
        "episode_index": index,
        "tasks": [str(episode.facts["instruction"])],
        "length": len(episode),
        "success": bool(episode.facts["success"]),
        "success_score": float(episode.facts["success_score"]),
        "source": episode.folder.name,
        "data/chunk_index": index // CHUNK,
        "data/file_index": index % CHUNK,
        "dataset_from_index": first,
        "dataset_to_index": first + len(episode),
    }
    stats = {name: number_stats(values) for name, values in columns.items()}
    for camera in contract.camera_names:
        row[f"videos/{image_key(camera)}/chunk_index"] = index // CHUNK
        row[f"videos/{image_key(camera)}/file_index"] = index % CHUNK
        row[f"videos/{image_key(camera)}/from_timestamp"] = 0.0
        row[f"videos/{image_key(camera)}/to_timestamp"] = len(episode) / contract.control_rate
        stats[image_key(camera)] = image_stats(episode.histograms[camera], len(episode))
    row |= {f"stats/{name}/{kind}": value for name, kinds in stats.items() for kind, value in kinds.items()}
    return row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}


def _all_stats(episodes: list[_Staged], tasks: Mapping[str, int], contract: Embodiment) -> dict[str, Stats]:
    parts, first = [], 0
    for index, episode in enumerate(episodes):
        parts.append(_columns(episode, index, first, tasks, contract))
        first += len(episode)
    stats = {name: number_stats(np.concatenate([part[name] for part in parts])) for name in parts[0]}
    for camera in contract.camera_names:
        total = np.sum([episode.histograms[camera] for episode in episodes], axis=0)
        stats[image_key(camera)] = image_stats(total, first)
    return stats


def _check_sizes(episodes: list[_Staged], cameras: tuple[str, ...]) -> None:
    for camera in cameras:
        sizes = {tuple(episode.facts["sizes"][camera]): episode.folder.name for episode in episodes}
        if len(sizes) > 1:
            listed = ", ".join(f"{width}x{height} in {name}" for (height, width), name in sizes.items())
            raise EpisodeError(f"{camera}: images differ in size ({listed}). Convert them into datasets of their own.")


def _file(folder: str, index: int, ending: str) -> str:
    return f"{folder}/chunk-{index // CHUNK:03d}/file-{index % CHUNK:03d}.{ending}"


def _link(source: Path, target: Path) -> None:
    """Give a film a second name, or copy it where the file system knows no such thing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _transposed(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _write_parquet(arrow: Any, path: Path, columns: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {name: _column(arrow, values) for name, values in columns.items()}
    arrow.parquet.write_table(arrow.table(table), path)


def _column(arrow: Any, values: Any) -> Any:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return arrow.FixedSizeListArray.from_arrays(arrow.array(values.reshape(-1)), values.shape[1])
    return arrow.array(values)


def _write_tasks(arrow: Any, path: Path, tasks: Mapping[str, int]) -> None:
    """Write the tasks as pandas writes a table whose index is the task in words."""
    table = arrow.table({"task_index": list(tasks.values()), "__index_level_0__": list(tasks)})
    index = [{"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}]
    columns = [
        {
            "name": name,
            "field_name": field,
            "pandas_type": kind,
            "numpy_type": numpy,
            "metadata": None,
        }
        for name, field, kind, numpy in (
            ("task_index", "task_index", "int64", "int64"),
            (None, "__index_level_0__", "unicode", "object"),
        )
    ]
    about = {"index_columns": ["__index_level_0__"], "column_indexes": index, "columns": columns}
    path.parent.mkdir(parents=True, exist_ok=True)
    arrow.parquet.write_table(table.replace_schema_metadata({"pandas": json.dumps(about)}), path)
