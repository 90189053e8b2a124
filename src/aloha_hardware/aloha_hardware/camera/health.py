"""How a camera does: counted by its threads, judged once a second."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum

WINDOW = 2.0  # s, over which a rate is measured
ENOUGH_OF_THE_RATE = 0.9


class Level(Enum):
    """How serious it is; the names are those of diagnostic_msgs/DiagnosticStatus."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    STALE = "stale"


@dataclass(frozen=True)
class Limits:
    """What is still well: pictures per second [Hz], silence [s] and age at publication [s]."""

    rate: float
    stale_after: float
    late_after: float


@dataclass(frozen=True)
class Report:
    """A camera at one moment.

    Attributes:
        problem: why there are no pictures, empty while the camera is connected.
        ended: whether it is a recording that is over.
        silence: time since the last new picture [s].
        repeating: whether the same picture came again since.
        rate: new pictures per second [Hz].
        published_rate: of those, published [Hz].
        age, oldest: of the pictures published lately, when they were published: mean and greatest [s].
        captured, published, dropped, repeated, reconnects: counts since the start; dropped: replaced by a newer
            picture before they could be published; repeated: equal to the picture before, not published.
    """

    problem: str
    ended: bool
    silence: float
    repeating: bool
    rate: float
    published_rate: float
    age: float
    oldest: float
    captured: int
    published: int
    dropped: int
    repeated: int
    reconnects: int

    def judge(self, limits: Limits, *, active: bool) -> tuple[Level, str]:
        """Say how the camera does, and in one sentence what is wrong."""
        if self.ended:
            return Level.STALE, self.problem
        if self.problem:
            return Level.ERROR, self.problem
        if self.silence > limits.stale_after:
            how = "the same picture again and again" if self.repeating else "no picture"
            return Level.STALE, f"frozen: {how} for {self.silence:.1f} s; nothing is published. Check cable and power."
        if not active:
            return Level.OK, "inactive: taking pictures, publishing none"
        if self.oldest > limits.late_after:
            return (
                Level.WARN,
                f"late: pictures are up to {self.oldest:.3f} s old. Is this machine, or the bus, overloaded?",
            )
        if self.rate < ENOUGH_OF_THE_RATE * limits.rate:
            return Level.WARN, f"slow: {self.rate:.1f} of {limits.rate:g} Hz. Check light (exposure), cable and hub."
        return Level.OK, f"{self.rate:.1f} Hz"


class Health:
    """Counts what happens to a camera; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captured: deque[float] = deque(maxlen=1000)
        self._published: deque[tuple[float, float]] = deque(maxlen=1000)
        self._counts = dict.fromkeys(("captured", "published", "dropped", "repeated", "reconnects"), 0)
        self._problem = ""
        self._ended = False
        self._repeating = False
        self._since = time.monotonic()
        self._news = self._since

    def captured(self, *, dropped: bool) -> None:
        """Count a new picture, and whether it replaced one that was never published."""
        now = time.monotonic()
        with self._lock:
            self._captured.append(now)
            self._counts["captured"] += 1
            self._counts["dropped"] += dropped
            self._news = now
            self._repeating = False

    def repeated(self) -> None:
        """Count a picture equal to the one before."""
        with self._lock:
            self._counts["repeated"] += 1
            self._repeating = True

    def published(self, age: float) -> None:
        """Count a publication of a picture that is `age` [s] old."""
        with self._lock:
            self._published.append((time.monotonic(), age))
            self._counts["published"] += 1

    def lost(self, problem: str, *, ended: bool = False) -> None:
        """Note why there are no more pictures."""
        with self._lock:
            self._problem, self._ended = problem, ended

    def connected(self, *, again: bool) -> None:
        """Note that the camera is there (again)."""
        now = time.monotonic()
        with self._lock:
            self._problem, self._ended, self._repeating = "", False, False
            self._counts["reconnects"] += again
            self._since = self._news = now
            self._captured.clear()

    def report(self) -> Report:
        """Sum up."""
        now = time.monotonic()
        with self._lock:
            counts = dict(self._counts)
            recent = sum(now - moment < WINDOW for moment in self._captured)
            ages = [age for moment, age in self._published if now - moment < WINDOW]
            # Right after the start the window is not full.
            window = max(min(WINDOW, now - self._since), 0.1)
            return Report(
                problem=self._problem,
                ended=self._ended,
                silence=now - self._news,
                repeating=self._repeating,
                rate=recent / window,
                published_rate=len(ages) / window,
                age=sum(ages) / len(ages) if ages else 0.0,
                oldest=max(ages, default=0.0),
                **counts,
            )
