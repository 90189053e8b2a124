"""One chunk being executed, from its start to the reason it ended."""

from __future__ import annotations

from cosmos_policy_core.execution.modes import Mode
from cosmos_policy_core.execution.termination import Termination


class Run:
    """One chunk being executed; `outcome` is None until it has ended."""

    def __init__(self, steps: int, mode: Mode = Mode.HOLD) -> None:
        self.steps = steps
        self.mode = mode  # that acts: HOLD where nothing was moving
        self.steps_executed = 0
        self.steps_dropped = 0  # actions whose time had passed when the chunk took over
        self.steps_blended = 0  # of those executed, while the motion before was blended out
        self.steps_clamped = 0
        self.idle = 0.0  # the arms had rested since their last motion [s]
        self.seam_acceleration = 0.0  # largest while taking over, without grippers [rad/s^2]
        self.clamped = False  # the last command was changed by a limit
        self.outcome: Termination | None = None
        self.message = ""
        self.period_error_p50 = 0.0
        self.period_error_p99 = 0.0

    @property
    def step(self) -> int:
        """Index in the chunk of the action being executed."""
        return min(self.steps_dropped + self.steps_executed, max(self.steps - 1, 0))

    def refuse(self, reason: Termination, message: str) -> Run:
        """End the run before it began."""
        self.outcome, self.message = reason, message
        return self
