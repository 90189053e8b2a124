"""Write a bag in rosbag2's layout: `<id>/metadata.yaml` and `<id>/<id>_0.mcap`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import yaml
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin

from cosmos_policy_core.data.bags.direct import DirectWriter
from cosmos_policy_core.data.bags.record import EpisodeRecord
from cosmos_policy_core.data.bags.staging import METADATA, ROOT, Staging, remedy
from cosmos_policy_core.data.bags.types import Topic
from cosmos_policy_core.errors import RecordingError

FOREVER = QosTime(2147483647, 4294967295)  # as rosbag2 writes it


class BagWriter:
    """Write serialized messages of known topics; not thread-safe.

    Args:
        folder: where the finished bag appears, as a folder named after the episode.
        record: what is known at the start.
        topics: all topics, whether or not anything arrives on them.

    Raises:
        RecordingError: the folder cannot be written, or holds an episode of that name.
    """

    def __init__(self, folder: Path, record: EpisodeRecord, topics: Sequence[Topic]) -> None:
        self._staging = Staging(folder, record)
        self.path = self._staging.path
        self.counts = {topic.name: 0 for topic in topics}
        self._writer = DirectWriter(self.path, version=9, storage_plugin=StoragePlugin.MCAP)
        try:
            self._writer.open()
            self._connections = {topic.name: self._connect(topic) for topic in topics}
        except OSError as error:
            raise self._refused(error) from None

    def write(self, topic: str, stamp: int, data: bytes) -> None:
        """Append a serialized message; `stamp` is when it was received [ns].

        Raises:
            RecordingError: the disk is full or gone. What was written stays recoverable.
        """
        try:
            self._writer.write(self._connections[topic], stamp, data)
        except OSError as error:
            raise self._refused(error) from None
        self.counts[topic] += 1

    def finish(self, record: EpisodeRecord) -> Path:
        """Close the bag and give it its final name.

        Raises:
            RecordingError: the disk refused; what was written stays recoverable.
        """
        try:
            self._writer.close()
            self._name_as_rosbag2_does()
        except OSError as error:
            raise self._refused(error) from None
        return self._staging.publish(record)

    def abandon(self) -> None:
        """Let go of the files without an index; :func:`recover` can read them."""
        with suppress(Exception):
            self._writer.abort()

    def discard(self) -> None:
        """Delete what was written."""
        self.abandon()
        self._staging.discard()

    def _connect(self, topic: Topic) -> Connection:
        qos = Qos(
            QosHistory.KEEP_LAST,
            topic.depth,
            QosReliability.RELIABLE if topic.reliable else QosReliability.BEST_EFFORT,
            QosDurability.TRANSIENT_LOCAL if topic.latched else QosDurability.VOLATILE,
            FOREVER,
            FOREVER,
            QosLiveliness.AUTOMATIC,
            FOREVER,
            False,
        )
        return self._writer.add_connection(
            topic.name, topic.type, msgdef=topic.definition, rihs01=topic.digest, offered_qos_profiles=[qos]
        )

    def _name_as_rosbag2_does(self) -> None:
        """Give the file the number that rosbag2 gives it; tools expect it."""
        name = self.path.name
        os.rename(self.path / f"{name}.mcap", self.path / f"{name}_0.mcap")
        path = self.path / METADATA
        content = yaml.safe_load(path.read_text())
        information = content[ROOT]
        information["relative_file_paths"] = [f"{name}_0.mcap"]
        information["files"][0]["path"] = f"{name}_0.mcap"
        information["ros_distro"] = os.environ.get("ROS_DISTRO", "jazzy")
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def _refused(self, error: OSError) -> RecordingError:
        self.abandon()
        return RecordingError(f"{self.path}: cannot be written ({error}). {remedy(self.path)}")
