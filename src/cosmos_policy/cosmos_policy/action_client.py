"""rclpy's action client, without two races in which an answer is lost."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import rclpy.action
from rclpy.action.client import ClientGoalHandle
from rclpy.node import Node
from rclpy.task import Future
from unique_identifier_msgs.msg import UUID

from cosmos_policy.answers import wait_for

PATIENCE = 0.5  # [s] with a greeting, before another is sent
LOOK_EVERY = 0.02  # [s], for who waits


class ActionClient(rclpy.action.ActionClient):
    """An action client that is heard before it asks, and whose answers cannot overtake the note of what was asked.

    A server is seen a moment before it sees its client, and sends what it answers meanwhile to nobody. So it is greeted
    first, with a question that costs nothing, until it answers: look at `server_answers`, not at `server_is_ready`.

    rclpy sends a request first and notes its number then. Where an executor in another thread takes the answer in
    between, it is dropped as unexpected, and whoever asked waits for ever.
    """

    def __init__(self, node: Node, action_type: Any, action_name: str, **options: Any) -> None:
        self._name = action_name
        self._noting = threading.Lock()
        self._greeting_turn = threading.Lock()
        self._greetings: list[Future] = []
        self._greeted, self._answered = 0.0, False
        super().__init__(node, action_type, action_name, **options)

    def server_answers(self) -> bool:
        """Tell whether the server hears us and is heard; ask it where that is not known. To be looked at repeatedly.

        Returns at once, from any thread. A server that was away is greeted anew, if it was looked at meanwhile.
        """
        with self._greeting_turn:
            if not self.server_is_ready():
                self._part()
            elif self._answered or any(greeting.done() for greeting in self._greetings):
                self._answered = True
            elif time.monotonic() - self._greeted > PATIENCE:
                self._greetings.append(self._ask_of_a_stranger())
                self._greeted = time.monotonic()
            return self._answered

    def wait_for_server(self, timeout_sec: float | None = None) -> bool:
        """Wait until the server answers, in a thread that does not spin the node; False after `timeout_sec` [s]."""
        deadline = float("inf") if timeout_sec is None else time.monotonic() + timeout_sec
        while not self.server_answers():
            if time.monotonic() > deadline or not self._node.context.ok():
                return False
            time.sleep(LOOK_EVERY)
        return True

    def _ask_of_a_stranger(self) -> Future:
        """Ask for the result of a goal that nobody sent; servers answer that they do not know it.

        The services of an action are made known in one order, goals first: who answers this can answer a goal.
        """
        return self._get_result_async(self._handle_of(_new_goal_id()))

    def _handle_of(self, goal_id: UUID) -> ClientGoalHandle:
        return ClientGoalHandle(self, goal_id, self._action_type.Impl.SendGoalService.Response())

    def send(self, goal: Any, patience: float, on_feedback: Callable[[Any], None] | None = None) -> ClientGoalHandle:
        """Send a goal and wait, in a thread that does not spin the node, for `patience` [s] until it is answered.

        Raises:
            NoAnswer: it is not answered. It may run unseen or be accepted later, and is cancelled in either case: the
                arms must not move for somebody who has left.
        """
        goal_id = _new_goal_id()
        sent = self.send_goal_async(goal, feedback_callback=on_feedback, goal_uuid=goal_id)
        try:
            handle: ClientGoalHandle = wait_for(sent, patience, self._name)
        except BaseException:
            self._cancel_goal_async(self._handle_of(goal_id))
            sent.add_done_callback(_cancel_if_accepted)
            raise
        return handle

    def _part(self) -> None:
        """Expect no answer of a server that is gone."""
        for greeting in self._greetings:
            greeting.cancel()
        self._greetings.clear()
        self._greeted, self._answered = 0.0, False

    def send_goal_async(self, *args: Any, **options: Any) -> Future:
        """Send a goal; the future holds a ClientGoalHandle."""
        with self._noting:
            return super().send_goal_async(*args, **options)

    def _get_result_async(self, goal_handle: Any) -> Future:
        with self._noting:
            return super()._get_result_async(goal_handle)

    def _cancel_goal_async(self, goal_handle: Any) -> Future:
        with self._noting:
            return super()._cancel_goal_async(goal_handle)

    async def execute(self, taken_data: Any) -> None:
        """Handle what arrived, once whoever asked has noted that it did."""
        with self._noting:
            pass
        await super().execute(taken_data)


def _new_goal_id() -> UUID:
    return UUID(uuid=list(uuid.uuid4().bytes))


def _cancel_if_accepted(sent: Future) -> None:
    handle = sent.result()
    if handle is not None and handle.accepted:
        handle.cancel_goal_async()
