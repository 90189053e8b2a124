"""A bag as an episode: which steps it has, and what was seen, felt and told at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.bags.images import BagImages
from cosmos_policy_core.data.bags.plans import Span, executed_spans
from cosmos_policy_core.data.bags.record import EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.recording import Recording, describe_gaps, load_recording
from cosmos_policy_core.data.bags.resample import Gap, Grid, Tolerances, find_gaps, make_grid
from cosmos_policy_core.data.bags.streams import Stream
from cosmos_policy_core.data.episode import Attribute, Episode, check
from cosmos_policy_core.data.frames import Frames
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError

Steps = NDArray[np.int64]
ASSUMED = "assumed by the converter"  # judge of episodes that nobody labelled


@dataclass(frozen=True)
class Reading:
    """How to read bags.

    Args:
        tolerances: None takes what the live graph accepts.
        gap_steps: steps beyond a tolerance that an episode may have.
        assume: the verdict on episodes without one; None refuses them.
    """

    tolerances: Tolerances | None = None
    gap_steps: int = 0
    assume: bool | None = None


@dataclass(frozen=True)
class BagEpisode:
    """An episode, its record, and sentences about what in the bag was odd."""

    episode: Episode
    record: EpisodeRecord
    notes: tuple[str, ...]


def read_bag(path: Path, contract: Embodiment, reading: Reading | None = None) -> BagEpisode:
    """Read a bag's episode at the contract's control rate; images stay in the bag until they are asked for.

    Raises:
        EpisodeError: naming the bag and what is wrong: unfinished, another contract, topics missing or apart, gaps, no
            label.
    """
    reading = reading or Reading()
    recording = load_recording(path, contract)
    outcome = outcome_of(recording.record, path, reading.assume)
    spans = executed_spans(recording.plans, recording.commands, contract) if recording.plans else None
    try:
        grid = make_grid([*recording.images, *recording.states], recording.commands, spans, contract)
    except EpisodeError as error:
        raise EpisodeError(f"{path}: {error}") from None
    gaps = _gaps(recording, grid, reading.tolerances or Tolerances.of(contract))
    if sum(gap.steps for gap in gaps) > reading.gap_steps:
        raise EpisodeError(f"{path}: has gaps: {describe_gaps(gaps)}. Record it again, or allow some with --gap-steps.")
    episode = _assemble(recording, grid, outcome, spans)
    check(episode, contract)
    notes = [*(f"gap at {gap}" for gap in gaps), *recording.notes()]
    if spans is not None:
        notes.append(f"{len(spans)} of {len(recording.plans)} plans were executed; pauses for planning are left out")
    return BagEpisode(episode, recording.record, tuple(notes))


def outcome_of(record: EpisodeRecord, path: Path, assume: bool | None = None) -> Outcome:
    """Tell what came of an episode.

    Raises:
        EpisodeError: nobody said so, and nothing is assumed.
    """
    if record.outcome is not None:
        return record.outcome
    if assume is None:
        raise EpisodeError(
            f"{path}: has no label: nobody said what came of it. Use `cosmos-policy label {path} --success` or "
            "--failure."
        )
    return Outcome(assume, float(assume), ASSUMED)


def _gaps(recording: Recording, grid: Grid, tolerances: Tolerances) -> list[Gap]:
    observed: list[tuple[Stream, float]] = [(stream, tolerances.image) for stream in recording.images]
    observed += [(signal, tolerances.state) for signal in recording.states]
    return find_gaps(observed, recording.commands, grid, tolerances.command)


def _assemble(recording: Recording, grid: Grid, outcome: Outcome, spans: Sequence[Span] | None) -> Episode:
    record = recording.record
    told = np.concatenate([signal.interpolated(grid.reached) for signal in recording.commands], axis=1)
    chosen = [signal.latest(grid.observed) for signal in recording.states]
    return Episode(
        actions=told.astype(np.float32),
        proprio=_proprio(recording, chosen),
        jpegs=_frames(recording, grid),
        instruction=record.instruction,
        success=outcome.success,
        success_score=outcome.score,
        seed=record.seed,
        source=str(recording.path),
        velocities=_velocities(recording, chosen),
        efforts=_joined([signal.efforts for signal in recording.states], chosen),
        extra=_extra(record, outcome, spans),
    )


def _frames(recording: Recording, grid: Grid) -> dict[str, Frames]:
    frames = {}
    streams = zip(recording.contract.cameras, recording.images, recording.received, strict=True)
    for camera, stream, received in streams:
        places = stream.places[stream.latest(grid.observed)]
        source = BagImages(recording.path, stream.topic, camera, recording.contract, places, received)
        frames[camera.name] = Frames(source, camera, recording.contract)
    return frames


def _proprio(recording: Recording, chosen: Sequence[Steps]) -> NDArray[np.float32]:
    """Put (L, P) together with the function that the live graph uses."""
    contract = recording.contract
    rows = []
    for step in range(len(chosen[0])):
        states = {}
        for arm, signal, index in zip(contract.arms, recording.states, chosen, strict=True):
            names = [*(joint.name for joint in arm.joints), arm.gripper.state.joint]
            states[arm.name] = dict(zip(names, signal.values[index[step]].tolist(), strict=True))
        rows.append(contract.proprio_from_states(states))
    return np.asarray(rows, dtype=np.float32)


def _velocities(recording: Recording, chosen: Sequence[Steps]) -> NDArray[np.float32] | None:
    """Scale measured velocities to (L, P) in proprioception's units per second, where the arms report them."""
    scaled: list[NDArray[np.float64] | None] = []
    for arm, signal in zip(recording.contract.arms, recording.states, strict=True):
        if signal.velocities is None:
            return None
        closed, opened = arm.gripper.values.span(arm.gripper.state.quantity)
        scaled.append(np.column_stack([signal.velocities[:, :-1], signal.velocities[:, -1] / (opened - closed)]))
    return _joined(scaled, chosen)


def _joined(parts: Sequence[NDArray[np.float64] | None], chosen: Sequence[Steps]) -> NDArray[np.float32] | None:
    found = [part[index] for part, index in zip(parts, chosen, strict=True) if part is not None]
    return np.concatenate(found, axis=1).astype(np.float32) if len(found) == len(parts) else None


def _extra(record: EpisodeRecord, outcome: Outcome, spans: Sequence[Span] | None) -> dict[str, Attribute]:
    extra: dict[str, Attribute] = {
        "episode_id": record.episode_id,
        "judge": outcome.judge,
        "user_name": record.operator,
        "user_description": record.comment,
        "policy_name": record.policy_checkpoint,
        "planning_checkpoint": record.planning_checkpoint,
        "date_time": record.started,
    }
    if spans is not None:
        extra["chunks"] = len(spans)
    return extra
