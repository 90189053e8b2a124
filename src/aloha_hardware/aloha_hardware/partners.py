"""Hear how the other arms are: one that faults, or whose driver is gone without a word, stops this one too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_msgs.msg import Empty, String

from aloha_nodes import polling
from aloha_nodes.qos import LATCHED, SENSOR_DATA

LONGEST_CYCLE = 2.0  # periods that count of one cycle: while we did not run ourselves, we could hear nobody


class Partners:
    """The arms whose trouble is ours.

    A driver says on /<arm>/fault (latched; empty is well) what keeps its arm from moving, and on /<arm>/alive, every
    cycle, that its loop runs. A killed driver says nothing: what was heard alive and is no more, counts as a fault.

    Args:
        names: of the arms.
        patience: silence beyond which a driver counts as gone [s].
        period: between two calls of `listen` [s].
        on_change: called with a name of a stop, and what is wrong or empty, from either thread.
    """

    def __init__(
        self,
        node: Node,
        names: Sequence[str],
        patience: float,
        period: float,
        on_change: Callable[[str, str], None],
        callback_group: CallbackGroup,
    ) -> None:
        self.troubles: dict[str, str] = {}  # by name of the stop
        self._patience, self._period, self._on_change = patience, period, on_change
        self._silences: dict[str, float] = {}  # [s] of those who were heard
        self._alive = {name: polling.subscribe(node, Empty, f"/{name}/alive", SENSOR_DATA) for name in names}
        for name in names:
            node.create_subscription(
                String, f"/{name}/fault", partial(self._on_fault, name), LATCHED, callback_group=callback_group
            )

    def listen(self, elapsed: float) -> None:
        """Take what the others said since the last call; for the thread that owns the bus, every cycle.

        Args:
            elapsed: since the last call [s].
        """
        for name, subscription in self._alive.items():
            if polling.take(subscription) is not None:
                self._silences[name] = 0.0
                self._tell(_gone(name), "")
            elif name in self._silences:
                self._silences[name] += min(elapsed, LONGEST_CYCLE * self._period)
                if self._silences[name] > self._patience:
                    self._tell(_gone(name), f"{name}: its driver fell silent. Start it again")

    def forget(self) -> None:
        """Wait to hear the others anew: who was silent while nobody listened is not known."""
        self._silences.clear()
        for name, subscription in self._alive.items():
            while polling.take(subscription) is not None:  # said while nobody listened
                pass
            self.troubles.pop(_gone(name), None)

    def _on_fault(self, name: str, message: String) -> None:
        text = message.data.strip()
        self._tell(f"partner {name}", text and f"{name}: {text}")

    def _tell(self, stop: str, text: str) -> None:
        if self.troubles.get(stop, "") == text:
            return
        if text:
            self.troubles[stop] = text
        else:
            self.troubles.pop(stop, None)
        self._on_change(stop, text)


def _gone(name: str) -> str:
    return f"partner {name} gone"
