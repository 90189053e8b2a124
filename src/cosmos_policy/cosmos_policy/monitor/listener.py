"""Follow a running graph into an account of it, without being part of it.

Feedback and results of /run_task and /execute_chunk are public topics and services of the action; a listener needs no
goal of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus, GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from aloha_nodes.emergency_stop import EmergencyStop
from aloha_nodes.events import NO_SUBSCRIPTION_EVENTS
from aloha_nodes.qos import LATCHED, REPORTS
from cosmos_policy.monitor.account import SILENCE, Account
from cosmos_policy_core.errors import CosmosPolicyError
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_msgs.action import ExecuteChunk, RunTask
from cosmos_policy_msgs.msg import ActionChunk, PlanReport

TASK, CHUNK = "/run_task", "/execute_chunk"
RUNNING = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)
ENDED = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED, GoalStatus.STATUS_ABORTED)
PATIENCE, MOST_QUESTIONS = 1.0, 5  # [s] until a question is repeated
GONE = f"the planner is gone: nobody serves {TASK}"


@dataclass
class _Question:
    """A goal that has ended, whose result was asked for."""

    status: GoalStatus
    asked: float = 0.0
    times: int = 0


class Listener:
    """Keep an account of the graph; call `on_plan` with every readable plan, `on_stop` with every word of the stop.

    All callbacks belong to one mutually exclusive group, in which `ask_again` is to be called now and then.
    Subscriptions live as long as the node.
    """

    def __init__(
        self,
        node: Node,
        account: Account,
        on_plan: Callable[[PlanRecord], None],
        group: CallbackGroup,
        on_stop: Callable[[bool], None] | None = None,
    ) -> None:
        self._node, self._account, self._on_plan, self._on_stop = node, account, on_plan, on_stop
        self._joints: tuple[str, ...] = ()
        self._served = 0.0
        self._asked: set[bytes] = set()
        self._open: dict[bytes, _Question] = {}
        # Publishers that do not latch are not heard on latched topics; the warning about them would only confuse.
        listen = partial(node.create_subscription, callback_group=group, event_callbacks=NO_SUBSCRIPTION_EVENTS)
        self._subscriptions = [
            listen(PlanReport, "/plan_report", self._take_report, REPORTS),
            listen(DiagnosticArray, "/diagnostics", account.take_diagnostics, REPORTS),
            listen(RunTask.Impl.FeedbackMessage, f"{TASK}/_action/feedback", self._take_feedback, REPORTS),
            listen(GoalStatusArray, f"{TASK}/_action/status", self._take_status, LATCHED),
            listen(ExecuteChunk.Impl.FeedbackMessage, f"{CHUNK}/_action/feedback", self._take_execution, REPORTS),
        ]
        self._stop = EmergencyStop(node, self._take_stop, group, obeys=False, first_word=True)
        self._results = node.create_client(
            RunTask.Impl.GetResultService, f"{TASK}/_action/get_result", callback_group=group
        )

    def expect(self, joint_names: tuple[str, ...]) -> None:
        """Take plans of these joints alone from now on, and forget one of others."""
        if joint_names != self._joints:
            self._joints, self._account.plan = joint_names, None

    def _take_report(self, report: PlanReport) -> None:
        if not self._joints:
            return  # nobody can show it before the contract is read
        try:
            plan = PlanRecord.from_report(report)
        except (ValueError, CosmosPolicyError) as error:
            self._refuse(f"/plan_report cannot be read ({error})")
            return
        for chunk in report.candidates:
            if problem := self._misfit(chunk):
                self._refuse(f"plan {plan.index} {problem}")
                return
        known = plan.values[np.isfinite(plan.values)]
        lowest, highest = (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)
        self._account.take_plan(plan, lowest, highest)
        self._on_plan(plan)

    def _refuse(self, problem: str) -> None:
        self._account.problem = problem
        self._node.get_logger().warning(problem)

    def _misfit(self, chunk: ActionChunk) -> str:
        """Say why a candidate cannot be drawn on this robot; empty where it can."""
        if tuple(chunk.joint_names) != self._joints:
            moved, known = _listed(chunk.joint_names), _listed(self._joints)
            return f"moves {moved}, not {known}. Give this view the planner's embodiment."
        return "" if chunk.horizon else f"has no actions in candidate {chunk.candidate_id}."

    def _take_stop(self, raised: bool) -> None:
        self._account.take_stop(raised)
        if self._on_stop is not None:
            self._on_stop(raised)

    def _take_feedback(self, message: Any) -> None:
        if bytes(message.goal_id.uuid) in self._asked:
            return  # overtaken by the end of its goal
        self._account.take_feedback(message.feedback)

    def _take_execution(self, message: Any) -> None:
        self._account.execution = message.feedback

    def ask_again(self) -> None:
        """Repeat questions that stay unanswered: the first one to a server that just appeared can get lost.

        A task whose server is gone is over: nobody will tell its end.
        """
        now = time.monotonic()
        if not self._account.running or self._results.service_is_ready():
            self._served = now
        elif now - self._served > SILENCE:
            self._account.lose_task(GONE)
        for identity, question in list(self._open.items()):
            if question.times >= MOST_QUESTIONS:
                del self._open[identity]
            elif now - question.asked > PATIENCE:
                self._ask(question)

    def _take_status(self, message: GoalStatusArray) -> None:
        if any(status.status in RUNNING for status in message.status_list):
            self._account.begin_task()
        elif self._account.running:
            self._account.running = False
        for status in message.status_list:
            identity = bytes(status.goal_info.goal_id.uuid)
            if status.status in ENDED and identity not in self._asked:
                self._asked.add(identity)
                self._open[identity] = _Question(status)
                self._ask(self._open[identity])

    def _ask(self, question: _Question) -> None:
        question.asked, question.times = time.monotonic(), question.times + 1
        request = RunTask.Impl.GetResultService.Request(goal_id=question.status.goal_info.goal_id)
        self._results.call_async(request).add_done_callback(partial(self._take_result, question))

    def _take_result(self, question: _Question, future: Any) -> None:
        response, identity = future.result(), bytes(question.status.goal_info.goal_id.uuid)
        if self._open.pop(identity, None) is None:
            return
        # A goal that was refused because another one runs tells nothing of the task; one long gone has no result.
        if response.status in ENDED and response.result.termination != RunTask.Result.BUSY:
            self._account.end_task(response.result)


def _listed(names: Sequence[str]) -> str:
    """Name joints without filling the screen: their number and the first one."""
    return f"{len(names)} joints ({names[0]}, ...)" if names else "no joints"
