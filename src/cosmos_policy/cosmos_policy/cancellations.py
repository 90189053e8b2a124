"""Which plans nobody wants any more: told by one thread, asked by the one that samples."""

from __future__ import annotations

import threading
from collections import OrderedDict

KEPT = 256  # a cancelled plan's late queries arrive within seconds


class Cancellations:
    """Remember cancelled plans, also those whose queries have not arrived yet."""

    def __init__(self) -> None:
        self.closing = False
        """Whether the node ends: then every query does."""
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def cancel(self, plan_id: str) -> None:
        """End the queries of a plan; an empty id names none."""
        if not plan_id:
            return
        with self._lock:
            self._cancelled[plan_id] = None
            while len(self._cancelled) > KEPT:
                self._cancelled.popitem(last=False)

    def has(self, plan_id: str) -> bool:
        """Tell whether a plan's queries must end."""
        with self._lock:
            return self.closing or plan_id in self._cancelled
