"""A decision of the planner, as displays and reports want it.

Reports are read by their attributes only, so that a message of a running graph and one out of a bag are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.data.messages import image_array

PLANNERS = ("direct", "best_of_n")  # by their constants in PlanReport
STAGES = ("observe", "encode", "propose", "imagine", "evaluate", "decide", "decode")  # by their constants in StageTime
MODES = ("hold", "overlap", "deadline")  # by their constants in PlanReport and ExecuteChunk


@dataclass(frozen=True)
class PlanRecord:
    """One decision among n candidates. Times are node time [s]; stages are wall time [s].

    Attributes:
        values: (n,) aggregated value of each candidate; NaN where none was predicted.
        members: (n, futures * members) every prediction, padded with NaN; (n, 0) without any.
        candidates: (n, K, A) actions.
        chosen: index of the chosen candidate.
        imagined: (H, W, 3) uint8 per camera, of the chosen candidate; empty where not asked for.
        started: when its first action was due [s], where that was found out; no report says it.
    """

    index: int
    made: float
    observed: float
    instruction: str
    planner: str
    mode: str
    values: NDArray[np.float64]
    members: NDArray[np.float64]
    candidates: NDArray[np.float64]
    chosen: int
    stages: dict[str, float]
    imagined: tuple[NDArray[np.uint8], ...]
    started: float | None = None

    @classmethod
    def from_report(cls, report: Any) -> PlanRecord:
        """Read a PlanReport.

        Raises:
            ValueError: its parts do not fit together.
        """
        name, ids = f"plan {report.plan_index}", [chunk.candidate_id for chunk in report.candidates]
        if report.chosen not in ids:
            raise ValueError(f"{name}: candidate {report.chosen} was chosen, but is not in the report")
        if len(report.candidate_values) != len(ids):
            raise ValueError(f"{name}: {len(report.candidate_values)} values of {len(ids)} candidates")
        return cls(
            index=int(report.plan_index),
            made=_seconds(report.header.stamp),
            observed=_seconds(report.observation_stamp),
            instruction=report.instruction,
            planner=_named(PLANNERS, report.planner),
            mode=_named(MODES, getattr(report, "mode", 0)),  # the first reports had none
            values=np.asarray(report.candidate_values, dtype=np.float64),
            members=_members(report.scores, ids),
            candidates=np.stack([_actions(chunk) for chunk in report.candidates]),
            chosen=ids.index(report.chosen),
            stages={_named(STAGES, stage.stage): float(stage.seconds) for stage in report.stages},
            imagined=tuple(_picture(image) for image in report.imagined_images),
        )

    @property
    def value(self) -> float:
        """The value of the choice; NaN where none was predicted."""
        return float(self.values[self.chosen])

    @property
    def spread(self) -> NDArray[np.float64]:
        """(n,) standard deviation of each candidate's predictions; 0 without any."""
        spread = np.zeros(len(self.members))
        for k, row in enumerate(self.members):
            known = row[np.isfinite(row)]
            spread[k] = float(np.std(known)) if known.size else 0.0
        return spread

    @property
    def seconds(self) -> float:
        """Wall time of the whole plan [s]."""
        return float(sum(self.stages.values()))

    @property
    def actions(self) -> NDArray[np.float64]:
        """(K, A) of the chosen candidate."""
        chosen: NDArray[np.float64] = self.candidates[self.chosen]
        return chosen


def _members(scores: Sequence[Any], ids: Sequence[int]) -> NDArray[np.float64]:
    members = np.full((len(ids), max((len(score.values) for score in scores), default=0)), np.nan)
    for score in scores:
        if score.candidate_id in ids:
            members[ids.index(score.candidate_id), : len(score.values)] = score.values
    return members


def _actions(chunk: Any) -> NDArray[np.float64]:
    return np.asarray(chunk.positions, dtype=np.float64).reshape(chunk.horizon, len(chunk.joint_names))


def _picture(image: Any) -> NDArray[np.uint8]:
    return jpeg.decode(bytes(image.data)) if hasattr(image, "format") else image_array(image)


def _named(names: Sequence[str], constant: int) -> str:
    return names[constant] if constant < len(names) else str(constant)


def _seconds(stamp: Any) -> float:
    return float(stamp.sec + stamp.nanosec * 1e-9)
