"""Make the report of one decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage

from cosmos_policy.messages import without_latent
from cosmos_policy.plan_messages import settings_message
from cosmos_policy.planner.settings import PlannerSettings
from cosmos_policy_msgs.msg import (
    ActionChunk,
    ImaginedState,
    Observation,
    PlanReport,
    ScoredChunk,
    ScorerShare,
    StageTime,
)


@dataclass(frozen=True)
class Scoring:
    """What the scorers said about all candidates of one plan, and what that led to."""

    scores: tuple[ScoredChunk, ...] = ()
    values: tuple[float, ...] = ()
    stages: tuple[StageTime, ...] = ()
    images: tuple[CompressedImage, ...] = ()
    checkpoint_id: str = ""
    completed: int = PlanReport.DECIDED
    threshold: float = 0.0
    spent: int = 0
    saved: int = 0
    states: tuple[ImaginedState, ...] = ()
    shares: tuple[ScorerShare, ...] = ()


@dataclass(frozen=True)
class Circumstances:
    """When and how a plan was made. mode: HOLD, OVERLAP or DEADLINE. duration, limit: wall time [s]; 0: no limit."""

    plan_index: int
    stamp: Time
    mode: int
    duration: float
    limit: float


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
    circumstances: Circumstances,
) -> PlanReport:
    """Assemble a report that is complete enough to redraw the decision."""
    direct = settings.planner == "direct"
    report = PlanReport(
        version=PlanReport.VERSION,
        planner=PlanReport.DIRECT if direct else PlanReport.BEST_OF_N,
        preset="" if direct else settings.preset,
        settings=settings_message(settings.planning),
        aggregation="" if direct else settings.aggregation,
        mode=circumstances.mode,
        completed=scoring.completed,
        instruction=observation.instruction,
        observation_stamp=observation.header.stamp,
        plan_index=circumstances.plan_index,
        candidates=[without_latent(chunk) for chunk in chunks],
        scores=list(scoring.scores),
        chosen=chunks[chosen].candidate_id,
        stages=list(stages),
        duration=circumstances.duration,
        time_limit=circumstances.limit,
        evaluations_spent=scoring.spent,
        evaluations_saved=scoring.saved,
        states=list(scoring.states),
        shares=list(scoring.shares),
        imagined_images=list(scoring.images),
        policy_checkpoint=chunks[chosen].checkpoint_id,
        planning_checkpoint=scoring.checkpoint_id,
    )
    report.settings.threshold = scoring.threshold
    report.header.stamp = circumstances.stamp
    report.header.frame_id = observation.header.frame_id
    report.candidate_values = [float(value) for value in scoring.values] or [float(chunk.value) for chunk in chunks]
    return report
