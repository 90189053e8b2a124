"""Command a running graph from a script: verbs that block, with time-outs.

    with Commander() as commander:
        scene = commander.reset_cell(seed=7)
        outcome = commander.run_task(scene.instruction, max_chunks=6, seed=7)

Threads: a background thread spins the node; verbs are called from any other thread. Feedback callbacks run in the
background thread and must not call verbs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import rclpy
from rclpy.action.client import ClientGoalHandle
from rclpy.client import Client
from rclpy.context import Context
from rclpy.node import Node

from aloha_nodes.spinning import SpinningThread
from cosmos_policy.action_client import ActionClient
from cosmos_policy.answers import wait_for
from cosmos_policy.errors import NoAnswer
from cosmos_policy.messages import constant_name
from cosmos_policy_msgs.action import RunTask
from cosmos_policy_msgs.srv import ResetCell

SETTLING = 0.8  # [s] of discovery: a service that does not know us yet sends its answer to nobody
ANSWER_TIMEOUT = 10.0  # [s] for short questions: acceptance, cancellation


@dataclass(frozen=True)
class Scene:
    """Where a reset left the cell."""

    instruction: str
    object_pose: tuple[float, ...]


@dataclass(frozen=True)
class TaskOutcome:
    """How a task ended. `termination` is a constant of RunTask's result, `reason` its name."""

    termination: int
    reason: str
    message: str
    chunks_executed: int
    duration: float

    @property
    def succeeded(self) -> bool:
        """Whether success was reported."""
        return self.termination == RunTask.Result.SUCCEEDED


class Commander:
    """Talk to the planner and the cell of a running graph."""

    def __init__(self, name: str = "commander", context: Context | None = None) -> None:
        self._own_context = context is None
        self._context = context or Context()
        if self._own_context:
            rclpy.init(context=self._context)
        self.node = Node(name, context=self._context)
        self._reset: Client = self.node.create_client(ResetCell, "/sim/reset")
        self._task = ActionClient(self.node, RunTask, "/run_task")
        self._goal: ClientGoalHandle | None = None
        self._settled = time.monotonic() + SETTLING
        self._spinning = SpinningThread(self.node, context=self._context)

    def __enter__(self) -> Commander:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the graph."""
        self._spinning.stop()
        self.node.destroy_node()
        if self._own_context:
            self._context.try_shutdown()

    # Verbs --------------------------------------------------------------------------------------------------------

    @property
    def planner_is_there(self) -> bool:
        """Whether somebody serves /run_task."""
        return bool(self._task.server_is_ready())

    @property
    def cell_is_there(self) -> bool:
        """Whether somebody serves /sim/reset."""
        return bool(self._reset.service_is_ready())

    def wait_for_planner(self, timeout: float = 60.0) -> None:
        """Wait until /run_task is served; raises NoAnswer when it is not within `timeout` [s]."""
        if self._task.wait_for_server(timeout):
            return
        if self.planner_is_there:
            raise NoAnswer(f"/run_task: who serves it has not answered for {timeout:.0f} s. Does the planner hang?")
        raise NoAnswer(f"/run_task: nobody serves it within {timeout:.0f} s. Start the planner and activate it.")

    def reset_cell(self, seed: int, task: str = "", timeout: float = 60.0) -> Scene:
        """Put the simulated cell to its start state; raises NoAnswer when it cannot."""
        if not self._cell_appears(timeout):
            raise NoAnswer(f"/sim/reset: nobody serves it within {timeout:.0f} s. Start the graph with robot:=sim.")
        response = wait_for(self._reset.call_async(ResetCell.Request(seed=seed, task=task)), timeout, "/sim/reset")
        if not response.success:
            raise NoAnswer(f"/sim/reset: {response.message}")
        return Scene(response.instruction, tuple(response.object_pose))

    def run_task(
        self,
        instruction: str,
        *,
        max_chunks: int = 0,
        max_duration: float = 0.0,
        seed: int = 0,
        timeout: float = 600.0,
        on_feedback: Callable[[RunTask.Feedback], None] | None = None,
        check: Callable[[], None] | None = None,
    ) -> TaskOutcome:
        """Have an instruction carried out and wait for the end.

        Args:
            max_chunks: chunks to execute at most; 0: bounded by `max_duration` only.
            max_duration: node time [s]; 0: bounded by `max_chunks` only.
            seed: base seed of the proposals.
            timeout: wall time to wait [s]; the task is cancelled when it is over.
            on_feedback: called in the background thread.
            check: called twice a second while waiting; may raise to give up, and the task is cancelled.

        Raises:
            NoAnswer: no planner, or none that answers.
        """
        self.wait_for_planner(min(timeout, 60.0))
        goal = RunTask.Goal(instruction=instruction, max_chunks=max_chunks, max_duration=max_duration, seed=seed)
        tell = None if on_feedback is None else lambda message: on_feedback(message.feedback)
        handle = self._task.send(goal, ANSWER_TIMEOUT, tell)
        if not handle.accepted:
            raise NoAnswer("/run_task: the planner rejected the goal. Activate it.")
        self._goal = handle
        try:
            result = wait_for(handle.get_result_async(), timeout, "/run_task", check).result
        except BaseException:
            self._cancel_quietly()
            raise
        finally:
            self._goal = None
        return TaskOutcome(
            result.termination,
            constant_name(RunTask.Result, result.termination),
            result.message,
            result.chunks_executed,
            result.duration,
        )

    def cancel(self, timeout: float = ANSWER_TIMEOUT) -> None:
        """Cancel the running task, from any thread; a no-op when none runs."""
        if self._goal is not None:
            wait_for(self._goal.cancel_goal_async(), timeout, "/run_task")

    def _cell_appears(self, timeout: float) -> bool:
        """Wait for the cell; where it or we just appeared it gets a moment to know us, or its answer is lost."""
        deadline = time.monotonic() + timeout
        while not self.cell_is_there:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
            self._settled = time.monotonic() + SETTLING
        time.sleep(max(0.0, self._settled - time.monotonic()))
        return True

    def _cancel_quietly(self) -> None:
        with contextlib.suppress(NoAnswer):  # whoever gives up has a better reason to tell
            self.cancel(timeout=1.0)
