"""One goal of the planner: perceive, plan, execute, until done, cancelled or out of budget."""

from __future__ import annotations

import math
import traceback

from rclpy.action.server import ServerGoalHandle

from cosmos_policy.planner.execution import Execution
from cosmos_policy.planner.planning import Planning
from cosmos_policy.planner.session import Links, Result, Session, TaskEnd
from cosmos_policy_msgs.action import RunTask


async def run_task(links: Links, goal: ServerGoalHandle) -> RunTask.Result:
    """Work on one accepted goal until it ends; the result says why.

    A coroutine for the node's executor: every wait in it is interruptible and bounded.
    """
    session = Session(links, goal)
    execution = Execution(session)
    result = Result()
    try:
        _check_goal(session.request)
        links.success.begin()
        await _repeat(session, execution)
    except TaskEnd as end:
        result.termination, result.message = end.termination, str(end)
    except Exception as defect:  # an unset result would read as success
        links.node.get_logger().error(f"the planner has a defect:\n{traceback.format_exc()}")
        result.termination = Result.EXECUTION_FAILED
        result.message = f"the planner has a defect ({defect!r}). Read its log and report it."
    result.chunks_executed = execution.chunks
    result.duration = session.elapsed()
    return result


def _check_goal(request: RunTask.Goal) -> None:
    if not request.instruction.strip():
        raise TaskEnd(Result.BAD_GOAL, "instruction: empty. Say what to do, in the words of the checkpoint.")
    if not (math.isfinite(request.max_duration) and request.max_duration >= 0):
        raise TaskEnd(Result.BAD_GOAL, f"max_duration: {request.max_duration} is not a time. Give seconds, or 0.")
    if request.max_chunks == 0 and request.max_duration == 0:
        raise TaskEnd(Result.BAD_GOAL, "max_chunks and max_duration are both 0. Give at least one budget.")


async def _repeat(session: Session, execution: Execution) -> None:
    links, limit = session.links, session.request.max_chunks
    planning = Planning(session)
    at_rest = links.node.get_clock().now()
    plan_index = 0
    while limit == 0 or plan_index < limit:
        chunk = await planning.run(plan_index, at_rest)
        await execution.run(chunk)
        at_rest = links.node.get_clock().now()
        plan_index += 1
    # The report of a success in the last step may still be on its way.
    await links.pulse.until(lambda: False, session.settings.success_grace, session.check)
    raise TaskEnd(Result.BUDGET_SPENT, f"{plan_index} chunk(s) executed without success.{session.left_over()}")
