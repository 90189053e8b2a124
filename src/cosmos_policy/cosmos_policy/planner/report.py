"""Make the report of one decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image

from cosmos_policy.messages import without_latent
from cosmos_policy.planner.settings import PlannerSettings
from cosmos_policy_msgs.msg import ActionChunk, Observation, PlanReport, ScoredChunk, StageTime


@dataclass(frozen=True)
class Scoring:
    """What the scorers said about all candidates of one plan."""

    scores: tuple[ScoredChunk, ...] = ()
    values: tuple[float, ...] = ()
    stages: tuple[StageTime, ...] = ()
    images: dict[int, Sequence[Image]] = field(default_factory=dict)
    checkpoint_id: str = ""


def merge_stages(stages: Sequence[StageTime]) -> list[StageTime]:
    """Merge equal stages of servers that worked side by side: the longest time, all evaluations."""
    merged: dict[int, StageTime] = {}
    for stage in stages:
        seen = merged.get(stage.stage)
        merged[stage.stage] = StageTime(
            stage=stage.stage,
            seconds=max(stage.seconds, seen.seconds if seen else 0.0),
            evaluations=stage.evaluations + (seen.evaluations if seen else 0),
        )
    return [merged[key] for key in sorted(merged)]


def plan_report(
    settings: PlannerSettings,
    observation: Observation,
    chunks: Sequence[ActionChunk],
    chosen: int,
    scoring: Scoring,
    stages: Sequence[StageTime],
    *,
    plan_index: int,
    stamp: Time,
) -> PlanReport:
    """Assemble a report that is complete enough to redraw the decision."""
    direct = settings.planner == "direct"
    report = PlanReport(
        version=PlanReport.VERSION,
        planner=PlanReport.DIRECT if direct else PlanReport.BEST_OF_N,
        aggregation="" if direct else settings.aggregation,
        instruction=observation.instruction,
        observation_stamp=observation.header.stamp,
        plan_index=plan_index,
        candidates=[without_latent(chunk) for chunk in chunks],
        scores=list(scoring.scores),
        chosen=chunks[chosen].candidate_id,
        stages=list(stages),
        evaluations_spent=sum(int(np.isfinite(score.values).sum()) for score in scoring.scores),
        imagined_images=list(scoring.images.get(chosen, ())),
        policy_checkpoint=chunks[chosen].checkpoint_id,
        planning_checkpoint=scoring.checkpoint_id,
    )
    report.header.stamp = stamp
    report.header.frame_id = observation.header.frame_id
    report.candidate_values = [float(value) for value in scoring.values] or [float(chunk.value) for chunk in chunks]
    return report
