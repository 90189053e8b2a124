"""Run the steps of a set-up: each once per change of its inputs, with something to see while it lasts."""

from __future__ import annotations

import hashlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

START = time.monotonic()
HEARTBEAT = 10.0  # [s] between two signs of life where lines cannot be rewritten
TAIL = 30  # lines of a failed command that are shown


class SetupError(Exception):
    """The set-up cannot go on; the message says what, where, and what to do."""


def say(text: str) -> None:
    """Print a line with the time since the start."""
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def digest(files: Iterable[Path], *words: str) -> str:
    """Return a short hash of some files' names and contents, and of some words."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    for word in words:
        total.update(word.encode() + b"\0")
    return total.hexdigest()[:20]


def is_fresh(stamp: Path, key: str) -> bool:
    """Tell whether a step was finished with these inputs."""
    return stamp.exists() and stamp.read_text() == key


def finish(stamp: Path, key: str) -> None:
    """Note that a step was finished with these inputs."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)


def run(what: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a command and show its latest line and the time while it runs.

    Args:
        what: the step in words.
        log: file that receives everything the command prints.

    Raises:
        SetupError: the command failed; carries the end of its output.
    """
    say(what)
    code, lines = _follow([str(word) for word in command], log, {**os.environ, **(environment or {})})
    if code != 0:
        tail = "\n".join(f"    {line}" for line in lines[-TAIL:])
        raise SetupError(f"{what}: failed with exit code {code}.\n{tail}\nEverything it printed is in {log}.")


def succeeds(command: Sequence[str | Path]) -> bool:
    """Run a command silently and tell whether it succeeded."""
    try:
        return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _follow(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> tuple[int, list[str]]:
    log.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    with log.open("a") as record:
        record.write(f"$ {' '.join(command)}\n")
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        for line in _lines_or_pulses(process, began=time.monotonic()):
            record.write(line + "\n")
            lines.append(line)
    return process.wait(), lines


def _lines_or_pulses(process: subprocess.Popen[str], began: float) -> Iterable[str]:
    """Yield the lines of a process, and meanwhile show that it lives."""
    received: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, received), daemon=True).start()
    pulse = _Pulse(began)
    while True:
        try:
            line = received.get(timeout=0.5)
        except queue.Empty:
            pulse.show()
            continue
        if line is None:
            pulse.end()
            return
        if line.strip():
            pulse.latest = line.strip()
        pulse.show()
        yield line


def _read(process: subprocess.Popen[str], received: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        received.put(line.rstrip("\n"))
    received.put(None)


class _Pulse:
    """The sign of life below a step: rewritten on a terminal, now and then elsewhere."""

    def __init__(self, began: float) -> None:
        self.latest = ""
        self._began = began
        self._shown = began
        self._on_terminal = sys.stdout.isatty()

    def show(self) -> None:
        now = time.monotonic()
        text = f"{now - self._began:8.0f} s  {self.latest}"
        if self._on_terminal:
            width = os.get_terminal_size().columns - 1
            print(f"\r\033[K{text[:width]}", end="", flush=True)
        elif now - self._shown >= HEARTBEAT:
            self._shown = now
            print(text[:150], flush=True)

    def end(self) -> None:
        if self._on_terminal:
            print("\r\033[K", end="", flush=True)
