"""Recordings appear under their final name whole or not at all, and what is left of a broken one can be found.

While it is recorded, an episode is `<folder>/.recording/<id>/`, with what is known about it beside it in `<id>.json`.
Once everything is on the disk it is renamed to `<folder>/<id>/`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

from cosmos_policy_core.data.bags.record import EpisodeRecord
from cosmos_policy_core.errors import EpisodeError, RecordingError

FOLDER = ".recording"
METADATA = "metadata.yaml"
ROOT = "rosbag2_bagfile_information"
MAGIC = b"\x89MCAP0\r\n"  # at both ends of a whole MCAP file


class Staging:
    """One episode between its first message and its final name.

    Raises:
        RecordingError: the folder cannot be written, or holds an episode of that name.
    """

    def __init__(self, folder: Path, record: EpisodeRecord) -> None:
        self.final = folder / record.episode_id
        self.path = folder / FOLDER / record.episode_id
        self._note = self.path.with_name(f"{record.episode_id}.json")
        if self.final.exists() or self.path.exists():
            raise RecordingError(f"{self.final}: exists already. Give the episode another name.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _write_and_sync(self._note, json.dumps(record.custom_data(), indent=1))
        except OSError as error:
            raise RecordingError(f"{folder}: cannot be recorded into ({error}). Free or choose another disk.") from None

    @classmethod
    def resume(cls, path: Path) -> Staging:
        """Take up a staged episode where an earlier process left it."""
        staging = cls.__new__(cls)
        staging.path, staging.final = path, path.parent.parent / path.name
        staging._note = path.with_name(f"{path.name}.json")
        return staging

    def publish(self, record: EpisodeRecord) -> Path:
        """Give a closed bag its record and its final name, once all of it is on the disk.

        Raises:
            RecordingError: the disk refused; the staged files are kept.
        """
        try:
            write_custom_data(self.path, record.custom_data())
            for file in self.path.iterdir():
                _sync(file)
            _sync(self.path)
            os.rename(self.path, self.final)
            _sync(self.final.parent)
            self._note.unlink(missing_ok=True)
        except OSError as error:
            raise RecordingError(f"{self.path}: cannot be finished ({error}). {remedy(self.path)}") from None
        return self.final

    def discard(self) -> None:
        """Delete what was recorded."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._note.unlink(missing_ok=True)


@dataclass(frozen=True)
class Leftover:
    """An episode whose recording never ended, and what was known about it when it began."""

    path: Path
    record: EpisodeRecord
    size: int

    @property
    def sentence(self) -> str:
        """Say what is there and what to do about it."""
        task = f" ({self.record.instruction})" if self.record.instruction else ""
        size = f"{self.size / 1e6:.0f} MB"
        return f"{self.path}: is unfinished: an episode{task} was cut off after {size}. {remedy(self.path)}"


def remedy(path: Path) -> str:
    """Name the commands for an unfinished recording."""
    return f"Save what is in it with `cosmos-policy recover {path}`, or delete the folder."


def publish_closed(folder: Path) -> list[Path]:
    """Give episodes their final name that were closed, but not yet brought to the disk, when their recorder was killed.

    Ask only while nobody records into the folder.

    Raises:
        RecordingError: the disk refuses.
    """
    published = []
    for path in sorted((folder / FOLDER).glob("*/")):
        record = _closed(path)
        if record is not None and not (folder / path.name).exists():
            published.append(Staging.resume(path).publish(record))
    return published


def _closed(path: Path) -> EpisodeRecord | None:
    """Read the record of a staged bag that has its metadata and whose files end as they should."""
    files = list(path.glob("*.mcap"))
    try:
        content = yaml.safe_load((path / METADATA).read_text())[ROOT]
        whole = bool(files) and all(_ends_whole(file) for file in files)
        named = {file.name for file in files} == set(content["relative_file_paths"])
        data = content.get("custom_data") or {}
        found = EpisodeRecord.from_custom_data({key: str(value) for key, value in data.items()}, str(path))
    except (OSError, yaml.YAMLError, KeyError, TypeError, EpisodeError):
        return None
    if not (whole and named):
        return None
    return found if found.episode_id else noted(path)


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as opened:
        opened.seek(-len(MAGIC), os.SEEK_END)
        return opened.read() == MAGIC


def leftovers(folder: Path) -> list[Leftover]:
    """Find episodes below a folder whose recording never ended; ask only while nobody records into it."""
    found = []
    for path in sorted((folder / FOLDER).glob("*/")):
        files = [file for file in path.rglob("*") if file.is_file()]
        found.append(Leftover(path, noted(path), sum(file.stat().st_size for file in files)))
    return found


def cut_off(folder: Path) -> list[Leftover]:
    """Find episodes anywhere below a folder whose recording never ended, where nobody records now."""
    places = sorted(path.parent for path in folder.rglob(FOLDER) if path.is_dir())
    return [leftover for place in places if not _is_recorded_into(place) for leftover in leftovers(place)]


def _is_recorded_into(folder: Path) -> bool:
    try:
        with (folder / FOLDER / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # let go of as the file is closed
    except BlockingIOError:
        return True
    except OSError:  # no recorder was ever here, or its lock is not for us to read
        return False
    return False


def noted(path: Path) -> EpisodeRecord:
    """Read the note beside a staged episode; one that was torn as well is empty."""
    try:
        return EpisodeRecord.from_custom_data(json.loads(path.with_name(f"{path.name}.json").read_text()), str(path))
    except (OSError, ValueError, EpisodeError):
        return EpisodeRecord(episode_id=path.name)


class FolderLock:
    """Keep a second recorder out of a folder; the lock ends with the process, however that ends.

    Raises:
        RecordingError: another recorder is at work here, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._file: IO[str] | None = None
        try:
            (folder / FOLDER).mkdir(parents=True, exist_ok=True)
            self._file = (folder / FOLDER / "lock").open("w")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordingError(f"{folder}: another recorder writes here. Stop it or use another folder.") from None
        except OSError as error:
            raise RecordingError(f"{folder}: cannot be recorded into ({error}). Free or choose another disk.") from None

    def release(self) -> None:
        """Let others in."""
        if self._file is not None:
            self._file.close()
            self._file = None


def write_custom_data(bag: Path, data: Mapping[str, str]) -> None:
    """Replace entries of a bag's custom data; the metadata file is exchanged whole.

    Raises:
        OSError: the file cannot be read or written.
        RecordingError: it is no metadata of a bag.
    """
    path = bag / METADATA
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or ROOT not in content:
        raise RecordingError(f"{path}: is not the metadata of a bag. {remedy(bag)}")
    information = content[ROOT]
    information["custom_data"] = {**(information.get("custom_data") or {}), **data}
    partial = path.with_name(f".{METADATA}.{os.getpid()}.partial")
    try:
        _write_and_sync(partial, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        os.replace(partial, path)
        _sync(bag)
    finally:
        partial.unlink(missing_ok=True)


def _write_and_sync(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
