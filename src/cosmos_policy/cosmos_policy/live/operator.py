"""What the buttons of the live view do to the graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from action_msgs.srv import CancelGoal
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from aloha_nodes import emergency_stop
from aloha_nodes.qos import LATCHED
from cosmos_policy.action_client import ActionClient
from cosmos_policy_msgs.action import RunTask
from cosmos_policy_msgs.srv import ResetCell

Tell = Callable[[str], None]
HOLD = "If the arms must hold, press EMERGENCY STOP."
PATIENCE = 2.0  # [s] of wall time until a question counts as unanswered


class Operator:
    """Start and cancel tasks, raise and release the emergency stop.

    Verbs return at once, from any thread; `tell` hears, in the node's thread, what became of them. `complain` is to be
    called there now and then.
    """

    def __init__(self, node: Node, tell: Tell, group: CallbackGroup) -> None:
        self._tell = tell
        self._task = ActionClient(node, RunTask, "/run_task", callback_group=group)
        self._cancel = node.create_client(CancelGoal, "/run_task/_action/cancel_goal", callback_group=group)
        self._stop = node.create_client(SetBool, emergency_stop.SERVICE, callback_group=group)
        self._reset = node.create_client(ResetCell, "/sim/reset", callback_group=group)
        self._stops = node.create_publisher(Bool, emergency_stop.TOPIC, LATCHED)
        self._raised = self._heard = False
        self._unanswered: dict[Any, tuple[str, float]] = {}  # future -> what to say of silence, and when it was asked

    @property
    def cell_is_there(self) -> bool:
        """Whether the robot is simulated."""
        return bool(self._reset.service_is_ready())

    def start(self, instruction: str, max_chunks: int, seed: int) -> None:
        """Have an instruction carried out."""
        if not self._task.server_answers():
            self._tell("/run_task does not answer. Start the planner, or wait until it is up.")
            return
        goal = RunTask.Goal(instruction=instruction, max_chunks=max_chunks, seed=seed)
        silence = f"no answer from /run_task for {PATIENCE:.0f} s. Does the planner hang?"
        self._await(self._task.send_goal_async(goal), _accepted, silence)

    def cancel(self) -> None:
        """Cancel every task, whoever started it."""
        self._ask(self._cancel, CancelGoal.Request(), "/run_task", _cancelled, HOLD)

    def raise_stop(self) -> None:
        """Raise the emergency stop on both ways; either may be the one that works."""
        self._stops.publish(Bool(data=True))
        self._raised = True
        published = f"`true` was published on {emergency_stop.TOPIC} all the same."
        self._ask(self._stop, SetBool.Request(data=True), emergency_stop.SERVICE, _message, published)

    def hear_stop(self, raised: bool) -> None:
        """Follow the stop: once it is released, whoever joins later must not hear ours, which is latched."""
        if raised:
            self._heard = True
        elif self._raised and self._heard:
            self._raised = self._heard = False
            self._stops.publish(Bool(data=False))

    def release_stop(self) -> None:
        """Release the emergency stop."""
        self._ask(self._stop, SetBool.Request(data=False), emergency_stop.SERVICE, _message)

    def reset_cell(self, seed: int, on_instruction: Tell) -> None:
        """Put the simulated cell to a start state; its instruction is handed on."""

        def words(answer: ResetCell.Response) -> str:
            if answer.success:
                on_instruction(answer.instruction)
            return f"scene {seed} is set." if answer.success else str(answer.message)

        self._ask(self._reset, ResetCell.Request(seed=seed), "/sim/reset", words)

    def _ask(
        self, client: Any, request: Any, name: str, words: Callable[[Any], str], remedy: str = "Does its node hang?"
    ) -> None:
        if not client.service_is_ready():
            self._tell(f"nobody serves {name}. Is its node running?")
            return
        self._await(client.call_async(request), words, f"no answer from {name} for {PATIENCE:.0f} s. {remedy}")

    def _await(self, future: Any, words: Callable[[Any], str], silence: str) -> None:
        self._unanswered[future] = (silence, time.monotonic())
        future.add_done_callback(partial(self._on_answer, words))

    def _on_answer(self, words: Callable[[Any], str], future: Any) -> None:
        self._unanswered.pop(future, None)
        self._tell(words(future.result()))

    def complain(self) -> None:
        """Stay in touch with the planner, and name who has not answered; a late answer is told all the same."""
        self._task.server_answers()
        for future, (words, asked) in list(self._unanswered.items()):
            if time.monotonic() - asked > PATIENCE:
                self._unanswered.pop(future, None)
                self._tell(words)


def _accepted(handle: Any) -> str:
    return "the task was accepted." if handle.accepted else "the planner rejected the task. Activate it."


def _cancelled(answer: CancelGoal.Response) -> str:
    if answer.goals_canceling:
        return "the task is being cancelled; the arms hold when it has ended."
    if answer.return_code == CancelGoal.Response.ERROR_REJECTED:
        return f"the planner refused to cancel. {HOLD}"
    return f"nothing was cancelled: no task runs, or the planner refused. {HOLD}"  # a refusing rclpy says no more


def _message(answer: SetBool.Response) -> str:
    return str(answer.message)
