"""Everything a bag holds of one robot, told apart by the contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cosmos_policy_core.data.bags.plans import REPORTS_TOPIC, Plan, read_plans
from cosmos_policy_core.data.bags.reading import Bag
from cosmos_policy_core.data.bags.record import EpisodeRecord
from cosmos_policy_core.data.bags.resample import Gap
from cosmos_policy_core.data.bags.streams import (
    Signal,
    Stream,
    Times,
    command_signal,
    image_streams,
    state_signal,
)
from cosmos_policy_core.data.provenance import check_contract
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError

MOST_DISORDERED = 0.05  # share of a topic's messages that may be out of order; more is no jitter but a broken clock
RATE_TOLERANCE = 0.2  # share by which a camera's rate may differ from the contract's without a note


@dataclass(frozen=True)
class Recording:
    """The streams of a bag in the contract's order of cameras and arms.

    `received` holds, per camera, when every message of its topic was received, in the bag's order [ns].
    """

    path: Path
    record: EpisodeRecord
    contract: Embodiment
    images: tuple[Stream, ...]
    received: tuple[Times, ...]
    states: tuple[Signal, ...]
    commands: tuple[Signal, ...]
    plans: tuple[Plan, ...]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All of them."""
        return (*self.images, *self.states, *self.commands)

    def notes(self) -> list[str]:
        """Say what is odd about the streams, without judging it."""
        found = []
        for stream in self.streams:
            if stream.repeated:
                found.append(f"{stream.topic}: {stream.repeated} message(s) repeat a stamp, left out")
            if stream.disordered:
                found.append(f"{stream.topic}: {stream.disordered} message(s) out of order, sorted by stamp")
            refused = stream.refused if isinstance(stream, Signal) else 0
            if refused:
                found.append(f"{stream.topic}: {refused} failed bus read(s) left out")
        for camera, stream in zip(self.contract.cameras, self.images, strict=True):
            if stream.rate and abs(stream.rate - camera.rate) > RATE_TOLERANCE * camera.rate:
                found.append(f"{stream.topic}: {stream.rate:.0f} Hz, {camera.rate:.0f} Hz in the contract")
        for topic, counts in self.record.lost.items():
            found += [f"{topic}: {count} message(s) lost ({where})" for where, count in counts.items() if count]
        return found


def load_recording(path: Path, contract: Embodiment) -> Recording:
    """Read a bag's streams; images stay in the bag.

    Raises:
        EpisodeError: naming the bag and what is wrong: unfinished, another contract, topics missing, empty or out of
            order.
    """
    with Bag(path) as bag:
        check_contract(bag.record.contract, path, contract)
        cameras = _camera_topics(bag, contract)
        images, received = image_streams(bag, cameras)
        recording = Recording(
            path=path,
            record=bag.record,
            contract=contract,
            images=tuple(images[topic] for topic in cameras),
            received=tuple(received[topic] for topic in cameras),
            states=tuple(state_signal(bag, arm) for arm in contract.arms),
            commands=tuple(command_signal(bag, arm) for arm in contract.arms),
            plans=tuple(read_plans(bag)) if REPORTS_TOPIC in bag.types else (),
        )
    empty = [stream.topic for stream in recording.streams if len(stream) == 0]
    if empty:
        raise EpisodeError(f"{path}: nothing usable was recorded of {', '.join(empty)}. Leave the episode out.")
    for stream in recording.streams:
        count = len(stream) + stream.repeated
        if stream.disordered > max(1.0, MOST_DISORDERED * count):
            raise EpisodeError(
                f"{path}: {stream.disordered} of {count} messages of {stream.topic} are out of order, so their stamps "
                "tell no time. Let one clock stamp the topic, and leave the episode out."
            )
    return recording


def describe_gaps(gaps: list[Gap]) -> str:
    """Name gaps in one sentence."""
    return "; ".join(map(str, gaps))


def _camera_topics(bag: Bag, contract: Embodiment) -> list[str]:
    """Tell which topic holds each camera: raw images, else compressed ones."""
    cameras, missing = [], []
    for camera in contract.cameras:
        found = [name for name in (camera.topic, f"{camera.topic}/compressed") if bag.counts.get(name)]
        cameras += found[:1]
        missing += [] if found else [camera.topic]
    for arm in contract.arms:
        missing += [name for name in (arm.state_topic, arm.command_topic) if not bag.counts.get(name)]
    if missing:
        raise EpisodeError(
            f"{bag.path}: nothing was recorded of {', '.join(missing)}. Start their nodes before the recorder, or use "
            "the contract of the robot that was recorded."
        )
    return cameras
