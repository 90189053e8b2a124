"""`ros2 run cosmos_policy faults`: break the graph on emulated motors in every way, and write down what happened."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from cosmos_policy.errors import NodeError
from cosmos_policy.faults import arm_cases, lifecycle_cases, table, task_cases
from cosmos_policy.faults.outcome import Outcome
from cosmos_policy.faults.processes import raise_priority
from cosmos_policy.faults.rig import AS_SHIPPED, RELAXED, Pace, Rig

Run = Callable[[Rig], Outcome]
ROUNDS = 20
JUMP = 10.0  # [s]
ATTEMPTS = 3


def arms() -> dict[str, Run]:
    """Return the cases that need arms and executor, by name."""
    cases: dict[str, Run] = {case.name: partial(arm_cases.run, case) for case in arm_cases.ARM_CASES}
    return cases | {"two_goals": arm_cases.two_goals, "bad_numbers": arm_cases.bad_numbers}


def clock() -> dict[str, Run]:
    """Return the cases in which the operator makes the clock."""
    return {
        "clock_ahead": partial(arm_cases.clock_jump, seconds=JUMP),
        "clock_back": partial(arm_cases.clock_jump, seconds=-JUMP),
    }


def tasks() -> dict[str, Run]:
    """Return the cases that need cameras, planner and policy too."""
    return {case.name: partial(task_cases.run, case) for case in task_cases.TASK_CASES}


def lifecycle(rounds: int) -> dict[str, Run]:
    """Return the cases in which nodes end and come up again."""
    cases: dict[str, Run] = {
        f"ctrl_c_{process.label.rpartition('/')[2]}_{state}": partial(
            lifecycle_cases.interrupt, process=process, state=state
        )
        for process in lifecycle_cases.PROCESSES
        for state in lifecycle_cases.STATES
    }
    return cases | {"up_and_down": partial(lifecycle_cases.up_and_down, rounds=rounds)}


def groups(rounds: int = ROUNDS) -> list[tuple[dict[str, Run], Callable[..., Rig]]]:
    """Return all cases, with the graph each group needs."""
    return [
        (arms(), Rig),
        (clock(), _clock_rig),
        (tasks(), partial(Rig, tasks=True)),
        (lifecycle(rounds), Rig),
    ]


def _clock_rig(*_: object, **__: object) -> Rig:
    """Make a graph on the operator's clock, always with patience: this clock comes as messages, and stamps with it."""
    return Rig(RELAXED, simulated_time=True)


def run(
    names: Sequence[str], pace: Pace, rounds: int = ROUNDS, realtime_priority: int = 0
) -> Iterator[tuple[str, Outcome]]:
    """Run cases, all of them where none is named, one graph per group."""
    for cases, rig_of in groups(rounds):
        chosen = {name: case for name, case in cases.items() if not names or name in names}
        if not chosen:
            continue
        try:
            with rig_of(pace, realtime_priority=realtime_priority) as rig:
                if realtime_priority:  # who breaks things, and who makes the clock, must not come late either
                    raise_priority(os.getpid(), realtime_priority)
                rig.wait_until_ready()
                for name in list(chosen):
                    yield name, attempt(name, chosen.pop(name), rig)
        except NodeError as error:
            yield from ((name, Outcome(name, "", problem=f"the graph did not come up: {error}")) for name in chosen)


def attempt(name: str, case: Run, rig: Rig) -> Outcome:
    """Run a case; where the fault could not be made, because the machine was busy, try again."""
    for _ in range(ATTEMPTS):
        try:
            return case(rig)
        except NodeError as error:
            reason = str(error)
            rig.recovers()
    return Outcome(name, "", problem=f"could not be tried: {reason}")


def main(words: Sequence[str] | None = None) -> int:
    """Run the cases; the exit code is 1 when one of them did not go as it should."""
    options = _parser().parse_args(words)
    known = [name for cases, _ in groups() for name in cases]
    if unknown := [name for name in options.case if name not in known]:
        print(f"faults: there is no case '{unknown[0]}'. Use: {', '.join(known)}.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that the graph ends too
    pace = RELAXED if options.relaxed else AS_SHIPPED
    outcomes: dict[str, Outcome] = {}
    try:
        for name, outcome in run(options.case, pace, options.rounds, options.realtime_priority):
            outcomes[name] = outcome
            verdict = "well" if outcome.well else f"NOT WELL: {outcome.problem}"
            print(f"{name}: {verdict}", file=sys.stderr, flush=True)
        text = table.table(list(outcomes.values()), pace.grace)
        if options.write:
            table.write(options.write, text)
        else:
            print(text)
    except NodeError as error:
        print(f"faults: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if options.json:
        rows = {name: asdict(outcome) | {"well": outcome.well} for name, outcome in outcomes.items()}
        print(json.dumps({"machine": platform.processor() or platform.machine(), "faults": rows}))
    return 0 if all(outcome.well for outcome in outcomes.values()) else 1


def _parser() -> argparse.ArgumentParser:
    names = [name for cases, _ in groups() for name in cases]
    parser = argparse.ArgumentParser(prog="faults", description=__doc__, epilog=f"cases: {', '.join(names)}")
    parser.add_argument("case", nargs="*", metavar="CASE", help="only these (default: all, 6 minutes)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page, between its markers")
    parser.add_argument("--relaxed", action="store_true", help="longer time-outs, for a machine that is busy")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of bring-up and tear-down (default: {ROUNDS})")
    parser.add_argument("--realtime-priority", type=int, default=0, metavar="N", help="of the arms' side of the graph")
    parser.add_argument("--json", action="store_true", help="print a JSON object as the last line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
