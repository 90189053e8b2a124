"""Goals of the chunk executor: from action messages to the core's values and back."""

from __future__ import annotations

import numpy as np
from rclpy.action.server import ServerGoalHandle
from rclpy.task import Future

from cosmos_policy.messages import seconds
from cosmos_policy_core.execution import Chunk, ChunkExecutor, JointStates, Mode, Run, Termination
from cosmos_policy_msgs.action import ExecuteChunk


class Goal:
    """A goal, its run in the core, and the future that its coroutine waits for."""

    def __init__(self, handle: ServerGoalHandle, run: Run) -> None:
        self.handle, self.run, self.ended = handle, run, Future()
        self._told_step = -1

    def tell(self, tracking_error: float) -> None:
        """Send feedback when another action has begun."""
        run = self.run
        if run.outcome is None and run.step != self._told_step:
            self._told_step = run.step
            self.handle.publish_feedback(
                ExecuteChunk.Feedback(
                    mode=int(run.mode),
                    step=run.step,
                    steps=run.steps,
                    steps_dropped=run.steps_dropped,
                    steps_blended=run.steps_blended,
                    tracking_error=tracking_error,
                    clamped=run.clamped,
                )
            )

    def finish(self) -> ExecuteChunk.Result:
        """Put the handle into its last state and return the result; the run must have ended."""
        run = self.run
        if run.outcome is Termination.COMPLETED:
            self.handle.succeed()
        elif run.outcome is Termination.CANCELLED and self.handle.is_cancel_requested:
            self.handle.canceled()
        else:
            self.handle.abort()
        assert run.outcome is not None
        return ExecuteChunk.Result(
            termination=int(run.outcome),
            message=run.message,
            mode=int(run.mode),
            steps_executed=run.steps_executed,
            steps_dropped=run.steps_dropped,
            steps_blended=run.steps_blended,
            idle=run.idle,
            seam_acceleration=run.seam_acceleration,
            steps_clamped=run.steps_clamped,
            period_error_p50=run.period_error_p50,
            period_error_p99=run.period_error_p99,
        )


def begin(core: ChunkExecutor, request: ExecuteChunk.Goal, now: float, states: JointStates) -> Run:
    """Start what a goal asks for; a number that is no mode means the safest one, HOLD."""
    return core.start(
        chunk_of(request),
        now,
        states,
        steps=request.steps,
        replace=request.policy != ExecuteChunk.Goal.REJECT_IF_BUSY,
        mode=Mode(request.mode) if request.mode in list(Mode) else Mode.HOLD,
    )


def chunk_of(request: ExecuteChunk.Goal) -> Chunk:
    """Unpack a goal's chunk; nothing in it is judged here."""
    message = request.chunk
    return Chunk(
        joint_names=message.joint_names,
        period=seconds(message.period),
        horizon=message.horizon,
        positions=np.asarray(message.positions, dtype=np.float64),
        observation_stamp=seconds(message.observation_stamp),
    )
