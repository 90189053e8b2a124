"""The graph as a child process: started, watched, and ended without leftovers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from cosmos_policy.errors import DemoError

SECONDS_TO_END = 6.0  # the launcher kills what is left after 4.5 s


class GraphProcess:
    """The launcher in a session of its own, so that Ctrl-C reaches it when we say so, after the task was cancelled."""

    def __init__(self, arguments: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._file: IO[bytes] = log.open("wb")
        words = [f"{name}:={value}" for name, value in arguments.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cosmos_policy.launcher", *words],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> GraphProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise DemoError when the graph has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(f"the graph ended with code {code}. The end of {self._log}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the graph's log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> int:
        """End all nodes and return the launcher's exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._file.close()
        return self._process.wait()
