"""Send a long motion to the chunk executor, chunk after chunk, without a stop between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.action.client import ClientGoalHandle
from rclpy.node import Node

from cosmos_policy.action_client import ActionClient
from cosmos_policy.errors import NoAnswer, ReplayError
from cosmos_policy.messages import chunk_message, constant_name
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_msgs.action import ExecuteChunk

ACTION = "/execute_chunk"
ANSWER_TIMEOUT = 5.0  # [s] for acceptance
SILENCE = 10.0  # [s] of wall time without feedback after which the executor counts as gone
READY_TIMEOUT = 30.0  # [s] for an executor that has not seen the arms yet


class MotionStream:
    """Plays (N, A) actions; one motion at a time, called from a thread that does not spin the node.

    The next chunk is sent in the middle of the running one. It begins with the action that is being executed and takes
    over in time, so the arms do not notice.
    """

    def __init__(self, node: Node, contract: Embodiment) -> None:
        self._node, self._contract = node, contract
        self._client = ActionClient(node, ExecuteChunk, ACTION)
        self._handle: ClientGoalHandle | None = None
        self._changed = threading.Condition()
        self._step, self._stamp = 0, None
        self._result: ExecuteChunk.Result | None = None
        self._heard = 0.0
        self._running = 0  # number of the goal whose feedback counts

    def play(self, actions: NDArray[np.float64], check: Callable[[], None] = lambda: None) -> None:
        """Play a motion to its end.

        Args:
            check: called often; may raise to stop the arms.

        Raises:
            ReplayError: the executor refused or ended a chunk; carries its reason.
            NoAnswer: the executor is not there or fell silent.
        """
        if not self._client.wait_for_server(timeout_sec=READY_TIMEOUT):
            raise NoAnswer(f"{ACTION}: nobody serves it within {READY_TIMEOUT:.0f} s. Start the chunk executor.")
        try:
            base = 0
            self._begin(actions)
            while base + self._contract.chunk_horizon < len(actions):
                step = self._wait_for_step(self._contract.chunk_horizon // 2, check)
                base += step
                self._send(actions[base:], ExecuteChunk.Goal.OVERLAP, self._stamp)
            self._wait_for_end(check)
        except BaseException:
            self.hold()
            raise

    def hold(self) -> None:
        """Have the executor bring the arms to rest."""
        if self._handle is not None and self._result is None:
            self._handle.cancel_goal_async()
            deadline = time.monotonic() + 2.0
            with self._changed:
                while self._result is None and time.monotonic() < deadline:
                    self._changed.wait(0.05)

    def _begin(self, actions: NDArray[np.float64]) -> None:
        """Send the first chunk until the executor has seen the arms."""
        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            self._send(actions, ExecuteChunk.Goal.HOLD, None)
            with self._changed:
                self._changed.wait_for(lambda: self._result is not None or self._step > 0, timeout=0.5)
                result = self._result
            if result is None or result.termination != ExecuteChunk.Result.NOT_READY:
                return
            if time.monotonic() > deadline:
                raise ReplayError(f"{ACTION}: {result.message}")
            time.sleep(0.2)

    def _send(self, actions: NDArray[np.float64], mode: int, observed: Any) -> None:
        horizon = self._contract.chunk_horizon
        count = min(horizon, len(actions))
        chunk = np.concatenate([actions[:count], np.repeat(actions[count - 1 : count], horizon - count, axis=0)])
        now = self._node.get_clock().now().to_msg()
        goal = ExecuteChunk.Goal(
            chunk=chunk_message(chunk, self._contract, observation_stamp=observed or now, stamp=now),
            steps=count,
            policy=ExecuteChunk.Goal.REPLACE_NOW,
            mode=mode,
        )
        with self._changed:
            self._running += 1
            number = self._running
            self._step, self._result, self._heard = 0, None, time.monotonic()
        self._handle = self._accepted(goal, number)
        ended = self._handle.get_result_async()
        ended.add_done_callback(lambda future: self._on_result(number, future.result().result))

    def _accepted(self, goal: ExecuteChunk.Goal, number: int) -> ClientGoalHandle:
        handle = self._client.send(goal, ANSWER_TIMEOUT, lambda m: self._on_feedback(number, m.feedback))
        if not handle.accepted:
            raise ReplayError(f"{ACTION}: the executor rejected the goal. Activate it.")
        return handle

    def _on_feedback(self, number: int, feedback: ExecuteChunk.Feedback) -> None:
        stamp = self._node.get_clock().now().to_msg()
        with self._changed:
            if number == self._running:
                self._step, self._stamp, self._heard = feedback.step, stamp, time.monotonic()
                self._changed.notify_all()

    def _on_result(self, number: int, result: ExecuteChunk.Result) -> None:
        with self._changed:
            if number == self._running:
                self._result = result
                self._changed.notify_all()

    def _wait_for_step(self, step: int, check: Callable[[], None]) -> int:
        with self._changed:
            while self._step < step:
                self._wait(check)
                if self._result is not None:
                    raise self._ended(self._result)
            return self._step

    def _wait_for_end(self, check: Callable[[], None]) -> None:
        with self._changed:
            while self._result is None:
                self._wait(check)
            if self._result.termination != ExecuteChunk.Result.COMPLETED:
                raise self._ended(self._result)

    def _wait(self, check: Callable[[], None]) -> None:
        """Wait a moment with the lock held."""
        self._changed.wait(0.05)
        check()
        if time.monotonic() - self._heard > SILENCE:
            raise NoAnswer(f"{ACTION}: no feedback for {SILENCE:.0f} s. Is the chunk executor alive?")

    def _ended(self, result: ExecuteChunk.Result) -> ReplayError:
        reason = constant_name(ExecuteChunk.Result, result.termination)
        return ReplayError(f"{ACTION}: ended as {reason}. {result.message}".strip())
