"""A node that does as little as a node can, in every way a node can fail; run as a process by the tests."""

from __future__ import annotations

import sys
import time
from typing import Any

from aloha_nodes.errors import ParameterError
from aloha_nodes.managed_node import ManagedNode
from aloha_nodes.running import run

MODES = ("well", "refuses", "defective", "crashes", "hangs", "loads")


class TinyNode(ManagedNode):
    """Remembers which hooks ran."""

    def __init__(self, **options: Any) -> None:
        super().__init__("tiny", **options)
        self.mode: str = self.declare("mode", "well", "What happens.", choices=MODES)
        self.rate: float = self.declare("rate", 1.0, "A rate [Hz].", minimum=0.1, maximum=100.0)
        self.colour: str = self.declare("colour", "red", "May change.", read_only=False, choices=("red", "green"))
        self.hooks: list[str] = []

    def configure(self) -> None:
        self._note("configure")
        if self.mode == "refuses":
            raise ParameterError("camera.yaml: no camera. Plug one in.")
        if self.mode == "defective":
            raise KeyError("a defect")
        if self.mode == "loads":
            time.sleep(60.0)
        if self.mode == "crashes":
            self.create_timer(0.05, lambda: {}["missing"])
        if self.mode == "hangs":
            self.create_timer(0.05, lambda: time.sleep(60.0))

    def activate(self) -> None:
        self._note("activate")

    def deactivate(self) -> None:
        self._note("deactivate")

    def cleanup(self) -> None:
        self._note("cleanup")

    def _note(self, hook: str) -> None:
        self.hooks.append(hook)
        self.get_logger().info(f"hook {hook}")


if __name__ == "__main__":
    sys.exit(run(TinyNode))
