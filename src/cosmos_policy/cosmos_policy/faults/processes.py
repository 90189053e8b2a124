"""The processes of a graph, one by one: they can be killed, interrupted and started again on their own."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cosmos_policy.errors import NoAnswer
from cosmos_policy.graph import NodeSpec
from cosmos_policy.launcher import command

PATIENCE = 60.0  # [s] on a machine that does other things too
SECONDS_TO_END = 10.0


class Part:
    """A process of the graph.

    Args:
        words: what to run.
        log: where its output goes.
    """

    def __init__(self, words: str, log: Path) -> None:
        self._words, self.log_file = words, log
        self.process = self._start()

    @classmethod
    def of(cls, node: NodeSpec, folder: Path) -> Part:
        """Start a node of the graph as the launcher would."""
        return cls(command(node, folder), folder / f"{node.label.replace('/', '_')}.log")

    def _start(self) -> subprocess.Popen[str]:
        with self.log_file.open("a") as log:
            return subprocess.Popen(
                shlex.split(self._words)[1:] if self._words.startswith("exec ") else shlex.split(self._words),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] {message}"},
            )

    @property
    def log(self) -> str:
        """Everything it printed, over all its lives."""
        return self.log_file.read_text(errors="replace")

    def say(self, text: str) -> None:
        """Type a line into its terminal."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code; one that does not end is killed and returns that."""
        self.send(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end."""
        try:
            return self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def raise_priority(self, priority: int) -> None:
        """Run all its threads before others, as far as that is permitted."""
        raise_priority(self.process.pid, priority)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it afresh."""
        self.process = self._start()


def end(parts: Sequence[Part]) -> list[int]:
    """Press Ctrl-C for all at once and return the exit codes."""
    for part in parts:
        part.send(signal.SIGINT)
    return [part.wait() for part in parts]


def raise_priority(pid: int, priority: int) -> None:
    """Run all threads of a process before others (SCHED_FIFO), as far as that is permitted."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until a condition holds and return its value.

    Raises:
        NoAnswer: it does not within `patience` [s].
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise NoAnswer(f"waited {patience:.0f} s in vain for {what}")


def changed(node: NodeSpec, parameters: Mapping[str, Any]) -> NodeSpec:
    """Return a node with some parameters changed."""
    from dataclasses import replace

    return replace(node, parameters={**node.parameters, **parameters})
