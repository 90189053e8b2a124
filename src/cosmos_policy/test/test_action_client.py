"""Whoever asks an action server is heard, and hears the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from executor_rig import wait_until
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.node import Node

from aloha_nodes.spinning import SpinningThread
from cosmos_policy.action_client import ActionClient
from cosmos_policy.answers import wait_for
from cosmos_policy.errors import NoAnswer
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
    try:
        with SpinningThread(node, threads=2, context=node.context):
            assert client.wait_for_server(20.0)
            client._client_handle = Dawdling(client._client_handle)
            handle = wait_for(client.send_goal_async(RunTask.Goal()), 10.0, "the acceptance")
            assert wait_for(handle.get_result_async(), 10.0, "the result").result.message == "done"
    finally:
        client.destroy()


def test_a_server_that_is_seen_but_does_not_answer_is_not_there(node: Node) -> None:
    client = ActionClient(node, RunTask, "/run_task")
    try:
        assert client.wait_for_server(0.0) is False  # nobody spins: it cannot have answered
        wait_until(client.server_is_ready, "the server")
        assert not client.server_answers()
        with SpinningThread(node, threads=4, context=node.context):
            assert client.wait_for_server(20.0)
            assert client.server_answers()
    finally:
        client.destroy()


def test_a_server_that_went_away_is_greeted_anew(node: Node) -> None:
    client = ActionClient(node, RunTask, "/come_and_go")
    try:
        with SpinningThread(node, threads=4, context=node.context):
            assert not client.server_answers()
            server = ActionServer(node, RunTask, "/come_and_go", _finish)
            assert client.wait_for_server(20.0)
        server.destroy()
        wait_until(lambda: not client.server_answers(), "the server to be gone")
        server = ActionServer(node, RunTask, "/come_and_go", _finish)
        wait_until(client.server_is_ready, "the server")
        assert not client.server_answers()
        with SpinningThread(node, threads=4, context=node.context):
            assert client.wait_for_server(20.0)
        server.destroy()
    finally:
        client.destroy()


def test_a_goal_that_is_accepted_too_late_is_cancelled(node: Node) -> None:
    ended = threading.Event()

    def dawdle(_: RunTask.Goal) -> GoalResponse:
        time.sleep(0.6)
        return GoalResponse.ACCEPT

    def run_until_cancelled(goal: Any) -> RunTask.Result:
        wait_until(lambda: goal.is_cancel_requested, "the cancellation")
        goal.canceled()
        ended.set()
        return RunTask.Result()

    server = ActionServer(
        node,
        RunTask,
        "/dawdles",
        run_until_cancelled,
        goal_callback=dawdle,
        cancel_callback=lambda _: CancelResponse.ACCEPT,
        callback_group=ReentrantCallbackGroup(),
    )
    client = ActionClient(node, RunTask, "/dawdles")
    try:
        with SpinningThread(node, threads=4, context=node.context):
            assert client.wait_for_server(20.0)
            with pytest.raises(NoAnswer, match="/dawdles: no answer"):
                client.send(RunTask.Goal(), 0.1)
            assert ended.wait(20.0)
    finally:
        server.destroy()
        client.destroy()
