"""What the operator of the live view hears of cancelling: what the planner said, and that it said nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from action_msgs.msg import GoalInfo
from action_msgs.srv import CancelGoal
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context
from rclpy.node import Node

from aloha_nodes.spinning import spinning
from cosmos_policy.live.operator import Operator

DEADLINE = 20.0  # [s]
Answer = Callable[[CancelGoal.Response], None]


class Desk(Node):
    """A node with an operator, and everything it was told."""

    def __init__(self, context: Context) -> None:
        super().__init__("desk", context=context)
        self.told: list[str] = []
        self.operator = Operator(self, self.told.append, MutuallyExclusiveCallbackGroup())
        self.create_timer(0.05, self.operator.complain)

    def cancel_until_told(self, words: str) -> str:
        """Cancel as soon as somebody serves it, and return what was told with some words in it."""
        deadline = time.monotonic() + DEADLINE
        while not self.operator._cancel.service_is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.operator.cancel()
        while not any(words in told for told in self.told):
            assert time.monotonic() < deadline, self.told
            time.sleep(0.02)
        return self.told[-1]


@contextmanager
def desk(answer: Answer) -> Iterator[Desk]:
    """An operator beside a planner that answers to cancelling as told."""
    context = Context()
    context.init()

    def serve(request: CancelGoal.Request, response: CancelGoal.Response) -> CancelGoal.Response:
        answer(response)
        return response

    planner, desk = Node("fake_planner", context=context), Desk(context)
    planner.create_service(CancelGoal, "/run_task/_action/cancel_goal", serve)
    with spinning(planner, threads=1), spinning(desk, threads=1):
        yield desk
    context.try_shutdown()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (CancelGoal.Response.ERROR_REJECTED, "the planner refused to cancel. If the arms must hold, press"),
        (CancelGoal.Response.ERROR_NONE, "nothing was cancelled: no task runs, or the planner refused."),
    ],
)
def test_a_cancel_that_ends_nothing_is_not_called_done(code: int, words: str) -> None:
    def refuse(response: CancelGoal.Response) -> None:
        response.return_code = code

    with desk(refuse) as operated:
        operated.cancel_until_told(words)


def test_a_task_that_is_being_cancelled_is_not_called_over() -> None:
    def accept(response: CancelGoal.Response) -> None:
        response.goals_canceling = [GoalInfo()]

    with desk(accept) as operated:
        operated.cancel_until_told("the task is being cancelled; the arms hold when it has ended.")


def test_a_planner_that_does_not_answer_is_named_and_a_late_answer_told() -> None:
    late = threading.Event()

    def hang(response: CancelGoal.Response) -> None:
        late.wait(DEADLINE)
        response.return_code = CancelGoal.Response.ERROR_REJECTED

    with desk(hang) as operated:
        try:
            told = operated.cancel_until_told("no answer from /run_task for 2 s.")
        finally:
            late.set()
        assert told.endswith("If the arms must hold, press EMERGENCY STOP.")
        deadline = time.monotonic() + DEADLINE
        while "refused" not in operated.told[-1]:
            assert time.monotonic() < deadline, operated.told
            time.sleep(0.02)
