"""Rows on disk, one JSON line each, that survive a process being killed while it writes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row, and bring it to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(row) + "\n"
    with path.open("ab+") as file:
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read() == b"\n" else f"\n{line}"  # what a killed run left stays a line of its own
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of a file; none where there is no file, and what was cut off is passed over."""
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # cut off when a run was killed or the disk was full
            continue
        if isinstance(row, dict):
            yield row
