"""The nodes of a graph as processes of our own: what each prints, and the processor time it takes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cosmos_policy.errors import BenchError
from cosmos_policy.graph import NodeSpec
from cosmos_policy.launcher import command

SECONDS_TO_END = 6.0  # nodes end by themselves within 3.5 s


class Nodes:
    """Processes of nodes, ended together on leaving the context.

    Args:
        folder: for parameter files and logs.
    """

    def __init__(self, nodes: Sequence[NodeSpec], folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._processes = folder, dict[str, subprocess.Popen[bytes]]()
        for node in nodes:
            place = folder / node.label.replace("/", "_")
            place.mkdir()
            with (place / "log.txt").open("wb") as log:
                self._processes[node.label] = subprocess.Popen(
                    command(node, place),
                    shell=True,  # `exec`s the node
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise BenchError when a node has ended."""
        for label, process in self._processes.items():
            if process.poll() is not None:
                log = (self._folder / label.replace("/", "_") / "log.txt").read_text(errors="replace")
                tail = "\n".join(log.splitlines()[-8:])
                raise BenchError(f"{label} ended with code {process.returncode}. The end of its log:\n{tail}")

    def processor_seconds(self) -> dict[str, float]:
        """Processor time of every node so far [s]."""
        return {label: processor_seconds(process.pid) for label, process in self._processes.items()}

    def raise_priority(self, name: str, priority: int) -> None:
        """Run all threads of the nodes of a name before others (SCHED_FIFO), as far as that is permitted."""
        for label, process in self._processes.items():
            if label.endswith(name):
                for thread in Path(f"/proc/{process.pid}/task").iterdir():
                    with contextlib.suppress(OSError):
                        os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))

    def stop(self) -> None:
        """End all nodes."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        end = time.monotonic() + SECONDS_TO_END
        for process in self._processes.values():
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def processor_seconds(pid: int) -> float:
    """Processor time of a process, user and system, all threads [s] (proc(5), stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
