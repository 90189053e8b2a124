"""The planner: carry out an instruction chunk by chunk."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.subscription import Subscription
from std_msgs.msg import Bool, String

from aloha_nodes.emergency_stop import EmergencyStop
from aloha_nodes.qos import LATCHED, REPORTS
from aloha_nodes.running import run
from cosmos_policy.action_client import ActionClient
from cosmos_policy.managed_node import ManagedNode
from cosmos_policy.observations import ObservationBuffer
from cosmos_policy.planner.archive import Archive
from cosmos_policy.planner.parameters import DEFAULTS, SETTINGS
from cosmos_policy.planner.pulse import Pulse
from cosmos_policy.planner.session import Links, Result, Situation
from cosmos_policy.planner.settings import PlannerSettings
from cosmos_policy.planner.success import SuccessWatch
from cosmos_policy.planner.task import run_task
from cosmos_policy.qos import CANCEL_TOPIC, CANCELLATIONS
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_msgs.action import ExecuteChunk, RunTask
from cosmos_policy_msgs.msg import PlanReport
from cosmos_policy_msgs.srv import ProposeChunks, ScoreChunks

END_TIMEOUT = 2.5  # [s] for a running task to end when the node is deactivated


class PlannerNode(ManagedNode):
    """Perceive, plan and execute until the task is done, cancelled or out of budget.

    Action /run_task (RunTask), one goal at a time; a second one ends as BUSY. Publishes every decision on /plan_report,
    and plans that are given up on /cancel_plan. A success counts when /task_success reports it after the goal began.

    A goal has one of the executor's threads for itself; the others carry messages. Topics, services and actions are
    opened once and kept in every state: rclpy's executor does not survive what it spins being destroyed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("planner", **options)
        self._embodiment: str = self.declare("embodiment", "aloha", "Contract: a name that ships, or a YAML file.")
        self._settings = self._declare_settings()
        self._situation = Situation(closing=True)
        self._success = SuccessWatch()
        self._turn = threading.Lock()
        self._met: dict[Any, Any] = {}
        self._away: dict[Any, Any] = {}
        self._observations: ObservationBuffer | None = None
        self._sensors, self._answers = MutuallyExclusiveCallbackGroup(), ReentrantCallbackGroup()
        self._pulse = Pulse()
        self._listen("/task_success", self._success.report)
        self._stop = EmergencyStop(self, self._on_stop, self._sensors, obeys=False)
        self._archive = Archive(self._settings.report_folder, self.get_logger().warning)
        self._reports = self.create_publisher(PlanReport, "/plan_report", REPORTS)
        self._cancellations = self.create_publisher(String, CANCEL_TOPIC, CANCELLATIONS)
        self._policy = self._client(ProposeChunks, f"{self._settings.policy}/propose_chunks")
        self._scorers = tuple(self._client(ScoreChunks, f"{name}/score_chunks") for name in self._settings.scorers)
        self._executor_client = ActionClient(self, ExecuteChunk, "/execute_chunk", callback_group=self._answers)
        self._server = ActionServer(
            self,
            RunTask,
            "/run_task",
            self._execute,
            callback_group=self._answers,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def _declare_settings(self) -> PlannerSettings:
        return PlannerSettings(**{name: self._declare_setting(name, text, limits) for name, text, limits in SETTINGS})

    def _declare_setting(self, name: str, description: str, limits: Mapping[str, Any]) -> Any:
        default = getattr(DEFAULTS, name)
        listed = isinstance(default, tuple)
        value = self.declare(name, list(default) if listed else default, description, **limits)
        return tuple(value) if listed else value

    def configure(self) -> None:
        """Read the contract and listen to its robot."""
        if self._observations is None:
            self._contract = Embodiment.load(self._embodiment)
            observations = ObservationBuffer(self._contract)
            observations.subscribe(self)
            self._observations = observations

    def activate(self) -> None:
        """Accept goals."""
        self._situation.closing = False
        settings = self._settings
        how = f"{settings.planner}, {settings.proposals} candidate(s), mode {settings.mode}"
        self.get_logger().info(f"/run_task is served: {how}")

    def deactivate(self) -> None:
        """End a running task, with the arms held."""
        self._situation.closing = True
        if self._turn.acquire(timeout=END_TIMEOUT):
            self._turn.release()
        else:
            self.get_logger().warning("the running task did not end in time; the executor holds the arms on its own")

    # Parts --------------------------------------------------------------------------------------------------------

    def _client(self, kind: type, name: str) -> Any:
        return self.create_client(kind, name, callback_group=self._answers)

    def _listen(self, topic: str, take: Callable[[Bool, dict[str, Any]], None]) -> None:
        tells_when_sent = hasattr(Subscription, "CallbackType")  # not on Humble, where the arrival has to do

        def take_now(message: Bool) -> None:
            take(message, {"source_timestamp": time.time_ns()})

        callback = take if tells_when_sent else take_now
        self.create_subscription(Bool, topic, callback, LATCHED, callback_group=self._sensors)

    def _links(self, observations: ObservationBuffer) -> Links:
        return Links(
            node=self,
            settings=self._settings,
            observations=observations,
            pulse=self._pulse,
            success=self._success,
            situation=self._situation,
            policy=self._policy,
            scorers=self._scorers,
            executor=self._executor_client,
            publish_report=self._publish_report,
            publish_cancellation=self._cancellations.publish,
            contract=self._contract,
            met=self._met,
            away=self._away,
        )

    def _publish_report(self, report: PlanReport) -> None:
        self._reports.publish(report)
        self._archive.keep(report)

    def _on_stop(self, raised: bool) -> None:
        self._situation.stopped = raised

    def _execute(self, goal: ServerGoalHandle) -> RunTask.Result:
        if self._observations is None or self._situation.closing:
            return _refuse(
                goal, Result.SHUTDOWN, f"{self.get_name()} is {self.state}. Activate it, then send the goal."
            )
        if not self._turn.acquire(blocking=False):
            return _refuse(goal, Result.BUSY, "another task is running. Cancel it, or wait for its end.")
        try:
            result = run_task(self._links(self._observations), goal)
        finally:
            self._turn.release()
        self.get_logger().info(result.message or "the task succeeded")
        if result.termination == Result.SUCCEEDED:
            goal.succeed()
        elif result.termination == Result.CANCELLED:
            goal.canceled()
        else:
            goal.abort()
        return result


def _refuse(goal: ServerGoalHandle, termination: int, message: str) -> RunTask.Result:
    goal.abort()
    return Result(termination=termination, message=message)


def main(args: list[str] | None = None) -> int:
    """Run the planner."""
    return run(PlannerNode, args)


if __name__ == "__main__":
    sys.exit(main())
