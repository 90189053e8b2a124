"""Follow a running graph into an account of it, without being part of it.

Feedback and results of /run_task and /execute_chunk are public topics and services of the action; a listener needs no
goal of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus, GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from std_msgs.msg import Bool

from cosmos_policy import emergency_stop
from cosmos_policy.monitor.account import Account
from cosmos_policy.plans import Plan
from cosmos_policy.qos import LATCHED, REPORTS
from cosmos_policy_msgs.action import ExecuteChunk, RunTask
from cosmos_policy_msgs.msg import PlanReport

TASK, CHUNK = "/run_task", "/execute_chunk"
RUNNING = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)
ENDED = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED, GoalStatus.STATUS_ABORTED)


class Listener:
    """Keep an account of the graph; call `on_plan` with every readable plan, `on_stop` with every word of the stop.

    All callbacks belong to one mutually exclusive group. Subscriptions live as long as the node.
    """

    def __init__(
        self,
        node: Node,
        account: Account,
        on_plan: Callable[[Plan], None],
        group: CallbackGroup,
        on_stop: Callable[[bool], None] | None = None,
    ) -> None:
        self._node, self._account, self._on_plan, self._on_stop = node, account, on_plan, on_stop
        self._asked: set[bytes] = set()
        # Publishers that do not latch are not heard on latched topics; the warning about them would only confuse.
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
        listen = partial(node.create_subscription, callback_group=group, event_callbacks=quiet)
        self._subscriptions = [
            listen(PlanReport, "/plan_report", self._take_report, REPORTS),
            listen(Bool, emergency_stop.TOPIC, self._take_stop, LATCHED),
            listen(DiagnosticArray, "/diagnostics", account.take_diagnostics, REPORTS),
            listen(RunTask.Impl.FeedbackMessage, f"{TASK}/_action/feedback", self._take_feedback, REPORTS),
            listen(GoalStatusArray, f"{TASK}/_action/status", self._take_status, LATCHED),
            listen(ExecuteChunk.Impl.FeedbackMessage, f"{CHUNK}/_action/feedback", self._take_execution, REPORTS),
        ]
        self._results = node.create_client(
            RunTask.Impl.GetResultService, f"{TASK}/_action/get_result", callback_group=group
        )

    def _take_report(self, report: PlanReport) -> None:
        try:
            plan = Plan.from_report(report)
        except ValueError as error:
            self._account.problem = f"/plan_report cannot be read ({error})"
            self._node.get_logger().warning(self._account.problem)
            return
        known = plan.values[np.isfinite(plan.values)]
        lowest, highest = (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)
        self._account.take_plan(plan, lowest, highest)
        self._on_plan(plan)

    def _take_stop(self, message: Bool) -> None:
        self._account.stopped = message.data
        if self._on_stop is not None:
            self._on_stop(message.data)

    def _take_feedback(self, message: Any) -> None:
        self._account.begin_task()
        self._account.feedback = message.feedback

    def _take_execution(self, message: Any) -> None:
        self._account.execution = message.feedback

    def _take_status(self, message: GoalStatusArray) -> None:
        if any(status.status in RUNNING for status in message.status_list):
            self._account.begin_task()
        for status in message.status_list:
            identity = bytes(status.goal_info.goal_id.uuid)
            if status.status in ENDED and identity not in self._asked:
                self._asked.add(identity)
                self._ask_result(status)

    def _ask_result(self, status: GoalStatus) -> None:
        request = RunTask.Impl.GetResultService.Request(goal_id=status.goal_info.goal_id)
        self._results.call_async(request).add_done_callback(self._take_result)

    def _take_result(self, future: Any) -> None:
        response = future.result()
        # A goal that was refused because another one runs tells nothing of the task; one long gone has no result.
        if response.status in ENDED and response.result.termination != RunTask.Result.BUSY:
            self._account.end_task(response.result)
