"""The thread between the queue and the disk: one per episode."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from pathlib import Path

from cosmos_policy_core.data.bags.record import WRITER, EpisodeRecord
from cosmos_policy_core.data.bags.types import Topic
from cosmos_policy_core.data.bags.writing import BagWriter
from cosmos_policy_core.errors import RecordingError

SYNC_PERIOD = 2.0  # [s] between two orders to bring the file to the disk, so that ending an episode is quick


class DiskThread:
    """Write what is put, in order; what does not fit into the queue is dropped and counted per topic.

    Args:
        limit: bytes that may wait.

    Raises:
        RecordingError: the episode cannot be begun.
    """

    def __init__(self, folder: Path, record: EpisodeRecord, topics: list[Topic], limit: int) -> None:
        self._writer = BagWriter(folder, record, topics)
        self._queue: queue.SimpleQueue[tuple[str, int, bytes] | None] = queue.SimpleQueue()
        self._limit, self._waiting = limit, 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.peak = 0  # most bytes that ever waited
        self.dropped = {topic.name: 0 for topic in topics}
        self.failure: RecordingError | None = None
        self._thread = threading.Thread(target=self._work, name="disk", daemon=True)
        self._thread.start()
        threading.Thread(target=self._sync, name="sync", daemon=True).start()

    @property
    def written(self) -> dict[str, int]:
        """Messages per topic in the file."""
        return dict(self._writer.counts)

    @property
    def path(self) -> Path:
        """Where the episode is while it is recorded."""
        return self._writer.path

    def put(self, topic: str, stamp: int, data: bytes) -> None:
        """Queue a message; never waits."""
        size = len(data)
        with self._lock:
            if self.failure is not None or self._waiting + size > self._limit:
                self.dropped[topic] += 1
                return
            self._waiting += size
            self.peak = max(self.peak, self._waiting)
        self._queue.put((topic, stamp, data))

    def finish(self, record: EpisodeRecord) -> Path:
        """Write what waits and give the episode its final name.

        Raises:
            RecordingError: it could not be written whole; what was written can be recovered.
        """
        self._end()
        if self.failure is not None:
            raise self.failure
        return self._writer.finish(record.with_losses(WRITER, self.dropped))

    def discard(self) -> None:
        """Delete the episode."""
        self._end()
        self._writer.discard()

    def _end(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._ended.set()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            topic, stamp, data = item
            if self.failure is None:
                try:
                    self._writer.write(topic, stamp, data)
                except RecordingError as error:
                    self.failure = error
                    self.dropped[topic] += 1
            else:
                self.dropped[topic] += 1
            with self._lock:
                self._waiting -= len(data)

    def _sync(self) -> None:
        """Bring the file to the disk now and then; a power cut takes no more than what came since."""
        with contextlib.suppress(OSError, StopIteration):
            descriptor = os.open(next(self.path.glob("*.mcap")), os.O_RDONLY)
            try:
                while not self._ended.wait(SYNC_PERIOD):
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
