"""What the buttons of the live view do to the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from cosmos_policy import emergency_stop
from cosmos_policy.qos import LATCHED
from cosmos_policy_msgs.action import RunTask
from cosmos_policy_msgs.srv import ResetCell

Tell = Callable[[str], None]


class Operator:
    """Start and cancel tasks, raise and release the emergency stop.

    Verbs return at once, from any thread; `tell` hears, in the node's thread, what became of them.
    """

    def __init__(self, node: Node, tell: Tell, group: CallbackGroup) -> None:
        self._tell = tell
        self._task = ActionClient(node, RunTask, "/run_task", callback_group=group)
        self._cancel = node.create_client(CancelGoal, "/run_task/_action/cancel_goal", callback_group=group)
        self._stop = node.create_client(SetBool, emergency_stop.SERVICE, callback_group=group)
        self._reset = node.create_client(ResetCell, "/sim/reset", callback_group=group)
        self._stops = node.create_publisher(Bool, emergency_stop.TOPIC, LATCHED)
        self._raised = self._heard = False

    @property
    def cell_is_there(self) -> bool:
        """Whether the robot is simulated."""
        return bool(self._reset.service_is_ready())

    def start(self, instruction: str, max_chunks: int, seed: int) -> None:
        """Have an instruction carried out."""
        if not self._task.server_is_ready():
            self._tell("nobody serves /run_task. Start the planner, or wait until it is up.")
            return
        goal = RunTask.Goal(instruction=instruction, max_chunks=max_chunks, seed=seed)
        self._task.send_goal_async(goal).add_done_callback(self._on_answer)

    def cancel(self) -> None:
        """Cancel every task, whoever started it."""
        self._ask(self._cancel, CancelGoal.Request(), "/run_task", lambda _: "cancelled; the arms hold.")

    def raise_stop(self) -> None:
        """Raise the emergency stop on both ways; either may be the one that works."""
        self._stops.publish(Bool(data=True))
        self._raised = True
        self._ask(self._stop, SetBool.Request(data=True), emergency_stop.SERVICE, lambda answer: answer.message)

    def hear_stop(self, raised: bool) -> None:
        """Follow the stop: once it is released, whoever joins later must not hear ours, which is latched."""
        if raised:
            self._heard = True
        elif self._raised and self._heard:
            self._raised = self._heard = False
            self._stops.publish(Bool(data=False))

    def release_stop(self) -> None:
        """Release the emergency stop."""
        self._ask(self._stop, SetBool.Request(data=False), emergency_stop.SERVICE, lambda answer: answer.message)

    def reset_cell(self, seed: int, on_instruction: Tell) -> None:
        """Put the simulated cell to a start state; its instruction is handed on."""

        def words(answer: ResetCell.Response) -> str:
            if answer.success:
                on_instruction(answer.instruction)
            return f"scene {seed} is set." if answer.success else str(answer.message)

        self._ask(self._reset, ResetCell.Request(seed=seed), "/sim/reset", words)

    def _ask(self, client: Any, request: Any, name: str, words: Callable[[Any], str]) -> None:
        if not client.service_is_ready():
            self._tell(f"nobody serves {name}. Is its node running?")
            return
        client.call_async(request).add_done_callback(lambda future: self._tell(words(future.result())))

    def _on_answer(self, future: Any) -> None:
        accepted = future.result().accepted
        self._tell("the task was accepted." if accepted else "the planner rejected the task. Activate it.")
