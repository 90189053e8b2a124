"""What happened during a demonstration, as the graph's messages told it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cosmos_policy.messages import chunk_actions, constant_name, image_array, seconds
from cosmos_policy_msgs.action import RunTask
from cosmos_policy_msgs.msg import PlanReport, StageTime

Feedback = RunTask.Feedback


@dataclass(frozen=True)
class Plan:
    """One decision. Times are node time [s]; stages are wall time [s]."""

    index: int
    made: float
    values: NDArray[np.float64]
    spread: NDArray[np.float64]
    chosen: int
    stages: dict[str, float]
    actions: NDArray[np.float64]
    imagined: tuple[NDArray[np.uint8], ...]

    @classmethod
    def from_report(cls, report: PlanReport) -> Plan:
        """Read a report; `spread` is each candidate's standard deviation over its value predictions, 0 without any."""
        spread = [float(np.std(score.values)) if len(score.values) else 0.0 for score in report.scores]
        chosen = next(k for k, chunk in enumerate(report.candidates) if chunk.candidate_id == report.chosen)
        return cls(
            index=report.plan_index,
            made=seconds(report.header.stamp),
            values=np.asarray(report.candidate_values, dtype=np.float64),
            spread=np.asarray(spread or [0.0] * len(report.candidates)),
            chosen=chosen,
            stages={constant_name(StageTime, stage.stage).lower(): stage.seconds for stage in report.stages},
            actions=chunk_actions(report.candidates[chosen]),
            imagined=tuple(image_array(image) for image in report.imagined_images),
        )


@dataclass
class History:
    """A running account; written by the ROS thread, read by display and recorder."""

    plans: list[Plan] = field(default_factory=list)
    phase: int = Feedback.WAITING
    plan_index: int = 0
    step: int = 0
    steps: int = 0
    waiting_for: str = ""
    outcome: str = ""
    first_execution: float | None = None
    states: list[tuple[float, NDArray[np.float64]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take_feedback(self, feedback: RunTask.Feedback) -> None:
        """Follow the planner."""
        with self.lock:
            self.phase, self.waiting_for = feedback.phase, feedback.waiting_for
            self.plan_index = feedback.plan_index
            self.step, self.steps = feedback.step, feedback.steps
            if feedback.phase == Feedback.EXECUTING and self.first_execution is None:
                self.first_execution = time.monotonic()

    def take_report(self, report: PlanReport) -> None:
        """Keep a decision."""
        plan = Plan.from_report(report)
        with self.lock:
            self.plans.append(plan)

    @property
    def phase_name(self) -> str:
        """The planner's phase in lower case, or how the task ended."""
        return self.outcome or constant_name(Feedback, self.phase).lower()

    @property
    def plan(self) -> Plan | None:
        """The newest decision."""
        return self.plans[-1] if self.plans else None
