"""The nodes of the graph as real processes under the launcher, for tests."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUN = """
import dataclasses, json, sys
from cosmos_policy.graph import BRINGUP
from cosmos_policy.launcher import run

arguments, names, changes = json.loads(sys.argv[1])
nodes = [node for node in BRINGUP.nodes(arguments) if node.name in names]
sys.exit(run([
    dataclasses.replace(node, parameters={**node.parameters, **changes.get(node.name, {})}) for node in nodes
]))
"""


class Processes:
    """Some nodes of the graph, started as the launcher starts all of them."""

    def __init__(
        self, arguments: Mapping[str, str], names: list[str], changes: Mapping[str, Mapping[str, Any]], log: Path
    ) -> None:
        self._log = log
        self._file = log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, json.dumps([dict(arguments), names, changes])],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def log(self) -> str:
        """Everything the nodes printed."""
        return self._log.read_text(errors="replace")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def wait(self, timeout: float = 10.0) -> float:
        """Wait for the end; return how long it took [s]."""
        began = time.monotonic()
        self.process.wait(timeout)
        return time.monotonic() - began

    def close(self) -> None:
        """End everything, whatever happened before."""
        self.interrupt()
        try:
            self.process.wait(10.0)
        finally:
            self._file.close()
