"""The messages of one topic as times and numbers; images stay in the bag."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.bags.reading import Bag
from cosmos_policy_core.data.messages import state_problem
from cosmos_policy_core.embodiment import Arm
from cosmos_policy_core.errors import EpisodeError

Times = NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """Stamps of a topic in ascending order, each once [ns]; `places` tells where in the bag a message is."""

    topic: str
    stamps: Times
    places: NDArray[np.int64]
    repeated: int = 0  # messages left out because their stamp was there already
    disordered: int = 0  # messages stamped earlier than one before them

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def rate(self) -> float:
        """Median rate [Hz]; 0 for fewer than two messages."""
        return 1e9 / float(np.median(np.diff(self.stamps))) if len(self) > 1 else 0.0

    def latest(self, times: Times) -> NDArray[np.int64]:
        """Index of the newest message at each time; -1 where there is none yet."""
        return np.searchsorted(self.stamps, times, side="right") - 1


@dataclass(frozen=True)
class Signal(Stream):
    """Joint states or commands of one arm: (N, width) values beside the stamps."""

    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    velocities: NDArray[np.float64] | None = None
    efforts: NDArray[np.float64] | None = None
    refused: int = 0  # messages left out because the bus had failed

    def interpolated(self, times: Times) -> NDArray[np.float64]:
        """(T, width) values between the messages around each time; the ends are held."""
        base = self.stamps[0]
        x, known = (times - base).astype(np.float64), (self.stamps - base).astype(np.float64)
        columns = [np.interp(x, known, self.values[:, column]) for column in range(self.values.shape[1])]
        return np.stack(columns, axis=1)

    def distance(self, times: Times) -> NDArray[np.float64]:
        """Time from each of `times` to the nearest message [s]."""
        after = np.clip(np.searchsorted(self.stamps, times), 0, len(self) - 1)
        before = np.clip(after - 1, 0, len(self) - 1)
        nearest = np.minimum(np.abs(self.stamps[after] - times), np.abs(times - self.stamps[before]))
        return nearest * 1e-9


def in_order(topic: str, stamps: Sequence[int], places: Sequence[int]) -> Stream:
    """Sort messages by stamp, keep the first of equal ones, and count what was wrong."""
    array, where = np.asarray(stamps, dtype=np.int64), np.asarray(places, dtype=np.int64)
    if len(array) == 0:
        return Stream(topic, array, where)
    disordered = int((array < np.maximum.accumulate(array)).sum())
    unique, first = np.unique(array, return_index=True)
    return Stream(topic, unique, where[first], len(array) - len(unique), disordered)


def image_streams(bag: Bag, topics: Sequence[str]) -> tuple[dict[str, Stream], dict[str, Times]]:
    """Read the stamps of images without decoding them.

    Returns:
        Streams by topic, and by topic when every message was received, in the bag's order [ns].
    """
    stamps: dict[str, list[int]] = {topic: [] for topic in topics}
    received: dict[str, list[int]] = {topic: [] for topic in topics}
    for message in bag.messages(topics):
        stamps[message.topic].append(header_stamp(message.data, f"{bag.path}: {message.topic}"))
        received[message.topic].append(message.received)
    streams = {topic: in_order(topic, found, range(len(found))) for topic, found in stamps.items()}
    return streams, {topic: np.asarray(times, dtype=np.int64) for topic, times in received.items()}


def state_signal(bag: Bag, arm: Arm) -> Signal:
    """Read an arm's joint states: joints [rad] and the gripper's state joint, in its own unit."""
    names = [*(joint.name for joint in arm.joints), arm.gripper.state.joint]
    rows = _rows(bag, arm.state_topic, names, check_bus=True)
    efforts = None
    if rows.efforts:
        motors = [*names[:-1], arm.gripper.action.joint]
        efforts = np.array([[row.get(name, 0.0) for name in motors] for row in rows.efforts])
    return _signal(arm.state_topic, rows, names, efforts)


def command_signal(bag: Bag, arm: Arm) -> Signal:
    """Read an arm's commands as part of the action vector: joints [rad], gripper 0 closed .. 1 open."""
    signal = _signal(arm.command_topic, _rows(bag, arm.command_topic, arm.command_names), arm.command_names)
    values = signal.values.copy()
    if len(values):
        values[:, -1] = [arm.gripper.command_to_action(value) for value in values[:, -1]]
    return replace(signal, values=values)


def header_stamp(data: bytes, where: str) -> int:
    """Read the stamp of a serialized message that begins with a header [ns].

    Raises:
        EpisodeError: the message is too short or carries no stamp.
    """
    if len(data) < 12:
        raise EpisodeError(f"{where}: a message of {len(data)} bytes has no header. Record it again.")
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] == 1 else ">iI", data, 4)
    if seconds == 0 and nanoseconds == 0:
        raise EpisodeError(f"{where}: a message has no stamp, so it belongs to no time. Let its node stamp it.")
    return int(seconds * 1_000_000_000 + nanoseconds)


class _Rows:
    """Messages of one topic, field by field; `where` names bag and topic in messages."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.stamps: list[int] = []
        self.positions: list[dict[str, float]] = []
        self.velocities: list[dict[str, float]] = []
        self.efforts: list[dict[str, float]] = []
        self.refused = 0


def _rows(bag: Bag, topic: str, names: Sequence[str], check_bus: bool = False) -> _Rows:
    where = f"{bag.path}: {topic}"
    rows = _Rows(where)
    for message in bag.messages([topic]):
        stamp, state = header_stamp(message.data, where), bag.decode(message)
        missing = [name for name in names if name not in state.name]
        if missing:
            raise EpisodeError(
                f"{where}: joint '{missing[0]}' is not in a message of {', '.join(state.name)}. "
                "Use the contract of the robot that was recorded."
            )
        if len(state.position) != len(state.name):
            raise EpisodeError(
                f"{where}: a message has {len(state.position)} positions for {len(state.name)} joints. Repair the "
                "driver that sent it, and record the episode again."
            )
        if check_bus and state_problem(state.name, state.position) is not None:
            rows.refused += 1
            continue
        _append(rows, stamp, state)
    return rows


def _append(rows: _Rows, stamp: int, state: Any) -> None:
    rows.stamps.append(stamp)
    rows.positions.append(dict(zip(state.name, state.position.tolist(), strict=True)))
    if len(state.velocity) == len(state.name):
        rows.velocities.append(dict(zip(state.name, state.velocity.tolist(), strict=True)))
    if len(state.effort) == len(state.name):
        rows.efforts.append(dict(zip(state.name, state.effort.tolist(), strict=True)))


def _signal(topic: str, rows: _Rows, names: Sequence[str], efforts: NDArray[np.float64] | None = None) -> Signal:
    stream = in_order(topic, rows.stamps, range(len(rows.stamps)))
    positions = np.array([[row[name] for name in names] for row in rows.positions]).reshape(-1, len(names))
    if not np.isfinite(positions).all():
        raise EpisodeError(f"{rows.where}: a position is not a finite number. Leave the episode out.")
    complete = len(rows.stamps)
    velocities = None
    if complete and len(rows.velocities) == complete:
        velocities = np.array([[row[name] for name in names] for row in rows.velocities])[stream.places]
    return Signal(
        topic=topic,
        stamps=stream.stamps,
        places=stream.places,
        repeated=stream.repeated,
        disordered=stream.disordered,
        values=positions[stream.places],
        velocities=velocities,
        efforts=efforts[stream.places] if efforts is not None and len(efforts) == complete else None,
        refused=rows.refused,
    )
