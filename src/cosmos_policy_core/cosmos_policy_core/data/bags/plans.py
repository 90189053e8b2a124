"""Where a planner's chunks were executed: the arms rest while it thinks, and those pauses are no part of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.bags.reading import Bag
from cosmos_policy_core.data.bags.streams import Signal
from cosmos_policy_core.embodiment import Embodiment

REPORTS_TOPIC = "/plan_report"
SEARCH = 2.0  # [s] after a decision within which its chunk begins
SHARP = 0.005  # [rad] between an action and the command at its time, at which a match counts a third
NEAR = 0.03  # [rad] at which it counts as one at all
LEAST = 3  # actions in a row that must be near
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

    A chunk is found by its own numbers: the executor commands action k at the end of its k-th period, after arms at
    rest were led to the first one.
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
        observed = plan.observed if _rested(plan, commands) else start
        stop = min(start + length, last)
        if index + 1 < len(starts):
            follower, begin = starts[index + 1]
            stop = min(stop, follower.observed if _rested(follower, commands) else begin)
        spans.append(Span(observed, start, stop))
    return spans


def _start(plan: Plan, until: int, commands: Sequence[Signal], contract: Embodiment) -> int | None:
    """Try every command tick since the observation as the chunk's first, and return the best start."""
    tick, period = round(1e9 / contract.command_rate), round(contract.period * 1e9)
    stamps = commands[0].stamps
    possible = stamps[(stamps >= plan.observed) & (stamps <= until)] - tick
    if len(possible) == 0:
        return None
    count = min(len(plan.actions), contract.executed_steps)
    actions = np.clip(plan.actions[:count], contract.action_lower, contract.action_upper)
    times = possible[:, None] + period * np.arange(1, count + 1)
    told = np.concatenate([signal.interpolated(times.reshape(-1)) for signal in commands], axis=1)
    apart = np.abs(told.reshape(len(possible), count, -1) - actions)
    error = np.delete(apart, contract.gripper_indices, axis=2).max(axis=2)  # grippers are slower than their actions
    best = int(np.exp(-error / SHARP).sum(axis=1).argmax())
    near = np.append(error[best] < NEAR, False)
    row = int(np.argmin(near[np.argmax(near) :]))  # the first run of near actions
    start = int(possible[best])
    return start if row >= LEAST and not _still(start, start + count * period, commands) else None


def _rested(plan: Plan, commands: Sequence[Signal]) -> bool:
    """Whether the arms were held from a plan's observation to its decision."""
    return _still(plan.observed, plan.decided, commands)


def _still(since: int, until: int, commands: Sequence[Signal]) -> bool:
    """Whether no command changed between two times."""
    for signal in commands:
        inside = signal.values[(signal.stamps >= since) & (signal.stamps <= until)]
        if len(inside) and float(np.ptp(inside, axis=0).max()) > STILL:
            return False
    return True


def _time(stamp: Any) -> int:
    return int(stamp.sec * 1_000_000_000 + stamp.nanosec)
