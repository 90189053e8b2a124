"""From messages at their own rates to control steps, by stamps alone.

Step t is observed with the newest image and joint state stamped at or before its time, as the live policy does. Its
action is what the arms are told one period later, because that is when an executor reaches the action of a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosmos_policy_core.data.bags.plans import Span
from cosmos_policy_core.data.bags.streams import Signal, Stream, Times
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError


@dataclass(frozen=True)
class Tolerances:
    """Oldest image and state a step may be observed with, and farthest command [s]; steps beyond are gaps."""

    image: float
    state: float
    command: float

    @classmethod
    def of(cls, contract: Embodiment) -> Tolerances:
        """What the live planner, executor and drivers accept."""
        safety = contract.safety
        return cls(contract.image_max_age, contract.state_timeout, safety.command_timeout if safety else np.inf)


@dataclass(frozen=True)
class Grid:
    """(L,) times at which steps are observed, and at which their actions are reached [ns]."""

    observed: Times
    reached: Times

    def __len__(self) -> int:
        return len(self.observed)


@dataclass(frozen=True)
class Gap:
    """Steps that a topic has nothing recent enough for."""

    topic: str
    first: int
    steps: int
    longest: float  # age of what there was [s]

    def __str__(self) -> str:
        return f"{self.topic}: {self.steps} step(s) from step {self.first} on, up to {self.longest:.2f} s old"


def make_grid(
    observations: Sequence[Stream], commands: Sequence[Signal], spans: Sequence[Span] | None, contract: Embodiment
) -> Grid:
    """Lay control steps over a recording; with spans of executed chunks, only over them.

    Raises:
        EpisodeError: the topics have no time in common.
    """
    period = round(contract.period * 1e9)
    first = max(int(stream.stamps[0]) for stream in observations)
    last = min(int(stream.stamps[-1]) for stream in observations) + period
    if spans is None:
        start = max(first, max(int(signal.stamps[0]) for signal in commands) - period)
        stop = min(last, min(int(signal.stamps[-1]) for signal in commands))
        observed = np.arange(start, stop - period + 1, period, dtype=np.int64)
        reached = observed + period
    else:
        parts = [_span_steps(span, period) for span in spans]
        observed = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int64)
        reached = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, np.int64)
        inside = (observed >= first) & (observed < last)
        observed, reached = observed[inside], reached[inside]
    if len(observed) == 0:
        raise EpisodeError(_no_common_time([*observations, *commands]))
    return Grid(observed, reached)


def find_gaps(
    observed: Sequence[tuple[Stream, float]], commands: Sequence[Signal], grid: Grid, tolerance: float
) -> list[Gap]:
    """List, per topic, steps whose newest message is older (or whose command is farther) than its tolerance."""
    gaps = []
    for stream, limit in observed:
        ages = (grid.observed - stream.stamps[stream.latest(grid.observed)]) * 1e-9
        gaps += _gap(stream.topic, ages, limit)
    for signal in commands:
        gaps += _gap(signal.topic, signal.distance(grid.reached), tolerance)
    return gaps


def _gap(topic: str, ages: np.ndarray, limit: float) -> list[Gap]:
    late = np.flatnonzero(ages > limit + 1e-9)
    return [Gap(topic, int(late[0]), len(late), float(ages[late].max()))] if len(late) else []


def _span_steps(span: Span, period: int) -> tuple[Times, Times]:
    """Lay steps over an executed chunk; its first is observed when the policy observed it."""
    reached = np.arange(span.start + period, span.stop + 1, period, dtype=np.int64)
    observed = reached - period
    if len(observed):
        observed[0] = span.observed
    return observed, reached


def _no_common_time(streams: Sequence[Stream]) -> str:
    parts = ", ".join(
        f"{stream.topic} {stream.stamps[0] * 1e-9:.2f}..{stream.stamps[-1] * 1e-9:.2f} s" for stream in streams
    )
    return (
        f"the topics have no control step in common ({parts}). Set use_sim_time alike in all nodes, or record longer."
    )
