"""Ctrl-C in every state of the lifecycle, and bring-up and tear-down again and again: the arms stay held."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from lifecycle_msgs.msg import Transition

from cosmos_policy.errors import NoAnswer
from cosmos_policy.faults.arm_cases import DISTANCE, MIDDLE, WATCHED
from cosmos_policy.faults.outcome import Outcome
from cosmos_policy.faults.processes import Part, end, until
from cosmos_policy.faults.rig import EXECUTOR, HOLDS, LEFT, RIGHT, Rig, said
from cosmos_policy.faults.traces import torque

STATES = ("unconfigured", "inactive", "active", "moving")
ALL_MOTORS = tuple(range(1, 10))


@dataclass(frozen=True)
class Process:
    """Whom Ctrl-C meets."""

    title: str
    node: str
    label: str


PROCESSES = (
    Process("a driver", f"/{LEFT}/arm_driver", f"{LEFT}/arm_driver"),
    Process("the executor", f"/{EXECUTOR}", EXECUTOR),
)


def interrupt(rig: Rig, process: Process, state: str) -> Outcome:
    """Bring a node into a state, press Ctrl-C, and see whether it ends well, the arms held, and comes up again."""
    part = rig.parts[process.label]
    operator, problem = rig.operator, ""
    if state == "moving":
        running = operator.execute(operator.motion(DISTANCE))
        running.wait_for_step(MIDDLE)
    else:
        _lead(rig, process, state)
    mark, since = len(part.log), time.monotonic()
    code = part.interrupt()
    took = time.monotonic() - since
    time.sleep(WATCHED)
    stops = rig.stops(since, time.monotonic(), took)
    held = {arm: torque(rig.trace(arm)) == ALL_MOTORS for arm in (LEFT, RIGHT)}
    if code != 0 or "Traceback" in part.log[mark:]:
        problem = f"it ended with {code}: {part.log[mark:][-300:]}"
    elif not all(held.values()):
        problem = f"not every motor has torque: {held}"
    told = _last_words(part.log[mark:])
    recovered, trouble = rig.recovers(lambda rig: _up_again(rig, part))
    return Outcome(
        f"Ctrl-C: {process.title}, {state}",
        "both hold",
        "",
        told,
        "start it again",
        recovered,
        max(stop.told for stop in stops.values()),
        max(stop.rested for stop in stops.values()),
        sum(stop.late for stop in stops.values()),
        problem or trouble,
        {"ended_s": took},
    )


def _lead(rig: Rig, process: Process, state: str) -> None:
    if state in ("inactive", "unconfigured"):
        rig.operator.change_state(process.node, Transition.TRANSITION_DEACTIVATE)
    if state == "unconfigured":
        rig.operator.change_state(process.node, Transition.TRANSITION_CLEANUP)


def _up_again(rig: Rig, part: Part) -> None:
    before = part.log.count(HOLDS)
    part.start_again()
    if part is not rig.parts[EXECUTOR]:
        until(partial(said, part, HOLDS, before), "the driver")


def _last_words(log: str) -> list[str]:
    lines = [line.partition("] ")[2] for line in log.splitlines() if line.startswith(("[INFO]", "[WARN]"))]
    return lines[-1:]


def up_and_down(rig: Rig, rounds: int) -> Outcome:
    """Bring drivers and executor up and down around the same motors."""
    parts = [rig.driver(LEFT), rig.driver(RIGHT), rig.parts[EXECUTOR]]
    up: list[float] = []
    down: list[float] = []
    problem = ""
    for round_ in range(rounds):
        if problem := _round(rig, parts, up, down):
            problem = f"round {round_ + 1}: {problem}"
            break
    recovered, trouble = rig.recovers()
    numbers: dict[str, Any] = {"rounds": len(up), "up_s": max(up, default=0.0), "down_s": max(down, default=0.0)}
    return Outcome(
        f"{rounds} times bring-up and tear-down",
        "held all the time",
        "",
        [f"{len(up)} of {rounds} well; up within {numbers['up_s']:.1f} s, down within {numbers['down_s']:.1f} s"],
        "nothing to do",
        recovered,
        problem=problem or trouble,
        numbers=numbers,
    )


def _round(rig: Rig, parts: list[Part], up: list[float], down: list[float]) -> str:
    began = time.monotonic()
    codes = end(parts)
    down.append(time.monotonic() - began)
    held = {arm: torque(rig.trace(arm)) == ALL_MOTORS for arm in (LEFT, RIGHT)}
    if any(codes) or not all(held.values()):
        return f"exit codes {codes}, all motors with torque: {held}"
    began = time.monotonic()
    before = [part.log.count(HOLDS) for part in parts]
    for part in parts:
        part.start_again()
    try:
        for part, count in zip(parts[:2], before, strict=False):
            until(partial(said, part, HOLDS, count), "the driver")
        rig.moves()
    except NoAnswer as error:
        return str(error)
    up.append(time.monotonic() - began)
    return ""
