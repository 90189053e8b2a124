"""Have a chunk executed, follow it, and see to it that the arms hold when the task ends early."""

from __future__ import annotations

import time
from typing import Any

from rclpy.task import Future

from cosmos_policy.messages import without_latent
from cosmos_policy.planner.session import Feedback, Result, Session, TaskEnd
from cosmos_policy_msgs.action import ExecuteChunk
from cosmos_policy_msgs.msg import ActionChunk

HALT_TIMEOUT = 2.0  # [s] until a cancelled chunk must have ended
RETRY_PERIOD = 0.2  # [s] between two tries at an executor that is not ready


class Execution:
    """Execute chunks one after the other; counts those that moved the arms."""

    def __init__(self, session: Session) -> None:
        self.chunks = 0
        self._session = session
        self._links = session.links
        self._settings = session.settings
        self._progress = 0.0

    async def run(self, chunk: ActionChunk) -> None:
        """Execute a chunk; an executor that has just started is waited for until it has seen the arms."""
        patience = time.monotonic() + self._settings.server_timeout
        result = await self._execute(chunk)
        while result.termination == ExecuteChunk.Result.NOT_READY and time.monotonic() < patience:
            self._session.wait_for(f"/execute_chunk: {result.message}")
            await self._links.pulse.until(lambda: False, RETRY_PERIOD, self._session.check)
            result = await self._execute(chunk)
        self._judge(result)

    async def _execute(self, chunk: ActionChunk) -> ExecuteChunk.Result:
        client, name = self._links.executor, "/execute_chunk"
        self._session.show(Feedback.EXECUTING, step=0)
        request = ExecuteChunk.Goal(chunk=without_latent(chunk), steps=0, policy=ExecuteChunk.Goal.REJECT_IF_BUSY)
        sending = client.send_goal_async(request, feedback_callback=self._on_step)
        sending.add_done_callback(self._links.pulse.wake)
        try:
            if not await self._links.pulse.until(sending.done, self._settings.execution_timeout, self._session.check):
                raise TaskEnd(
                    Result.EXECUTION_FAILED,
                    f"{name}: the goal was not accepted within {self._settings.execution_timeout} s. "
                    "Is the chunk executor alive?",
                )
            handle = sending.result()
            if not handle.accepted:
                raise TaskEnd(Result.EXECUTION_FAILED, f"{name}: the executor rejected the goal. Activate it.")
            ended = handle.get_result_async()
            ended.add_done_callback(self._links.pulse.wake)
            await self._follow(ended, name)
        except TaskEnd as end:
            raise await self._halted(end, sending) from end
        return ended.result().result

    async def _follow(self, ended: Future, name: str) -> None:
        """Wait for a chunk's end, as long as its feedback keeps coming."""
        self._progress = time.monotonic()

        def check() -> None:
            self._session.check()
            if time.monotonic() - self._progress > self._settings.execution_timeout:
                raise TaskEnd(
                    Result.EXECUTION_FAILED,
                    f"{name}: no feedback for {self._settings.execution_timeout} s. Is the chunk executor alive?",
                )

        await self._links.pulse.until(ended.done, float("inf"), check)

    def _on_step(self, message: Any) -> None:
        self._progress = time.monotonic()
        self._session.show(Feedback.EXECUTING, step=message.feedback.step, steps=message.feedback.steps)

    def _judge(self, result: ExecuteChunk.Result) -> None:
        if result.steps_executed > 0:
            self.chunks += 1
        if result.termination == ExecuteChunk.Result.COMPLETED:
            return
        self._session.check()  # a stop or a cancellation explains the executor's abort better than the abort itself
        if result.termination == ExecuteChunk.Result.EMERGENCY_STOP:
            raise TaskEnd(Result.EMERGENCY_STOP, f"/execute_chunk: {result.message}")
        raise TaskEnd(Result.EXECUTION_FAILED, f"/execute_chunk: {result.message}")

    async def _halted(self, end: TaskEnd, sending: Future) -> TaskEnd:
        """Cancel a running chunk before the task ends, and say so when the executor does not confirm."""
        pulse = self._links.pulse
        if await pulse.until(sending.done, HALT_TIMEOUT) and sending.result().accepted:
            handle = sending.result()
            ended = handle.get_result_async()
            ended.add_done_callback(pulse.wake)
            handle.cancel_goal_async()
            if await pulse.until(ended.done, HALT_TIMEOUT):
                self.chunks += ended.result().result.steps_executed > 0
                return end
            message = f"{end} The executor did not confirm within {HALT_TIMEOUT} s that the arms hold.".strip()
            return TaskEnd(end.termination, message)
        return end
