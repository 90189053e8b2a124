"""Tell a success of the running task from one left over by the task before."""

from __future__ import annotations

import time
from typing import Any

from std_msgs.msg import Bool


class SuccessWatch:
    """Follow the latched reports of /task_success.

    A report counts when it says true, was published after the task began, and does not merely repeat a true that
    was never taken back: a cell that was not reset still reports its last success.
    """

    def __init__(self) -> None:
        self._latest = False
        self._began_ns = 0
        self._succeeded = False
        self._left_over = False

    def begin(self) -> None:
        """Start a task: everything published earlier no longer counts."""
        self._began_ns = time.time_ns()
        self._succeeded = False
        self._left_over = self._latest

    def report(self, message: Bool, info: dict[str, Any]) -> None:
        """Take a report; `info` is rclpy's message info, whose source stamp is the publisher's system time [ns]."""
        fresh = int(info["source_timestamp"]) >= self._began_ns
        if message.data and not self._latest and fresh:
            self._succeeded = True
        self._left_over = message.data and (self._left_over or not fresh)
        self._latest = message.data

    @property
    def succeeded(self) -> bool:
        """Whether the running task succeeded; stays true once it did."""
        return self._succeeded

    @property
    def left_over(self) -> bool:
        """Whether a success from before the task is still reported, so that none of this task can be seen."""
        return self._left_over
