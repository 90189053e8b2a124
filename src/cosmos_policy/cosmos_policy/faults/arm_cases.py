"""Faults of arms, bus and executor, each in the middle of a chunk that moves both arms."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from cosmos_policy.errors import NoAnswer
from cosmos_policy.faults.case import Case, Verb
from cosmos_policy.faults.outcome import Outcome
from cosmos_policy.faults.processes import until
from cosmos_policy.faults.rig import EXECUTOR, HOLDS, LEFT, RIGHT, STOP, TRIES, Rig, said
from cosmos_policy_msgs.action import ExecuteChunk

DISTANCE = 0.6  # [rad] in one chunk
MIDDLE = 20  # actions into it: the joints are at half speed or more
WATCHED = 1.5  # [s] after the fault


@dataclass(frozen=True)
class ArmCase(Case):
    """A fault in the middle of a chunk.

    Args:
        goes_on: whether the arms are to move on.
        limp: (arm, joint) that nothing holds afterwards.
    """

    goes_on: bool = False
    limp: Sequence[tuple[str, str]] = ()


def run(case: ArmCase, rig: Rig) -> Outcome:
    """Break, watch, mend, and see whether the arms move again."""
    operator = rig.operator
    running = operator.execute(operator.motion(DISTANCE))
    running.wait_for_step(MIDDLE)
    since = time.monotonic()
    case.break_it(rig)
    reason = message = ""
    if case.reasons:
        reason, message = running.result()
    time.sleep(max(0.0, since + WATCHED - time.monotonic()))
    ended = time.monotonic()
    told = [text for text in (message, *_complaints(case, rig, since)) if text]
    told.sort(key=lambda text: sum(word not in text for word in case.words))  # what explains it best comes first
    problem = _problem(case, reason, told)
    recovered, trouble = rig.recovers(case.mend_it)
    stops = rig.stops(since, ended, limp=case.limp)
    if not all(stop.moved for stop in stops.values()):
        raise NoAnswer("the arms did not move when it was broken: this machine is too busy")
    late = sum(stop.late for stop in stops.values())
    if late and not case.goes_on:
        problem = problem or f"{late} new goals later than {rig.grace:g} s after the fault"
    return Outcome(
        case.fault,
        case.expected,
        reason,
        told,
        case.recovery,
        recovered,
        None if case.goes_on else max(stop.told for stop in stops.values()),
        None if case.goes_on else max(stop.rested for stop in stops.values()),
        None if case.goes_on else late,
        problem or trouble,
    )


def _complaints(case: ArmCase, rig: Rig, since: float) -> list[str]:
    """Wait for the words that must appear: diagnostics come once a second."""
    operator = rig.operator

    def heard() -> bool:
        text = " ".join([*operator.complaints(since), *(part.log for part in rig.parts.values())])
        return all(word in text for word in case.words)

    with contextlib.suppress(NoAnswer):
        until(heard, "the diagnostics", 5.0)
    return operator.complaints(since)


def _problem(case: ArmCase, reason: str, told: Sequence[str]) -> str:
    if case.reasons and reason not in case.reasons:
        return f"the chunk ended as {reason} ({told[0] if told else 'nothing was said'})"
    missing = [word for word in case.words if not any(word in text for text in told)]
    return f"the user was not told '{missing[0]}'" if missing else ""


# What is done ------------------------------------------------------------------------------------------------------


def nothing(rig: Rig) -> None:
    """Wait and see."""


def loses(share: float) -> Verb:
    """Lose a share of all status packets, on both buses."""

    def act(rig: Rig) -> None:
        for arm in (LEFT, RIGHT):
            rig.motors(arm).say(f"drop {share}")

    return act


def left_motors(text: str) -> Verb:
    """Type something into the terminal of the left arm's motors."""
    return lambda rig: rig.motors(LEFT).say(text)


def frees_and_reboots(text: str) -> Verb:
    """Take the cause away, then restart the left arm's motors."""

    def act(rig: Rig) -> None:
        if text:
            rig.motors(LEFT).say(text)
        rig.operator.trigger(f"/{LEFT}/arm_driver/reboot_motors")

    return act


def restarts(label: str) -> Verb:
    """Start a process again."""
    return lambda rig: rig.parts[label].start_again()


def restarts_driver(rig: Rig) -> None:
    """Start the left arm's driver again and wait until it holds the arm."""
    driver = rig.driver(LEFT)
    before = driver.log.count(HOLDS)
    driver.start_again()
    until(partial(said, driver, HOLDS, before), "the driver")


def stops_and_kills_executor(rig: Rig) -> None:
    """Raise the stop, then end the executor, which must not take the stop with it."""
    rig.operator.stop(True)
    rig.parts[EXECUTOR].kill()


def restarts_executor_and_releases(rig: Rig) -> None:
    """Start the executor again, see that it obeys the stop that was raised before, and lower it."""
    rig.parts[EXECUTOR].start_again()
    reason = message = ""
    for _ in range(TRIES):
        try:
            reason, message = rig.operator.execute(rig.operator.motion(0.0), patience=3.0).result(10.0)
        except NoAnswer as error:  # a server that was just started answers nobody at first
            message = str(error)
        if reason not in ("", "NOT_READY"):
            break
    if reason != "EMERGENCY_STOP":
        raise NoAnswer(f"a new executor forgot the emergency stop: {reason}, {message}")
    rig.operator.stop(False)


def stops_and_kills_owner(rig: Rig) -> None:
    """Raise the stop, then end the node that keeps it."""
    rig.operator.stop(True)
    rig.parts[STOP].kill()


def restarts_owner_and_releases(rig: Rig) -> None:
    """Start the node that keeps the stop again, see that it takes the stop over, and lower it."""
    since = time.monotonic()
    rig.parts[STOP].start_again()
    until(lambda: any("still obeyed" in text for text in rig.operator.complaints(since)), "the stop to be taken over")
    rig.operator.stop(False)


ARM_CASES = (
    ArmCase(
        "loss_1",
        "1 % of the status packets lost, both buses",
        "go on",
        "nothing to do; check cables and latency timer",
        loses(0.01),
        loses(0.0),
        ("COMPLETED",),
        goes_on=True,
    ),
    ArmCase(
        "loss_5",
        "5 % of the status packets lost, both buses",
        "go on",
        "check cables and latency timer",
        loses(0.05),
        loses(0.0),
        ("COMPLETED",),
        ("needed a second try",),
        goes_on=True,
    ),
    ArmCase(
        "motor_silent",
        "a motor falls silent (its cable)",
        "both hold",
        "push the cable in: goes on by itself",
        left_motors("remove 8"),
        left_motors("restore 8"),
        ("FAULT", "STATES_LOST"),
        ("motor 8 (wrist_rotate)", "silent"),
    ),
    ArmCase(
        "motor_dies",
        "a motor shuts down (electrical shock)",
        "both hold; that joint is limp",
        "remove the cause, support the arm, `~/reboot_motors`",
        left_motors("fail 7 16"),
        frees_and_reboots(""),
        ("FAULT",),
        ("motor 7 (wrist_angle)", "reboot_motors"),
        limp=((LEFT, "wrist_angle"),),
    ),
    ArmCase(
        "overload",
        "the gripper's motor overloads",
        "both hold; the gripper is limp",
        "remove the cause, `~/reboot_motors`",
        left_motors("fail 9 32"),
        frees_and_reboots(""),
        ("FAULT",),
        ("motor 9 (gripper): overload", "reboot_motors"),
        limp=((LEFT, "gripper"),),
    ),
    ArmCase(
        "cable",
        "an arm's USB cable is pulled",
        "both hold: that arm by its motors' watchdog",
        "plug it in: goes on by itself",
        left_motors("unplug"),
        left_motors("plug"),
        ("FAULT",),
        ("Plug the arm's USB cable in",),
    ),
    ArmCase(
        "executor_killed",
        "the executor is killed",
        "both hold: no command for 80 ms",
        "start it again",
        lambda rig: rig.parts[EXECUTOR].kill(),
        restarts(EXECUTOR),
        (),
        ("commands stopped coming",),
    ),
    ArmCase(
        "driver_killed",
        "a driver is killed",
        "both hold: that arm by its motors' watchdog",
        "start it again: it takes the held arm over",
        lambda rig: rig.driver(LEFT).kill(),
        restarts_driver,
        ("STATES_LOST",),
        ("joint states of follower_left",),
    ),
    ArmCase(
        "executor_frozen",
        "the executor hangs (SIGSTOP)",
        "both hold: no command for 80 ms",
        "start it again, or let it go on",
        lambda rig: rig.parts[EXECUTOR].send(signal.SIGSTOP),
        lambda rig: rig.parts[EXECUTOR].send(signal.SIGCONT),
        (),
        ("commands stopped coming",),
    ),
    ArmCase(
        "emergency_stop",
        "the emergency stop is raised",
        "both hold",
        "`/emergency_stop/set` with data: false, then a new chunk",
        lambda rig: rig.operator.stop(True),
        lambda rig: rig.operator.stop(False),
        ("EMERGENCY_STOP",),
        ("emergency stop",),
    ),
    ArmCase(
        "stop_without_executor",
        "the emergency stop is raised, and the executor is killed and started again",
        "both hold; the new executor refuses chunks",
        "`/emergency_stop/set` with data: false, then a new chunk",
        stops_and_kills_executor,
        restarts_executor_and_releases,
        (),
        ("emergency stop",),
    ),
    ArmCase(
        "stop_without_owner",
        "the emergency stop is raised, and the node that keeps it is killed and started again",
        "both hold; the new node takes the stop over",
        "`/emergency_stop/set` with data: false, then a new chunk",
        stops_and_kills_owner,
        restarts_owner_and_releases,
        ("EMERGENCY_STOP",),
        ("emergency stop",),
    ),
)


def two_goals(rig: Rig) -> Outcome:
    """Send a second chunk while one runs: replaced where asked for, refused where not."""
    operator = rig.operator
    first = operator.execute(operator.motion(DISTANCE))
    first.wait_for_step(MIDDLE)
    refused = operator.execute(operator.motion(0.0), ExecuteChunk.Goal.REJECT_IF_BUSY).result()
    second = operator.execute(operator.motion(0.0))
    replaced, completed = first.result(), second.result()
    reasons = (refused[0], replaced[0], completed[0])
    problem = "" if reasons == ("BUSY", "REPLACED", "COMPLETED") else f"ended as {reasons}"
    recovered, trouble = rig.recovers()
    return Outcome(
        "a second chunk while one runs",
        "go on, blended into the second; or refuse it where asked to",
        "REPLACED, BUSY",
        [replaced[1], refused[1]],
        "nothing to do",
        recovered,
        problem=problem or trouble,
    )


def bad_numbers(rig: Rig) -> Outcome:
    """Send NaN."""
    chunk = rig.operator.motion(DISTANCE)
    chunk.positions[20] = float("nan")
    since = time.monotonic()
    reason, message = rig.operator.execute(chunk).result()
    time.sleep(WATCHED / 2)
    stops = rig.stops(since, time.monotonic(), 0.0)
    late = sum(stop.late for stop in stops.values())
    problem = "" if reason == "BAD_NUMBERS" else f"ended as {reason}"
    recovered, trouble = rig.recovers()
    return Outcome(
        "a chunk with a NaN in it",
        "stay at rest: refused before the first action",
        reason,
        [message],
        "send a good chunk",
        recovered,
        max(stop.told for stop in stops.values()),
        max(stop.rested for stop in stops.values()),
        late,
        problem or (f"{late} new goals" if late else trouble),
    )


def clock_jump(rig: Rig, seconds: float) -> Outcome:
    """Set the clock in the middle of a chunk."""
    operator = rig.operator
    running = operator.execute(operator.motion(DISTANCE))
    running.wait_for_step(MIDDLE)
    since = time.monotonic()
    operator.jump(seconds)
    reason, message = running.result(60.0)
    time.sleep(WATCHED)
    stops = rig.stops(since, time.monotonic(), 0.0)
    recovered, trouble = rig.recovers()
    return Outcome(
        f"the clock jumps {'ahead' if seconds > 0 else 'back'} by {abs(seconds):g} s",
        "hold, or go on without a leap",
        reason,
        [text for text in (message, *operator.complaints(since)) if text],
        "send the next chunk",
        recovered,
        max(stop.told for stop in stops.values()),
        max(stop.rested for stop in stops.values()),
        problem=trouble,
    )
