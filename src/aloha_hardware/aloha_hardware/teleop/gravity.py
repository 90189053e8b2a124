"""Tell leaders that carry their own weight when they are in use, until each has heard it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool

RETRY = 1.0  # [s] between two requests for the same


class GravityCompensation:
    """The SetBool services of the leaders. Not thread-safe: the caller holds a lock.

    Args:
        services: full names; none: leaders are balanced by springs.
    """

    def __init__(self, node: Node, services: Sequence[str]) -> None:
        group = ReentrantCallbackGroup()  # answers arrive while another callback waits for them
        self._leaders = [_Leader(node, node.create_client(SetBool, name, callback_group=group)) for name in services]

    def tell(self, wanted: bool) -> None:
        """Ask every leader that has not confirmed what is wanted, now and then; call it on every tick."""
        now = time.monotonic()
        for leader in self._leaders:
            leader.tell(wanted, now)

    @property
    def waiting(self) -> bool:
        """Whether an answer is still under way."""
        return any(leader.waiting for leader in self._leaders)


class _Leader:
    """What one leader was asked, and what it has confirmed."""

    def __init__(self, node: Node, client: Client) -> None:
        self._node, self._client = node, client
        self._asked = False
        self._confirmed: bool | None = False  # None: it was asked since, and may or may not have heard it
        self._answer: Future | None = None
        self._due = -math.inf
        self._complaint = ""

    @property
    def waiting(self) -> bool:
        answer = self._answer  # another thread may take it in
        return answer is not None and not answer.done()

    def tell(self, wanted: bool, now: float) -> None:
        self._hear()
        if self._confirmed == wanted or (self._asked == wanted and now < self._due):
            return
        if self._answer is not None:
            self._client.remove_pending_request(self._answer)
            self._answer = None
        self._asked, self._due = wanted, now + RETRY
        if self._client.service_is_ready():
            self._confirmed = None
            self._answer = self._client.call_async(SetBool.Request(data=wanted))
        else:
            self._complain(f"nobody serves it; it is set to {str(wanted).lower()} as soon as somebody does")

    def _hear(self) -> None:
        if self._answer is None or not self._answer.done():
            return
        response, self._answer = self._answer.result(), None
        if response.success:
            self._confirmed, self._complaint = self._asked, ""
        else:
            self._complain(f"refuses to be set to {str(self._asked).lower()} ({response.message})")

    def _complain(self, text: str) -> None:
        """Warn once: it is tried again every second."""
        if text != self._complaint:
            self._complaint = text
            self._node.get_logger().warning(f"{self._client.srv_name}: {text}.")
