"""What a check found, and everything that was found."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

Level = Literal["ok", "note", "warning", "error"]
Subject = Mapping[str, Any]

GROUP = "cosmos_policy.doctor_checks"


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing.

    Args:
        area: what it belongs to, for example `arm follower_left`.
        level: ok; note (nothing to do); warning (works, but worse than it could); error (will not work).
        remedy: what to do about it; empty where there is nothing to do.
    """

    area: str
    level: Level
    message: str
    remedy: str = ""


Check = Callable[[Subject], Iterable[Mapping[str, str]]]


def contributed(subject: Subject) -> Iterator[Finding]:
    """Run the checks of other packages; one that fails is a finding itself."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        yield from _run(entry, subject)


def _run(entry: EntryPoint, subject: Subject) -> Iterator[Finding]:
    try:
        check: Check = entry.load()
        for found in check(subject):
            yield Finding(**found)  # type: ignore[arg-type]  # a wrong level shows as it is
    except Exception:
        last = traceback.format_exc().strip().splitlines()[-1]
        yield Finding(entry.name, "error", f"the check itself failed ({last})", "Report this; build again: make setup")
