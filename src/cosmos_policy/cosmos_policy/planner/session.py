"""What all phases of a task share: interruptions, bounded waiting, asking services, feedback to the client."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.action.server import ServerGoalHandle
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String

from cosmos_policy.action_client import ActionClient
from cosmos_policy.observations import ObservationBuffer
from cosmos_policy.planner.pulse import Pulse
from cosmos_policy.planner.settings import PlannerSettings
from cosmos_policy.planner.success import SuccessWatch
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_msgs.action import RunTask
from cosmos_policy_msgs.msg import PlanReport

Result = RunTask.Result
Feedback = RunTask.Feedback


GREETING_TIMEOUT = 2.0  # [s] for an answer that costs nothing
SETTLING = 0.3  # [s] until a server that just appeared knows us as we know it


class TaskEnd(Exception):
    """Ends the task with one of RunTask's termination constants."""

    def __init__(self, termination: int, message: str = "") -> None:
        super().__init__(message)
        self.termination = termination


@dataclass
class Situation:
    """What can end a task from outside; the node keeps it up to date."""

    stopped: bool = False  # the emergency stop is latched
    closing: bool = False  # the planner is being deactivated


@dataclass(frozen=True)
class Links:
    """What a task talks to."""

    node: Node
    settings: PlannerSettings
    observations: ObservationBuffer
    pulse: Pulse
    success: SuccessWatch
    situation: Situation
    policy: Client
    scorers: tuple[Client, ...]
    executor: ActionClient
    publish_report: Callable[[PlanReport], None]
    publish_cancellation: Callable[[String], None]
    contract: Embodiment
    met: dict[Client, Any]
    """Servers that answered a greeting, and what they said."""
    away: dict[Client, Future | None]
    """Scorers that do not take part, and the question whether they are back."""


class Session:
    """One accepted goal, from the side of its client."""

    def __init__(self, links: Links, goal: ServerGoalHandle) -> None:
        self.links = links
        self.settings = links.settings
        self.request: RunTask.Goal = goal.request
        self.feedback = Feedback()
        self.watch: Callable[[], None] = nothing
        """Looked at with everything else that can end the task: a chunk that runs while a plan is made."""
        self._goal = goal
        self._told = self._logged = 0.0
        self._began = links.node.get_clock().now()

    def check(self) -> None:
        """Raise when the task must end; called at every look of every wait."""
        if self._goal.is_cancel_requested:
            raise TaskEnd(Result.CANCELLED, "cancelled by the client; the arms hold.")
        if self.links.situation.stopped:
            raise TaskEnd(Result.EMERGENCY_STOP, "/emergency_stop is latched. Clear the cause, then lower the stop.")
        if self.links.situation.closing:
            raise TaskEnd(Result.SHUTDOWN, "the planner is being deactivated. Activate it and send the goal again.")
        if self.links.success.succeeded:
            raise TaskEnd(Result.SUCCEEDED)
        self.watch()
        limit = self.request.max_duration
        if 0 < limit <= self.elapsed():
            raise TaskEnd(Result.BUDGET_SPENT, f"max_duration of {limit} s is over without success.{self.left_over()}")

    def elapsed(self) -> float:
        """Node time since the goal began [s]."""
        return (self.links.node.get_clock().now() - self._began).nanoseconds * 1e-9

    def left_over(self) -> str:
        """Explain a missing success by one that was never taken back, or return an empty string."""
        if not self.links.success.left_over:
            return ""
        return " /task_success has been true since before the task. Reset the cell first."

    def ask(self, client: Client, request: Any, phase: int, timeout: float, termination: int) -> Any:
        """Call a service that was met.

        Args:
            phase: what to show while the answer is awaited.
            timeout: wall time for the answer [s].
            termination: how the task ends when there is none, or when the node is not ready any more.
        """
        self.show(phase)
        response, problem = self._call(client, request, timeout)
        if response is not None and response.status == type(response).NOT_READY:
            problem = str(response.message)
        if problem:
            self.links.met.pop(client, None)
            raise TaskEnd(termination, f"{client.srv_name}: {problem}")
        return response

    def lose(self, client: Client) -> None:
        """Do without a scorer until it says that it is back."""
        self.links.met.pop(client, None)
        self.links.away[client] = None

    def cancel_plan(self, plan_id: str) -> None:
        """Free the devices that still work on a plan."""
        self.links.publish_cancellation(String(data=plan_id))

    def meet(self, client: Client, greeting: Any, termination: int) -> Any:
        """Make sure that a service is there, hears us, is heard, and is ready; the first time and after it was gone.

        The first answer of a service may be lost, because it does not know its new client yet. So the first
        question is one that costs nothing, asked until it is answered.

        Returns:
            The answer to the greeting.
        """
        if client in self.links.met and client.service_is_ready():
            return self.links.met[client]
        deadline = time.monotonic() + self.settings.server_timeout
        while True:
            self.server(client.service_is_ready, client.srv_name, termination)
            response, problem = self._call(client, greeting, GREETING_TIMEOUT)
            if response is not None and response.status != type(response).NOT_READY:
                self.links.met[client] = response
                return response
            problem = f"{client.srv_name}: {problem or response.message}"
            if time.monotonic() > deadline:
                raise TaskEnd(termination, problem)
            self.wait_for(problem)
            self.links.pulse.until(lambda: False, 0.2, self.check)

    def _call(self, client: Client, request: Any, timeout: float) -> tuple[Any, str]:
        """Call a service; return its response, or None and what went wrong."""
        answer = client.call_async(request)
        answer.add_done_callback(self.links.pulse.wake)
        try:
            in_time = self.links.pulse.until(
                lambda: answer.done() or not client.service_is_ready(), timeout, self.check
            )
        finally:
            client.remove_pending_request(answer)
        if answer.done():
            return answer.result(), ""
        what = "it went away while answering" if in_time else f"no answer within {timeout} s"
        return None, f"{what}. Read its node's log."

    def server(self, ready: Callable[[], bool], name: str, termination: int) -> None:
        """Wait for a server to appear; the task ends with `termination` when it does not."""
        if ready():
            return

        def there() -> bool:
            if ready():
                return True
            self.wait_for(f"{name}: not there yet. Is its node running?")
            return False

        limit = self.settings.server_timeout
        if not self.links.pulse.until(there, limit, self.check):
            raise TaskEnd(termination, f"{name}: not there within {limit} s. Start its node, or activate it.")
        self.links.pulse.until(lambda: False, SETTLING, self.check)

    def action_server(self, client: ActionClient, name: str, termination: int) -> None:
        """Wait for an action server to appear, as :meth:`server` does, and to answer."""
        self.server(client.server_is_ready, name, termination)
        limit = self.settings.server_timeout
        if not self.links.pulse.until(client.server_answers, limit, self.check):
            raise TaskEnd(termination, f"{name}: no answer within {limit} s. Read its node's log.")

    def show(self, phase: int, step: int = 0, steps: int = 0) -> None:
        """Show a phase to the client."""
        self.feedback.phase = phase
        self.feedback.step, self.feedback.steps = step, steps
        self.feedback.waiting_for = ""
        self._publish()

    def progress(self, step: int, steps: int) -> None:
        """Show how far the running chunk is, whatever the phase."""
        self.feedback.step, self.feedback.steps = step, steps
        self._publish()

    def wait_for(self, reason: str) -> None:
        """Tell what the task waits for: to the client once a second, to the log once in ten."""
        now, begins = time.monotonic(), self.feedback.phase != Feedback.WAITING
        if begins or now - self._told >= 1.0:
            self._told = now
            self.feedback.phase = Feedback.WAITING
            self.feedback.waiting_for = reason
            self._publish()
        if begins or now - self._logged >= 10.0:
            self._logged = now
            self.links.node.get_logger().info(reason)

    def _publish(self) -> None:
        if self._goal.is_active:
            self._goal.publish_feedback(self.feedback)


def nothing() -> None:
    """Watch nothing."""
