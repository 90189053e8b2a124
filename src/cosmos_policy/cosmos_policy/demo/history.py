"""What happened during a demonstration, as the graph's messages told it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cosmos_policy.messages import constant_name
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_msgs.action import RunTask
from cosmos_policy_msgs.msg import PlanReport

Feedback = RunTask.Feedback


@dataclass
class History:
    """A running account; written by the ROS thread, read by display and recorder."""

    plans: list[PlanRecord] = field(default_factory=list)
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
        plan = PlanRecord.from_report(report)
        with self.lock:
            self.plans.append(plan)

    @property
    def phase_name(self) -> str:
        """The planner's phase in lower case, or how the task ended."""
        return self.outcome or constant_name(Feedback, self.phase).lower()

    @property
    def plan(self) -> PlanRecord | None:
        """The newest decision."""
        return self.plans[-1] if self.plans else None
