"""Have chunks executed, follow them, and see to it that the arms hold when the task ends early."""

from __future__ import annotations

import time
from typing import Any

from rclpy.task import Future

from cosmos_policy.messages import seconds, without_latent
from cosmos_policy.planner.session import Feedback, Result, Session, TaskEnd, nothing
from cosmos_policy_msgs.action import ExecuteChunk
from cosmos_policy_msgs.msg import ActionChunk

NAME = "/execute_chunk"
HALT_TIMEOUT = 2.0  # [s] until a cancelled chunk must have ended
RETRY_PERIOD = 0.2  # [s] between two tries at an executor that is not ready
MODES = {
    "hold": ExecuteChunk.Goal.HOLD,
    "overlap": ExecuteChunk.Goal.OVERLAP,
    "deadline": ExecuteChunk.Goal.DEADLINE,
}


class Running:
    """A chunk that the executor has accepted."""

    def __init__(self, handle: Any, ended: Future, period: float) -> None:
        self.handle, self.ended, self.period = handle, ended, period
        self.progress = time.monotonic()
        self.seam: float | None = None  # node time of the last action's end [s]; None before the first feedback

    def has_begun(self) -> bool:
        """Whether it moves, or has ended already."""
        return self.seam is not None or self.ended.done()

    @property
    def result(self) -> ExecuteChunk.Result:
        """How it ended; only when it has."""
        result: ExecuteChunk.Result = self.ended.result().result
        return result


class Execution:
    """Execute the chunks of a task; one that begins while another runs replaces it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._links = session.links
        self._settings = session.settings
        self._sending: Future | None = None
        self._running: Running | None = None
        self._replaced: Running | None = None
        self._ended: list[Future] = []

    @property
    def chunks(self) -> int:
        """Chunks that moved the arms and have ended."""
        return sum(ended.done() and ended.result().result.steps_executed > 0 for ended in self._ended)

    def begin(self, chunk: ActionChunk) -> None:
        """Have a chunk started; an executor that has just started is waited for until it has seen the arms.

        Raises:
            TaskEnd: the executor refuses it or does not answer; the arms hold.
        """
        patience = time.monotonic() + self._settings.server_timeout
        while True:
            running = self._send(chunk)
            self._links.pulse.until(running.has_begun, self._settings.execution_timeout, self._session.check)
            if not (running.ended.done() and running.result.termination == ExecuteChunk.Result.NOT_READY):
                return
            self._running = None
            if time.monotonic() > patience:
                raise TaskEnd(Result.EXECUTION_FAILED, f"{NAME}: {running.result.message}")
            self._session.wait_for(f"{NAME}: {running.result.message}")
            self._links.pulse.until(lambda: False, RETRY_PERIOD, self._session.check)

    def finish(self) -> None:
        """Follow the running chunk to its end.

        Raises:
            TaskEnd: it did not come to its end.
        """
        running = self._running
        if running is not None:
            self._links.pulse.until(running.ended.done, float("inf"), self._session.check)
            self._session.check()
            self._running = None

    def until_seam(self, lead: float) -> bool:
        """Wait until the running chunk ends in `lead` seconds of node time; False when none runs."""
        running = self._running
        if running is None:
            return False

        def near() -> bool:
            return running.ended.done() or (running.seam is not None and running.seam - self._now() <= lead)

        self._links.pulse.until(near, float("inf"), self._session.check)
        return not running.ended.done()

    def halted(self, end: TaskEnd) -> TaskEnd:
        """Cancel what runs before the task ends, and say so when the executor does not confirm."""
        self._session.watch = nothing
        if self._cancel_sent() and self._cancel(self._running or self._replaced):
            # A chunk that was replaced a moment ago may still have to say so; it counts as executed.
            self._links.pulse.until(lambda: all(ended.done() for ended in self._ended), RETRY_PERIOD)
            return end
        message = f"{end} The executor did not confirm within {HALT_TIMEOUT} s that the arms hold.".strip()
        return TaskEnd(end.termination, message)

    def _cancel_sent(self) -> bool:
        """Wait for the acceptance of a goal that is under way; it replaces what runs, and is what must be cancelled."""
        sending = self._sending
        if sending is None:
            return True
        if not self._links.pulse.until(sending.done, HALT_TIMEOUT):
            self._cancel(self._replaced)
            return False
        if sending.result().accepted:
            self._running = self._follow(sending.result(), 0.0)
        return True

    def _cancel(self, running: Running | None) -> bool:
        if running is None or running.ended.done():
            return True
        running.handle.cancel_goal_async()
        return self._links.pulse.until(running.ended.done, HALT_TIMEOUT)

    def _send(self, chunk: ActionChunk) -> Running:
        moving = self._running is not None and not self._running.ended.done()
        self._session.show(Feedback.EXECUTING, step=0)
        request = ExecuteChunk.Goal(
            chunk=without_latent(chunk),
            steps=0,
            policy=ExecuteChunk.Goal.REPLACE_NOW if moving else ExecuteChunk.Goal.REJECT_IF_BUSY,
            mode=MODES[self._settings.mode] if self._running is not None else ExecuteChunk.Goal.HOLD,
        )
        followed: list[Running] = []

        def on_step(message: Any) -> None:
            if followed:
                self._on_step(followed[0], message.feedback)

        # The chunk before may end from now on: it is replaced.
        self._session.watch, self._replaced, self._running = nothing, self._running, None
        sending = self._sending = self._links.executor.send_goal_async(request, feedback_callback=on_step)
        sending.add_done_callback(self._links.pulse.wake)
        if not self._links.pulse.until(sending.done, self._settings.execution_timeout, self._session.check):
            raise TaskEnd(
                Result.EXECUTION_FAILED,
                f"{NAME}: the goal was not accepted within {self._settings.execution_timeout} s. "
                "Is the chunk executor alive?",
            )
        self._sending = None
        if not sending.result().accepted:
            raise TaskEnd(Result.EXECUTION_FAILED, f"{NAME}: the executor rejected the goal. Activate it.")
        self._running = self._follow(sending.result(), seconds(chunk.period))
        followed.append(self._running)
        self._session.watch = self._check
        return self._running

    def _follow(self, handle: Any, period: float) -> Running:
        ended = handle.get_result_async()
        ended.add_done_callback(self._links.pulse.wake)
        self._ended.append(ended)
        return Running(handle, ended, period)

    def _on_step(self, running: Running, feedback: ExecuteChunk.Feedback) -> None:
        running.progress = time.monotonic()
        running.seam = self._now() + (feedback.steps - feedback.step) * running.period
        if running is self._running:
            self._session.progress(feedback.step, feedback.steps)

    def _check(self) -> None:
        """Raise when the running chunk has failed or is silent."""
        running = self._running
        if running is None:
            return
        if running.ended.done():
            self._judge(running.result)
        elif time.monotonic() - running.progress > self._settings.execution_timeout:
            raise TaskEnd(
                Result.EXECUTION_FAILED,
                f"{NAME}: no feedback for {self._settings.execution_timeout} s. Is the chunk executor alive?",
            )

    def _judge(self, result: ExecuteChunk.Result) -> None:
        if result.termination in (ExecuteChunk.Result.COMPLETED, ExecuteChunk.Result.NOT_READY):
            return
        if result.termination == ExecuteChunk.Result.EMERGENCY_STOP:
            raise TaskEnd(Result.EMERGENCY_STOP, f"{NAME}: {result.message}")
        raise TaskEnd(Result.EXECUTION_FAILED, f"{NAME}: {result.message}")

    def _now(self) -> float:
        return float(self._links.node.get_clock().now().nanoseconds * 1e-9)
