"""One goal of the planner: perceive, plan, execute, until done, cancelled or out of budget."""

from __future__ import annotations

import math
import traceback
from collections import deque

from rclpy.action.server import ServerGoalHandle

from cosmos_policy.planner.execution import Execution
from cosmos_policy.planner.planning import Planning
from cosmos_policy.planner.session import Links, Result, Session, TaskEnd
from cosmos_policy.planner.settings import PlannerSettings
from cosmos_policy_msgs.action import RunTask

MARGIN = 0.05  # [s] between a plan and the seam it is made for: the take-over itself takes a tick or two


def run_task(links: Links, goal: ServerGoalHandle) -> RunTask.Result:
    """Work on one accepted goal until it ends; the result says why.

    It takes a thread until then; every wait in it is interruptible and bounded.
    """
    session = Session(links, goal)
    execution = Execution(session)
    result = Result()
    try:
        _check_goal(session.request)
        links.success.begin()
        _repeat(session, execution)
    except Exception as error:  # an unset result would read as success
        end = _as_end(links, error)
        result.termination, result.message = end.termination, str(end)
    result.chunks_executed = execution.chunks
    result.duration = session.elapsed()
    return result


def _as_end(links: Links, error: Exception) -> TaskEnd:
    """Make any error the end of a task; one that nobody foresaw is logged whole."""
    if isinstance(error, TaskEnd):
        return error
    links.node.get_logger().error(f"the planner has a defect:\n{traceback.format_exc()}")
    return TaskEnd(Result.EXECUTION_FAILED, f"the planner has a defect ({error!r}). Read its log and report it.")


def _check_goal(request: RunTask.Goal) -> None:
    if not request.instruction.strip():
        raise TaskEnd(Result.BAD_GOAL, "instruction: empty. Say what to do, in the words of the checkpoint.")
    if not (math.isfinite(request.max_duration) and request.max_duration >= 0):
        raise TaskEnd(Result.BAD_GOAL, f"max_duration: {request.max_duration} is not a time. Give seconds, or 0.")
    if request.max_chunks == 0 and request.max_duration == 0:
        raise TaskEnd(Result.BAD_GOAL, "max_chunks and max_duration are both 0. Give at least one budget.")


def _repeat(session: Session, execution: Execution) -> None:
    try:
        plans = _plan_and_execute(session, execution)
    except Exception as error:
        raise execution.halted(_as_end(session.links, error)) from error
    # The report of a success in the last step may still be on its way.
    session.links.pulse.until(lambda: False, session.settings.success_grace, session.check)
    raise TaskEnd(Result.BUDGET_SPENT, f"{plans} chunk(s) executed without success.{session.left_over()}")


def _plan_and_execute(session: Session, execution: Execution) -> int:
    """Execute plan after plan, the next one made at rest (mode hold) or while the one before is executed."""
    clock, limit, settings = session.links.node.get_clock(), session.request.max_chunks, session.settings
    planning, lead = Planning(session), Lead(settings)
    plan_index = 0
    while limit == 0 or plan_index < limit:
        moving = settings.mode != "hold" and execution.until_seam(lead.seconds)
        began = clock.now()
        chunk = planning.run(plan_index, None if moving else clock.now(), moving)
        lead.took((clock.now() - began).nanoseconds * 1e-9)
        execution.begin(chunk)
        plan_index += 1
        if settings.mode == "hold":
            execution.finish()
    execution.finish()
    return plan_index


class Lead:
    """How long before the seam a plan must begin, in node time: as long as the slowest of the last plans took.

    Against a deadline it is the deadline: a plan uses the time that it is given.
    """

    def __init__(self, settings: PlannerSettings) -> None:
        self._deadline = settings.deadline if settings.mode == "deadline" else 0.0
        self._last: deque[float] = deque(maxlen=3)

    def took(self, seconds: float) -> None:
        """Note how long a plan took [s]."""
        self._last.append(seconds)

    @property
    def seconds(self) -> float:
        """Time from the beginning of a plan to the seam it is made for [s]."""
        return (self._deadline or max(self._last, default=0.0)) + MARGIN
