"""A recorded bag as a run to report on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.bags.images import BagImages
from cosmos_policy_core.data.bags.plans import REPORTS_TOPIC, executed_spans
from cosmos_policy_core.data.bags.reading import Bag, read_record
from cosmos_policy_core.data.bags.recording import Recording, load_recording
from cosmos_policy_core.data.bags.streams import Signal
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_core.evaluation.report.run import Comparison, Picture, RunRecord, Trace, execution_end

MOST_COMPARED = 8  # plans in the picture of imagined and real frames


def run_from_bag(path: Path, contract: Embodiment | None = None) -> RunRecord:
    """Read plans, joints, and the frames to compare with what was imagined.

    Args:
        contract: of the robot that was recorded; None: the one inside the bag.

    Raises:
        EpisodeError: the bag cannot be read, or carries no contract and none was given.
    """
    recording = load_recording(path, contract or contract_of(path))
    plans = _started(read_reports(path), recording)
    record, outcome = recording.record, recording.record.outcome
    verdict = "not judged" if outcome is None else f"{'success' if outcome.success else 'failure'} ({outcome.judge})"
    facts = {
        "task": record.instruction or (plans[0].instruction if plans else ""),
        "outcome": verdict,
        "robot": recording.contract.name,
        "plans": f"{len(plans)}, {_median([plan.seconds for plan in plans]):.2f} s each (median)" if plans else "none",
        "policy": record.policy_checkpoint,
        "planning": record.planning_checkpoint,
        "recorded": record.started,
        "operator": record.operator,
        "comment": record.comment,
        "odd": "; ".join(recording.notes()),
    }
    return RunRecord(
        title=record.episode_id or path.name,
        contract=recording.contract,
        plans=tuple(plans),
        states=_states(recording),
        commands=_commands(recording),
        comparisons=tuple(_compare(recording, plans)),
        facts={key: value for key, value in facts.items() if value},
    )


def contract_of(path: Path) -> Embodiment:
    """Return the contract inside a bag.

    Raises:
        EpisodeError: it carries none.
    """
    text = read_record(path).contract
    if not text:
        with Bag(path) as bag:
            text = bag.record.contract
    if not text:
        raise EpisodeError(f"{path}: carries no contract. Name the robot's with --embodiment.")
    return Embodiment.from_yaml(text, source=str(path))


def read_reports(path: Path) -> list[PlanRecord]:
    """Read every plan report of a bag, in order of time.

    Raises:
        EpisodeError: one contradicts itself.
    """
    with Bag(path) as bag:
        if REPORTS_TOPIC not in bag.types:
            return []
        try:
            plans = [PlanRecord.from_report(bag.decode(message)) for message in bag.messages([REPORTS_TOPIC])]
        except (ValueError, AttributeError) as error:
            raise EpisodeError(f"{path}: {REPORTS_TOPIC}: {error}. Was it recorded by an older release?") from None
    return sorted(plans, key=lambda plan: plan.made)


def camera_frames(recording: Recording, camera: int, times: NDArray[np.float64]) -> Iterator[Picture]:
    """Yield what a camera showed at (N,) ascending times [s]."""
    stream = recording.images[camera]
    newest = np.clip(stream.latest(np.round(times * 1e9).astype(np.int64)), 0, len(stream) - 1)
    source = BagImages(
        recording.path,
        stream.topic,
        recording.contract.cameras[camera],
        recording.contract,
        stream.places[newest],
        recording.received[camera],
    )
    yield from source.read(range(len(times)))


def _started(plans: Sequence[PlanRecord], recording: Recording) -> list[PlanRecord]:
    """Find in the commands when each plan's chunk began; a plan that never moved the arms keeps no start."""
    tick = 1.0 / recording.contract.command_rate
    found: dict[int, float | None] = dict.fromkeys(range(len(plans)))
    for span in executed_spans(recording.plans, recording.commands, recording.contract) if plans else ():
        start = span.start * 1e-9
        before = [k for k, plan in enumerate(plans) if plan.made <= start + tick]
        if before:
            found[before[-1]] = start
    return [replace(plan, started=found[k]) for k, plan in enumerate(plans)]


def _compare(recording: Recording, plans: Sequence[PlanRecord]) -> Iterator[Comparison]:
    """Pair every imagined image with the frame that came true; plans whose chunk was cut short have none."""
    imagined = [plan for plan in plans if len(plan.imagined) == len(recording.contract.cameras)]
    ends = [min(execution_end(plan, recording.contract), _next(plan, plans)) for plan in imagined]
    last = min(float(stream.stamps[-1]) for stream in recording.images) * 1e-9
    kept = [(plan, end) for plan, end in zip(imagined, ends, strict=True) if end <= last + recording.contract.period]
    if len(kept) > MOST_COMPARED:  # spread over the run
        kept = [kept[k] for k in np.linspace(0, len(kept) - 1, MOST_COMPARED).round().astype(int)]
    if not kept:
        return
    for index, camera in enumerate(recording.contract.cameras):
        before = list(camera_frames(recording, index, np.array([plan.observed for plan, _ in kept])))
        after = list(camera_frames(recording, index, np.array([end for _, end in kept])))
        for (plan, _), seen, came in zip(kept, before, after, strict=True):
            yield Comparison(plan.index, camera.name, seen, plan.imagined[index], came)


def _next(plan: PlanRecord, plans: Sequence[PlanRecord]) -> float:
    """Time of the next plan's observation [s]; in `hold` the arms rest from their last action until then."""
    later = [other.observed for other in plans if other.made > plan.made]
    return later[0] if later and plan.mode == "hold" else np.inf


def _states(recording: Recording) -> Trace:
    """Merge the arms' states on the first arm's stamps, as proprioception."""
    contract, first = recording.contract, recording.states[0]
    columns = []
    for arm, signal in zip(contract.arms, recording.states, strict=True):
        values = signal.interpolated(first.stamps)
        values[:, -1] = [arm.gripper.state_to_unit(value) for value in values[:, -1]]
        columns.append(values)
    return Trace(first.stamps.astype(np.float64) * 1e-9, np.concatenate(columns, axis=1))


def _commands(recording: Recording) -> Trace:
    first: Signal = recording.commands[0]
    values = [signal.interpolated(first.stamps) for signal in recording.commands]
    return Trace(first.stamps.astype(np.float64) * 1e-9, np.concatenate(values, axis=1))


def _median(numbers: Sequence[float]) -> float:
    return float(np.median(numbers)) if numbers else float("nan")
