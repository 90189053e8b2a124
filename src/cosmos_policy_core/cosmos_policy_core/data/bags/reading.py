"""Read a finished bag: what it says about itself, and its messages, without ROS."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import yaml
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from cosmos_policy_core.data.bags import staging
from cosmos_policy_core.data.bags.record import EVENTS_TOPIC, VERDICT, EpisodeRecord, Outcome
from cosmos_policy_core.errors import EpisodeError

STARTED, STOPPED, LABELLED = 0, 1, 3  # of EpisodeEvent
# Bytes that may stand unused at the end of a message: rmw_fastrtps estimates sizes when it is asked to serialize.
SLACK = range(0, 33, 4)


class Message(NamedTuple):
    """A serialized message; `received` is the recorder's time [ns]."""

    topic: str
    received: int
    data: bytes


class Bag:
    """A finished bag, opened for reading; a context manager.

    Raises:
        EpisodeError: it is unfinished, damaged or no bag; names the remedy.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        refuse_unfinished(self.path)
        try:
            reader = AnyReader([self.path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
            self._reader = self._stack.enter_context(reader)
        except Exception as error:  # a damaged file can break any part of the reader
            raise EpisodeError(f"{self.path}: cannot be read ({error}). {staging.remedy(self.path)}") from None

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Message type of every topic."""
        return {connection.topic: connection.msgtype for connection in self._reader.connections}

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Messages of every topic."""
        return {connection.topic: connection.msgcount for connection in self._reader.connections}

    def messages(self, topics: Collection[str], start: int | None = None, stop: int | None = None) -> Iterator[Message]:
        """Yield messages of some topics in the order they were received.

        Args:
            start, stop: only messages received in this time, the end left out [ns].

        Raises:
            EpisodeError: the file breaks while it is read.
        """
        wanted = [connection for connection in self._reader.connections if connection.topic in topics]
        if not wanted:
            return
        try:
            for connection, received, data in self._reader.messages(wanted, start, stop):
                yield Message(connection.topic, received, data)
        except Exception as error:  # a damaged file can break any part of the reader
            raise EpisodeError(f"{self.path}: breaks while it is read ({error}). {staging.remedy(self.path)}") from None

    def decode(self, message: Message) -> Any:
        """Decode a message.

        Raises:
            EpisodeError: its bytes are not of the topic's type.
        """
        reason: Exception | None = None
        for slack in SLACK:
            data = message.data[: len(message.data) - slack]
            try:
                return self._reader.deserialize(data, self.types[message.topic])
            except Exception as error:  # each field type fails in its own way
                reason = reason or error
        raise EpisodeError(f"{self.path}: a message of {message.topic} cannot be decoded ({reason}).") from None

    @cached_property
    def record(self) -> EpisodeRecord:
        """What the bag says about its episode: in its metadata, else (rosbag2 of Humble) in its event messages."""
        record = read_record(self.path)
        return record if record.contract else self._record_of_events(record)

    def _record_of_events(self, record: EpisodeRecord) -> EpisodeRecord:
        for message in self.messages([EVENTS_TOPIC]):
            event = self.decode(message)
            if event.event == STARTED:  # what was latched of an episode before does not count
                record = replace(record, outcome=None)
            record = replace(
                record,
                instruction=event.instruction or record.instruction,
                operator=event.operator_name or record.operator,
                contract=event.contract_yaml or record.contract,
                policy_checkpoint=event.policy_checkpoint or record.policy_checkpoint,
                planning_checkpoint=event.planning_checkpoint or record.planning_checkpoint,
                comment=event.comment or record.comment,
            )
            if event.event in (STOPPED, LABELLED) and not math.isnan(event.success_score):
                record = record.labelled(Outcome.of(event.success, float(event.success_score), "episode event"))
        return record


def is_bag(path: Path) -> bool:
    """Whether a path looks like the folder of a bag, finished or not."""
    return path.is_dir() and ((path / staging.METADATA).exists() or any(path.glob("*.mcap")) or any(path.glob("*.db3")))


def find_bags(folder: Path) -> list[Path]:
    """List the bags below a folder in order of their names, or the folder itself if it is one."""
    if is_bag(folder):
        return [folder]
    candidates = {file.parent for ending in (staging.METADATA, "*.mcap", "*.db3") for file in folder.rglob(ending)}
    # What is being recorded, and what was set aside, is in folders with a dot.
    return sorted(path for path in candidates if not any(p.startswith(".") for p in path.relative_to(folder).parts))


def refuse_unfinished(path: Path) -> None:
    """Raise EpisodeError for what is no bag, or for one that was never closed."""
    if not path.is_dir():
        raise EpisodeError(f"{path}: no such bag. Give the folder that holds {staging.METADATA}.")
    if not (path / staging.METADATA).exists():
        raise EpisodeError(f"{path}: is unfinished: it has no {staging.METADATA}. {staging.remedy(path)}")


def read_record(path: Path, *, with_label: bool = True) -> EpisodeRecord:
    """Read what a bag's metadata says about its episode, without opening the bag.

    Args:
        with_label: False passes the verdict over, which may be what is damaged.

    Raises:
        EpisodeError: it is unfinished or its metadata is damaged.
    """
    data = _information(path).get("custom_data") or {}
    if not with_label:
        data = {name: value for name, value in data.items() if name not in VERDICT}
    record = EpisodeRecord.from_custom_data({str(key): str(value) for key, value in data.items()}, str(path))
    return record if record.episode_id else replace(record, episode_id=path.name)


def read_counts(path: Path) -> dict[str, int]:
    """Read a bag's messages per topic from its metadata.

    Raises:
        EpisodeError: it is unfinished or its metadata is damaged.
    """
    topics = _information(path)["topics_with_message_count"]
    return {entry["topic_metadata"]["name"]: int(entry["message_count"]) for entry in topics}


def _information(path: Path) -> dict[str, Any]:
    refuse_unfinished(path)
    try:
        found: dict[str, Any] = yaml.load((path / staging.METADATA).read_text(), Loader=_FASTEST)[staging.ROOT]
        found["topics_with_message_count"]
        return found
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise EpisodeError(f"{path / staging.METADATA}: is damaged ({error!r}). {staging.remedy(path)}") from None


_FASTEST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
