"""The newest command of one arm: checked on arrival, forgotten when it is too old."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np

from aloha_nodes.joint_commands import objection


class CommandInbox:
    """Holds the newest valid command of an arm.

    Thread-safe: `receive` runs in the subscription's thread, the rest in the physics loop.

    Args:
        joint_names: (7,) of the arm in vendor order.
        timeout: age beyond which the arm holds [s]; the newest target stays where it is.
    """

    def __init__(self, joint_names: Sequence[str], timeout: float) -> None:
        self._names = tuple(joint_names)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._target = np.zeros(len(self._names))
        self._received_at: float | None = None
        self._pending = False

    def receive(self, names: Sequence[str], positions: Sequence[float], *, stamp: float | None, now: float) -> str:
        """Take a command, or refuse it and keep the one before.

        Args:
            names: of the commanded joints, in any order; joints left out keep their target.
            positions: [rad], same order.
            stamp: when the command was made [s]; None if it does not say.
            now: the cell's time [s].

        Returns:
            Empty, or why the command was refused.
        """
        reason = self._objection(names, positions, stamp, now)
        if reason:
            return reason
        with self._lock:
            for name, position in zip(names, positions, strict=True):
                self._target[self._names.index(name)] = position
            self._received_at = now
            self._pending = True
        return ""

    def take(self, now: float) -> np.ndarray | None:
        """Return the target (7,) if a new one came and is not too old."""
        with self._lock:
            if not self._pending or self.age(now) > self._timeout:
                return None
            self._pending = False
            return self._target.copy()

    def age(self, now: float) -> float:
        """Return the time since the newest command [s]; infinite before the first."""
        return math.inf if self._received_at is None else now - self._received_at

    def holding(self, now: float) -> bool:
        """Tell whether the arm holds because no command is young enough."""
        return self.age(now) > self._timeout

    def restart(self, target: np.ndarray) -> None:
        """Forget everything; `target` (7,) is where joints stay that no command names."""
        with self._lock:
            self._target = np.array(target, dtype=np.float64)
            self._received_at = None
            self._pending = False

    def _objection(self, names: Sequence[str], positions: Sequence[float], stamp: float | None, now: float) -> str:
        reason = objection(names, positions, self._names)
        if reason:
            return reason
        if stamp is not None and now - stamp > self._timeout:
            return (
                f"made {now - stamp:.3f} s ago, more than the {self._timeout:.3f} s of command_timeout; "
                "stamp commands with simulation time (use_sim_time) and send them sooner"
            )
        return ""
