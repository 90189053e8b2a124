"""A decision of the planner, as displays and reports want it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmos_policy.messages import chunk_actions, constant_name, image_array, seconds
from cosmos_policy_msgs.msg import PlanReport, ScoredChunk, StageTime

PLANNERS = {PlanReport.DIRECT: "direct", PlanReport.BEST_OF_N: "best_of_n"}


@dataclass(frozen=True)
class Plan:
    """One decision among n candidates. Times are node time [s]; stages are wall time [s].

    Attributes:
        values: (n,) aggregated value of each candidate; NaN where none was predicted.
        members: (n, futures * members) every prediction, padded with NaN; (n, 0) without any.
        candidates: (n, K, A) actions.
        chosen: index of the chosen candidate.
        imagined: (H, W, 3) uint8 per camera, of the chosen candidate; empty where not asked for.
    """

    index: int
    made: float
    observed: float
    instruction: str
    planner: str
    values: NDArray[np.float64]
    members: NDArray[np.float64]
    candidates: NDArray[np.float64]
    chosen: int
    stages: dict[str, float]
    imagined: tuple[NDArray[np.uint8], ...]

    @classmethod
    def from_report(cls, report: PlanReport) -> Plan:
        """Read a report.

        Raises:
            ValueError: its parts do not fit together.
        """
        name, ids = f"plan {report.plan_index}", [chunk.candidate_id for chunk in report.candidates]
        if report.chosen not in ids:
            raise ValueError(f"{name}: candidate {report.chosen} was chosen, but is not in the report")
        if len(report.candidate_values) != len(ids):
            raise ValueError(f"{name}: {len(report.candidate_values)} values of {len(ids)} candidates")
        return cls(
            index=report.plan_index,
            made=seconds(report.header.stamp),
            observed=seconds(report.observation_stamp),
            instruction=report.instruction,
            planner=PLANNERS.get(report.planner, str(report.planner)),
            values=np.asarray(report.candidate_values, dtype=np.float64),
            members=_members(report.scores, len(ids)),
            candidates=np.stack([chunk_actions(chunk) for chunk in report.candidates]),
            chosen=ids.index(report.chosen),
            stages={constant_name(StageTime, stage.stage).lower(): stage.seconds for stage in report.stages},
            imagined=tuple(image_array(image) for image in report.imagined_images),
        )

    @property
    def value(self) -> float:
        """The value of the choice; NaN where none was predicted."""
        return float(self.values[self.chosen])

    @property
    def spread(self) -> NDArray[np.float64]:
        """(n,) standard deviation of each candidate's predictions; 0 without any."""
        known = np.isfinite(self.members)
        spread = np.zeros(len(self.members))
        for k, row in enumerate(self.members):
            spread[k] = float(np.std(row[known[k]])) if known[k].any() else 0.0
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


def _members(scores: Sequence[ScoredChunk], candidates: int) -> NDArray[np.float64]:
    members = np.full((candidates, max((len(score.values) for score in scores), default=0)), np.nan)
    for row, score in zip(members, scores, strict=False):
        row[: len(score.values)] = score.values
    return members
