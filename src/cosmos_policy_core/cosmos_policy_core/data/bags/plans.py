"""Where a planner's chunks were executed: the arms rest while it thinks, and those pauses are no part of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.bags.reading import Bag
from cosmos_policy_core.data.bags.streams import Signal
from cosmos_policy_core.embodiment import Embodiment

REPORTS_TOPIC = "/plan_report"
SEARCH = 2.0  # [s] after a decision within which its chunk begins
NEAR = 0.03  # [rad] between an action and the command at its time
FAR = 0.1  # [rad] beyond which it does not matter how far
EXECUTED = 0.2  # share of a chunk's actions that must be near
STILL = 1e-4  # [rad] a held command may differ by


@dataclass(frozen=True)
class Plan:
    """One decision: times [ns] and the (K, A) chosen chunk."""

    observed: int
    decided: int
    actions: NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """Time in which one chunk was executed [ns]; `observed` is earlier than `start` where the arms waited for it."""

    observed: int
    start: int
    stop: int


def read_plans(bag: Bag) -> list[Plan]:
    """Read the decisions of a bag, in order of time."""
    plans = []
    for message in bag.messages([REPORTS_TOPIC]):
        report = bag.decode(message)
        chosen = [chunk for chunk in report.candidates if chunk.candidate_id == report.chosen]
        if chosen and chosen[0].horizon:
            actions = np.asarray(chosen[0].positions, dtype=np.float64).reshape(chosen[0].horizon, -1)
            plans.append(Plan(_time(report.observation_stamp), _time(report.header.stamp), actions))
    return sorted(plans, key=lambda plan: plan.decided)


def executed_spans(plans: Sequence[Plan], commands: Sequence[Signal], contract: Embodiment) -> list[Span]:
    """Find when each plan's chunk was executed; a plan that never moved the arms gives no span.

    A chunk is found by its own numbers: the executor commands action k at the end of its k-th period.
    """
    starts: list[tuple[Plan, int]] = []
    for index, plan in enumerate(plans):
        limit = plan.decided + int(SEARCH * 1e9)
        until = min(limit, plans[index + 1].decided) if index + 1 < len(plans) else limit
        start = _start(plan, until, commands, contract)
        if start is not None:
            starts.append((plan, start))
    length = round(contract.executed_steps * contract.period * 1e9)
    last = min(int(signal.stamps[-1]) for signal in commands)
    spans = []
    for index, (plan, start) in enumerate(starts):
        observed = plan.observed if _rested(plan.observed, start, commands) else start
        stop = min(start + length, last)
        if index + 1 < len(starts):
            follower, begin = starts[index + 1]
            stop = min(stop, follower.observed if _rested(follower.observed, begin, commands) else begin)
        spans.append(Span(observed, start, stop))
    return spans


def _start(plan: Plan, until: int, commands: Sequence[Signal], contract: Embodiment) -> int | None:
    """Try every command tick after the decision as the chunk's first, and return the best start."""
    tick = round(1e9 / contract.command_rate)
    stamps = commands[0].stamps
    possible = stamps[(stamps >= plan.decided - tick) & (stamps <= until)] - tick
    if len(possible) == 0:
        return None
    count = min(len(plan.actions), contract.executed_steps)
    actions = np.clip(plan.actions[:count], contract.action_lower, contract.action_upper)
    after = np.round(contract.period * 1e9 * np.arange(1, count + 1)).astype(np.int64)
    times = possible[:, None] + after
    told = np.concatenate([signal.interpolated(times.reshape(-1)) for signal in commands], axis=1)
    error = np.abs(told.reshape(len(possible), count, -1) - actions).max(axis=2)
    best = int(np.minimum(error, FAR).mean(axis=1).argmin())
    return int(possible[best]) if (error[best] < NEAR).mean() >= EXECUTED else None


def _rested(since: int, until: int, commands: Sequence[Signal]) -> bool:
    """Whether no command changed between two times."""
    if until <= since:
        return False
    for signal in commands:
        inside = signal.values[(signal.stamps >= since) & (signal.stamps <= until)]
        if len(inside) and float(np.ptp(inside, axis=0).max()) > STILL:
            return False
    return True


def _time(stamp: object) -> int:
    return int(getattr(stamp, "sec")) * 1_000_000_000 + int(getattr(stamp, "nanosec"))  # noqa: B009
