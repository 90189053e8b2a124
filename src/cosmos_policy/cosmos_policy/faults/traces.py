"""What the motors did: the emulators' traces, read after the fact."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

AT_REST = 0.03  # [rad/s]; the motions of the cases are fifteen times faster


@dataclass(frozen=True)
class Moment:
    """One line of a trace: joint speeds [rad/s], goals [ticks] and motors with torque, at a monotonic time [s]."""

    time: float
    speed: dict[str, float]
    goal: dict[str, int]
    torque: tuple[int, ...]


@dataclass(frozen=True)
class Stop:
    """How an arm came to rest, in seconds after something happened.

    Args:
        told: when the last new goal reached its motors; 0 where none did.
        rested: when the last of its joints came to rest; 0 where none moved.
        late: new goals after the grace.
        moved: whether it was moving before.
    """

    told: float
    rested: float
    late: int
    moved: bool = False


def stop(path: Path, since: float, until: float, grace: float, limp: Collection[str] = ()) -> Stop:
    """Look how an arm came to rest between two moments of the monotonic clock.

    Args:
        grace: [s] after `since`, in which goals may still change.
        limp: joints that nothing holds any more, and which do not count.
    """
    told = rested = 0.0
    late, moved, before = 0, False, None
    for moment in moments(path):
        if moment.time > until:
            break
        if moment.time > since:
            after = moment.time - since
            if before is not None and moment.goal != before.goal:
                told = after
                late += after > grace
            if _moves(moment, limp):
                rested = after
        else:
            moved = _moves(moment, limp)
        before = moment
    return Stop(told, rested, late, moved)


def _moves(moment: Moment, limp: Collection[str]) -> bool:
    return any(abs(speed) > AT_REST for name, speed in moment.speed.items() if name not in limp)


def torque(path: Path) -> tuple[int, ...]:
    """Return the motors that have torque at the end of a trace."""
    last: tuple[int, ...] = ()
    for moment in moments(path):
        last = moment.torque
    return last


def moments(path: Path) -> Iterator[Moment]:
    """Read a trace, which may still be written to."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.endswith("}"):  # under way
            return
        row = json.loads(line)
        yield Moment(row["t"], row["speed"], row["goal"], tuple(row["torque"]))
