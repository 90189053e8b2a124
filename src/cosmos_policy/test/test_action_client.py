"""An answer that comes at once finds that it was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.action import ActionServer, GoalResponse
from rclpy.context import Context
from rclpy.node import Node

from aloha_nodes.spinning import SpinningThread
from cosmos_policy.action_client import ActionClient
from cosmos_policy.run_task import wait_for
from cosmos_policy_msgs.action import RunTask


class Dawdling:
    """The client's handle of a person who takes a nap between asking and noting it."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._handle, name)
        if not name.startswith("send_"):
            return found

        def send(*args: Any) -> Any:
            number = found(*args)
            time.sleep(0.5)  # the answer is there long before the note
            return number

        return send


@pytest.fixture
def node() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context)
    node = Node("asks", context=context)
    server = ActionServer(node, RunTask, "/run_task", _finish, goal_callback=lambda _: GoalResponse.ACCEPT)
    yield node
    server.destroy()
    node.destroy_node()
    context.try_shutdown()


def _finish(goal: Any) -> RunTask.Result:
    goal.succeed()
    return RunTask.Result(message="done")


def test_an_answer_that_overtakes_the_note_of_its_question_is_not_dropped(node: Node) -> None:
    client = ActionClient(node, RunTask, "/run_task")
    spinning = SpinningThread(node, threads=2, context=node.context)
    try:
        assert client.wait_for_server(20.0)
        client._client_handle = Dawdling(client._client_handle)
        handle = wait_for(client.send_goal_async(RunTask.Goal()), 10.0, "the acceptance")
        assert wait_for(handle.get_result_async(), 10.0, "the result").result.message == "done"
    finally:
        spinning.stop()
        client.destroy()
