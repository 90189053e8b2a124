"""The state of a running graph, as its messages told it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from cosmos_policy.messages import constant_name
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_msgs.action import ExecuteChunk, RunTask

SILENCE = 3.0  # [s] of wall time after which what a node said is no longer taken for its state
STOP_KEY = "emergency_stop"  # in what the stop's owner and the chunk executor say of themselves
REMEMBERED = 200  # plans in the timeline

Feedback = RunTask.Feedback
MODES = {ExecuteChunk.Goal.HOLD: "hold", ExecuteChunk.Goal.OVERLAP: "overlap", ExecuteChunk.Goal.DEADLINE: "deadline"}


@dataclass(frozen=True)
class PlanPoint:
    """One plan in the timeline; the big parts of a plan are not remembered."""

    index: int
    made: float
    value: float
    lowest: float
    highest: float
    seconds: float


@dataclass(frozen=True)
class Health:
    """What a node last said of itself."""

    level: int
    message: str
    heard: float


@dataclass
class Account:
    """A running account. One thread writes; others may read, and see each field old or new, never half.

    Args:
        clock: steady time [s], by which words grow old.
        stopped: the last word on the emergency stop, however old; `stop` is what is known now.
        silent: sentences about sources that have fallen silent.
    """

    clock: Callable[[], float] = time.monotonic
    plan: PlanRecord | None = None
    timeline: deque[PlanPoint] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    feedback: RunTask.Feedback | None = None
    execution: ExecuteChunk.Feedback | None = None
    running: bool = False
    outcome: str = ""
    stopped: bool | None = None
    silent: tuple[str, ...] = ()
    health: dict[str, Health] = field(default_factory=dict)
    problem: str = ""
    _stop_heard: float = -float("inf")
    _feedback_heard: float = -float("inf")

    def take_plan(self, plan: PlanRecord, lowest: float, highest: float) -> None:
        """Keep a decision and its point in the timeline."""
        self.plan, self.problem = plan, ""
        if self.timeline and plan.made < self.timeline[-1].made:  # another run: simulated time began anew
            self.timeline.clear()
        self.timeline.append(PlanPoint(plan.index, plan.made, plan.value, lowest, highest, plan.seconds))

    def take_diagnostics(self, message: DiagnosticArray) -> None:
        """Keep what nodes say of themselves."""
        heard = self.clock()
        for status in message.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            self.health[status.name] = Health(level, status.message, heard)
            for pair in status.values:
                if pair.key == STOP_KEY:  # on its topic the owner speaks only when the stop changes
                    self.take_stop(pair.value == "true")

    def take_stop(self, raised: bool) -> None:
        """Somebody has said whether the emergency stop is raised."""
        self._stop_heard, self.stopped = self.clock(), raised

    def take_feedback(self, feedback: RunTask.Feedback) -> None:
        """The planner has said what it does."""
        self.begin_task()
        self._feedback_heard, self.feedback = self.clock(), feedback

    def begin_task(self) -> None:
        """A task runs."""
        if not self.running:
            self._feedback_heard = self.clock()
            self.running, self.outcome, self.feedback, self.execution = True, "", None, None

    def end_task(self, result: RunTask.Result) -> None:
        """A task has ended."""
        self.running = False
        name = constant_name(RunTask.Result, result.termination).lower().replace("_", " ")
        self.outcome = f"{name}: {result.message}" if result.message else name

    def lose_task(self, reason: str) -> None:
        """A task has ended with whoever carried it out, who cannot say so."""
        self.running, self.outcome = False, reason

    @property
    def stop(self) -> bool | None:
        """Whether the emergency stop is raised; None where nobody has spoken of it for SILENCE."""
        return self.stopped if self.stop_silence <= SILENCE else None

    @property
    def stop_silence(self) -> float:
        """Wall time since anybody has spoken of the emergency stop [s]; infinite before."""
        return self.clock() - self._stop_heard

    @property
    def feedback_silence(self) -> float:
        """Wall time since the planner has said what it does [s]."""
        return self.clock() - self._feedback_heard

    @property
    def phase(self) -> str:
        """What the planner does, in lower case; idle where no task runs."""
        if not self.running:
            return "idle"
        return constant_name(Feedback, self.feedback.phase).lower() if self.feedback is not None else "starting"

    @property
    def mode(self) -> str:
        """How the last chunk took over: hold, overlap or deadline; empty before the first."""
        return MODES.get(self.execution.mode, "") if self.execution is not None else ""

    def complaints(self) -> list[str]:
        """Name what nodes report as not well now."""
        now, well = self.clock(), DiagnosticStatus.OK[0]
        return [
            f"{name}: {health.message}"
            for name, health in sorted(self.health.items())
            if health.level != well and now - health.heard < SILENCE
        ]
