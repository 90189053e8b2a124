"""One decision with everything that led to it: a PlanReport, from a bag or from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cosmos_policy_core.data.bags.plans import REPORTS_TOPIC
from cosmos_policy_core.data.bags.reading import Bag, is_bag
from cosmos_policy_core.errors import EpisodeError
from cosmos_policy_core.evaluation.report.plans import PlanRecord

VERSION = 2  # of PlanReport; a test of the nodes keeps it equal to the message's
COMPLETED = ("time was up before anything was compared", "time was up: compared by what was known", "certain")
OUTCOMES = ("answered", "late", "lost", "failed", "cut off")  # by their constants in ScorerShare


@dataclass(frozen=True)
class Share:
    """What one scorer was asked for."""

    scorer: str
    candidates: tuple[int, ...]
    seconds: float
    outcome: str


@dataclass(frozen=True)
class State:
    """One imagined state of a search. candidate: index. parent: index of the state before, None at depth 1."""

    candidate: int
    depth: int
    parent: int | None
    value: float


@dataclass(frozen=True)
class Decision:
    """A plan's record and what the record leaves out.

    Attributes:
        values: (n, futures, members), NaN where not evaluated or failed; leaves of the tree instead of futures when
            looking further ahead.
        evaluated: of the same shape.
        completed: how far the plan got, in words.
        duration, limit: wall time of the plan and what it had [s]; limit 0: none.
    """

    plan: PlanRecord
    values: NDArray[np.float64]
    evaluated: NDArray[np.bool_]
    joints: tuple[str, ...]
    period: float
    preset: str
    aggregation: str
    threshold: float
    completed: str
    duration: float
    limit: float
    spent: int
    saved: int
    checkpoints: tuple[str, str]
    shares: tuple[Share, ...]
    states: tuple[State, ...]

    @classmethod
    def from_report(cls, report: Any) -> Decision:
        """Read a PlanReport by its attributes.

        Raises:
            ValueError: it is of another version, or its parts do not fit together.
        """
        version = getattr(report, "version", 0)
        if version != VERSION:
            raise ValueError(f"the report is of version {version}, this release reads {VERSION}")
        ids = [chunk.candidate_id for chunk in report.candidates]
        first = report.candidates[0]
        values, evaluated = _tables(report.scores, len(ids))
        return cls(
            plan=PlanRecord.from_report(report),
            values=values,
            evaluated=evaluated,
            joints=tuple(first.joint_names),
            period=float(first.period.sec + first.period.nanosec * 1e-9),
            preset=report.preset,
            aggregation=report.aggregation,
            threshold=float(report.settings.threshold),
            completed=COMPLETED[report.completed] if report.completed < len(COMPLETED) else str(report.completed),
            duration=float(report.duration),
            limit=float(report.time_limit),
            spent=int(report.evaluations_spent),
            saved=int(report.evaluations_saved),
            checkpoints=(report.policy_checkpoint, report.planning_checkpoint),
            shares=tuple(_share(share) for share in report.shares),
            states=tuple(_state(state, ids) for state in report.states),
        )


def read_decisions(path: Path) -> list[Decision]:
    """Read the decisions of a bag, or the one in a JSON or YAML file (as `ros2 topic echo` prints it).

    Raises:
        EpisodeError: there are none, or one cannot be read; names file and remedy.
    """
    try:
        reports = list(_bag_reports(path)) if is_bag(path) or path.is_dir() else [_file_report(path)]
        decisions = [Decision.from_report(report) for report in reports]
    except (ValueError, AttributeError, IndexError, TypeError) as error:
        raise EpisodeError(
            f"{path}: no plan report that this release can read ({error}). Use the release that wrote it."
        ) from None
    if not decisions:
        raise EpisodeError(f"{path}: holds no message of {REPORTS_TOPIC}. Record the topic while a task runs.")
    return decisions


def _bag_reports(path: Path) -> Sequence[Any]:
    with Bag(path) as bag:
        return [bag.decode(message) for message in bag.messages([REPORTS_TOPIC])]


def _file_report(path: Path) -> Any:
    try:
        documents = list(yaml.load_all(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EpisodeError(
            f"{path}: cannot be read ({error}). Give a bag, or a file with a plan report as JSON or YAML."
        ) from None
    if not documents or not isinstance(documents[0], Mapping):
        raise EpisodeError(f"{path}: holds no plan report. Give a bag, or a file with one as JSON or YAML.")
    return _attributes(documents[0])


def _attributes(value: Any) -> Any:
    """Turn nested mappings into objects with attributes, as messages have them."""
    if isinstance(value, Mapping):
        return SimpleNamespace(**{str(key): _attributes(item) for key, item in value.items()})
    return [_attributes(item) for item in value] if isinstance(value, list) else value


def _tables(scores: Sequence[Any], candidates: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if not scores:
        return np.full((candidates, 0, 0), np.nan), np.zeros((candidates, 0, 0), dtype=bool)
    shape = (len(scores), scores[0].futures, scores[0].members)
    evaluated = np.array([list(score.evaluated) for score in scores], dtype=bool).reshape(shape)
    values = np.array([list(score.values) for score in scores], dtype=np.float64).reshape(shape)
    return np.where(evaluated, values, np.nan), evaluated


def _share(share: Any) -> Share:
    outcome = OUTCOMES[share.outcome] if share.outcome < len(OUTCOMES) else str(share.outcome)
    return Share(share.scorer, tuple(int(k) for k in share.candidate_ids), float(share.seconds), outcome)


def _state(state: Any, ids: Sequence[int]) -> State:
    values = np.asarray(state.values, dtype=np.float64)
    known = values[np.isfinite(values)]
    value = float(known.mean()) if known.size else float("nan")
    return State(
        ids.index(state.candidate_id), int(state.depth), None if state.parent < 0 else int(state.parent), value
    )
