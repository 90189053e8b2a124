"""An episode of any layout as a bag, for tools that show bags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cosmos_policy_core.data.bags.images import COMPRESSED
from cosmos_policy_core.data.bags.record import EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.types import TypeCatalog
from cosmos_policy_core.data.bags.writing import BagWriter
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.embodiment import Embodiment

STATE = "sensor_msgs/msg/JointState"
BEGIN = 1_000_000_000 * 10**9  # [ns]; an episode file knows no time of day

Event = tuple[str, int, Any]  # topic, time [ns], message


def write_bag(
    folder: Path, name: str, episode: Episode, contract: Embodiment, made_of: str = "", version: str = ""
) -> Path:
    """Write an episode as a bag: compressed images as stored, joint states, and the commands that reach its actions.

    Args:
        made_of, version: the episode's file and which version of it, for the record.

    Raises:
        EpisodeError: an image is damaged.
        RecordingError: the folder cannot be written or holds a bag of that name.
    """
    catalog = TypeCatalog()
    record = EpisodeRecord(
        episode_id=name,
        contract=contract.to_yaml(),
        instruction=episode.instruction,
        operator=str(episode.extra.get("user_name", "")),
        policy_checkpoint=str(episode.extra.get("policy_name", "")),
        planning_checkpoint=str(episode.extra.get("planning_checkpoint", "")),
        comment=str(episode.extra.get("user_description", "")),
        seed=episode.seed,
        made_of=made_of,
        made_of_version=version,
        outcome=Outcome(episode.success, float(episode.success_score), str(episode.extra.get("judge", "episode file"))),
    )
    topics = [catalog.topic(f"{camera.topic}/compressed", COMPRESSED) for camera in contract.cameras]
    topics += [catalog.topic(t, STATE) for arm in contract.arms for t in (arm.state_topic, arm.command_topic)]
    kinds = {topic.name: topic.type for topic in topics}
    writer = BagWriter(folder, record, topics)
    try:
        for topic, time, message in _events(episode, contract, catalog):
            writer.write(topic, time, catalog.serialize(message, kinds[topic]))
        return writer.finish(record)
    except BaseException:
        writer.discard()
        raise


def _events(episode: Episode, contract: Embodiment, catalog: TypeCatalog) -> Iterator[Event]:
    cameras = [(camera, iter(episode.jpegs[camera.name])) for camera in contract.cameras]
    period = round(contract.period * 1e9)
    yield from _commands(episode.actions[0], BEGIN, contract, catalog)
    for step in range(len(episode)):
        time = BEGIN + step * period
        for camera, frames in cameras:
            data = next(frames)
            yield f"{camera.topic}/compressed", time, _image(data, time, camera.name, catalog)
        yield from _states(episode.proprio[step], time, contract, catalog)
        yield from _commands(episode.actions[step], time + period, contract, catalog)


def _header(time: int, frame: str, catalog: TypeCatalog) -> Any:
    stamp = catalog.make("builtin_interfaces/msg/Time", sec=time // 10**9, nanosec=time % 10**9)
    return catalog.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def _image(data: bytes, time: int, frame: str, catalog: TypeCatalog) -> Any:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    header, pixels = _header(time, frame, catalog), np.frombuffer(data, dtype=np.uint8)
    return catalog.make(COMPRESSED, header=header, format=f"rgb8; {kind} compressed bgr8", data=pixels)


def _joints(time: int, names: list[str], positions: list[float], catalog: TypeCatalog) -> Any:
    none, numbers = np.zeros(0), np.asarray(positions, dtype=np.float64)
    header = _header(time, "", catalog)
    return catalog.make(STATE, header=header, name=names, position=numbers, velocity=none, effort=none)


def _states(proprio: Any, time: int, contract: Embodiment, catalog: TypeCatalog) -> Iterator[Event]:
    place = 0
    for arm in contract.arms:
        part = [float(value) for value in proprio[place : place + len(arm.command_names)]]
        closed, opened = arm.gripper.values.span(arm.gripper.state.quantity)
        part[-1] = closed + part[-1] * (opened - closed)
        names = [*(joint.name for joint in arm.joints), arm.gripper.state.joint]
        yield arm.state_topic, time, _joints(time, names, part, catalog)
        place += len(part)


def _commands(action: Any, time: int, contract: Embodiment, catalog: TypeCatalog) -> Iterator[Event]:
    commands = contract.commands_from_action(action)
    for arm in contract.arms:
        names, positions = commands[arm.name]
        yield arm.command_topic, time, _joints(time, names, positions, catalog)
