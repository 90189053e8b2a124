"""rclpy's action client, without the race in which it drops an answer."""

from __future__ import annotations

import threading
from typing import Any

import rclpy.action
from rclpy.task import Future


class ActionClient(rclpy.action.ActionClient):
    """An action client whose answers cannot overtake the note of what was asked.

    rclpy sends a request first and notes its number then. Where an executor in another thread takes the answer in
    between, it is dropped as unexpected, and whoever asked waits for ever.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._noting = threading.Lock()
        super().__init__(*args, **options)

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
