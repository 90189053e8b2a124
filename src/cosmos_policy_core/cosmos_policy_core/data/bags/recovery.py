"""Make a whole bag of what was written before a recorder was killed, lost its power or filled its disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cosmos_policy_core.data.bags import staging
from cosmos_policy_core.data.bags.record import EpisodeRecord
from cosmos_policy_core.data.bags.salvage import Saved, salvage
from cosmos_policy_core.data.bags.types import Topic, digest_of
from cosmos_policy_core.data.bags.writing import BagWriter
from cosmos_policy_core.errors import EpisodeError

SUFFIX = "_recovered"


def recover(path: Path, keep: bool = False) -> tuple[Path, dict[str, int]]:
    """Write the whole messages of an unfinished recording as a bag of their own, without a label.

    Args:
        path: the folder that a message about it named, `<folder>/.recording/<id>`.
        keep: leave the unfinished files where they are.

    Returns:
        The new bag beside the finished ones, and its messages per topic.

    Raises:
        EpisodeError: nothing can be saved.
        RecordingError: the new bag cannot be written.
    """
    files = sorted(path.glob("*.mcap"))
    if not files:
        raise EpisodeError(f"{path}: holds no .mcap file. Give the folder of an unfinished recording.")
    topics = _topics(files)
    if not topics:
        raise EpisodeError(f"{path}: not one whole message is left. Delete the folder.")
    folder = path.parent.parent if path.parent.name == staging.FOLDER else path.parent
    record = _record(path)
    writer = BagWriter(folder, record, list(topics.values()))
    try:
        for saved in _messages(files):
            writer.write(saved.topic.name, saved.log_time, saved.data)
        final = writer.finish(record)
    except BaseException:
        writer.discard()
        raise
    if not keep:
        shutil.rmtree(path)
        path.with_name(f"{path.name}.json").unlink(missing_ok=True)
    return final, dict(writer.counts)


def _record(path: Path) -> EpisodeRecord:
    noted = staging.noted(path)
    comment = f"{noted.comment} Recovered: the recording was cut off.".strip()
    return replace(noted, episode_id=f"{path.name}{SUFFIX}", outcome=None, comment=comment)


def _topics(files: list[Path]) -> dict[str, Topic]:
    found: dict[str, Topic] = {}
    for saved in _messages(files):
        if saved.topic.name not in found:
            digest = digest_of(saved.topic.type, saved.topic.definition)
            found[saved.topic.name] = replace(saved.topic, digest=digest)
    return found


def _messages(files: list[Path]) -> Iterator[Saved]:
    for file in files:
        yield from salvage(file)
