"""Episodes one after the other: begun, ended, thrown away, judged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from cosmos_policy_core.data.bags.record import TRANSPORT, WRITER, EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.staging import write_custom_data
from cosmos_policy_core.errors import RecordingError


class Tape(Protocol):
    """What an episode is written with: our own thread, or `ros2 bag record`."""

    dropped: dict[str, int]

    @property
    def failure(self) -> RecordingError | None: ...
    @property
    def path(self) -> Path: ...
    @property
    def written(self) -> dict[str, int]: ...
    def put(self, topic: str, stamp: int, data: bytes) -> None: ...
    def finish(self, record: EpisodeRecord) -> Path: ...
    def discard(self) -> None: ...


@dataclass
class Running:
    """The episode that is being recorded."""

    record: EpisodeRecord
    tape: Tape


@dataclass(frozen=True)
class Finished:
    """An episode under its final name, and its messages per topic."""

    record: EpisodeRecord
    path: Path
    written: dict[str, int]


class Session:
    """The running and the last episode; safe to use from several threads.

    Args:
        begin_tape: starts to write an episode.
        lost: messages per topic that never arrived, since the episode began.
    """

    def __init__(
        self, folder: Path, begin_tape: Callable[[EpisodeRecord], Tape], lost: Callable[[], dict[str, int]]
    ) -> None:
        self._folder, self._begin_tape, self._lost = folder, begin_tape, lost
        self._lock = threading.RLock()
        self.running: Running | None = None
        self.last: Finished | None = None

    def start(self, record: EpisodeRecord) -> Running:
        """Begin an episode; its name is the time, in UTC.

        Raises:
            RecordingError: one is running already, or the folder cannot be written.
        """
        with self._lock:
            if self.running is not None:
                raise RecordingError(f"{self.running.record.episode_id} is being recorded. Stop or discard it first.")
            now = datetime.now(timezone.utc)
            record = replace(record, episode_id=self._free_name(now), started=now.isoformat(timespec="seconds"))
            self.running = Running(record, self._begin_tape(record))
            return self.running

    def amend(self, change: Callable[[EpisodeRecord], EpisodeRecord]) -> None:
        """Change what is known about the running episode."""
        with self._lock:
            if self.running is not None:
                self.running.record = change(self.running.record)

    def stop(self, outcome: Outcome | None = None, comment: str = "") -> Finished:
        """End the episode and keep it; a verdict given while it ran stays, and what cut it short is noted.

        Raises:
            RecordingError: none is running, or it could not be written whole.
        """
        with self._lock:
            running = self._take()
            record = running.record
            if record.outcome is None and outcome is not None:
                record = record.labelled(outcome)
            if (failure := running.tape.failure) is not None:
                comment = f"{comment} Ended early: {failure}".strip()
            if comment:
                record = replace(record, comment=f"{record.comment} {comment}".strip())
            record = record.with_losses(TRANSPORT, self._lost())
            path = running.tape.finish(record)
            self.last = Finished(record.with_losses(WRITER, running.tape.dropped), path, running.tape.written)
            return self.last

    def discard(self) -> str:
        """Throw the running episode away; return its name.

        Raises:
            RecordingError: none is running.
        """
        with self._lock:
            running = self._take()
            running.tape.discard()
            return running.record.episode_id

    def label(self, outcome: Outcome, comment: str = "") -> EpisodeRecord:
        """Judge the running episode, else the last one.

        Raises:
            RecordingError: there is none, or its bag cannot be changed.
        """
        with self._lock:
            if self.running is not None:
                self.running.record = self.running.record.labelled(outcome, comment)
                return self.running.record
            if self.last is None:
                raise RecordingError("no episode was recorded yet. Use `cosmos-policy label` for those on the disk.")
            record = self.last.record.labelled(outcome, comment)
            try:
                write_custom_data(self.last.path, record.custom_data())
            except OSError as error:
                raise RecordingError(f"{self.last.path}: cannot be labelled ({error}).") from None
            self.last = replace(self.last, record=record)
            return record

    def _take(self) -> Running:
        running, self.running = self.running, None
        if running is None:
            raise RecordingError("no episode is being recorded. Start one first.")
        return running

    def _free_name(self, now: datetime) -> str:
        name = now.strftime("%Y%m%d_%H%M%S")
        taken = {path.name for path in self._folder.glob("*")} | {p.name for p in self._folder.glob(".recording/*")}
        number = 1
        while (candidate := name if number == 1 else f"{name}_{number}") in taken:
            number += 1
        return candidate
