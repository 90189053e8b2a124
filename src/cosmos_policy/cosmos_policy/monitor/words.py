"""The state of the graph in a few lines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cosmos_policy.monitor.account import SILENCE, Account

STOP_UNKNOWN = "unknown: nobody has spoken yet"
MOST_COMPLAINTS = 3


def status_lines(account: Account) -> list[tuple[str, str]]:
    """Return pairs of a heading and what stands under it."""
    plan = account.plan
    lines = [
        ("task", plan.instruction if plan is not None else "none seen yet"),
        ("phase", _phase(account)),
        ("plan", _plan(account)),
        ("emergency stop", stop_words(account)),
    ]
    reasons = [*_reasons(account), *account.complaints()[:MOST_COMPLAINTS]]
    return [*lines, *(("reason", reason) for reason in reasons)]


def stop_words(account: Account) -> str:
    """Say whether the emergency stop is raised, as far as anybody has said so lately."""
    if account.stopped is None:
        return STOP_UNKNOWN
    if account.stop is None:
        last = "RAISED" if account.stopped else "not raised"
        return f"unknown: nobody has spoken for {account.stop_silence:.0f} s; {last} before"
    return "RAISED: the arms hold" if account.stop else "not raised"


def text(lines: Sequence[tuple[str, str]], width: int = 60) -> str:
    """Put the lines under each other, long ones cut."""
    return "\n".join(f"{heading}: {what if len(what) <= width else what[: width - 1] + '…'}" for heading, what in lines)


def _phase(account: Account) -> str:
    if not account.running:
        return account.phase
    silence = account.feedback_silence
    return _progress(account) + (f", last heard {silence:.0f} s ago" if silence > SILENCE else "")


def _progress(account: Account) -> str:
    feedback, execution = account.feedback, account.execution
    if feedback is None:
        return account.phase
    words = f"{account.phase}, plan {feedback.plan_index}"
    if feedback.phase == feedback.EXECUTING and feedback.steps:
        words += f", step {feedback.step + 1} of {feedback.steps}"
        if execution is not None:
            words += f", {account.mode}, tracking error {execution.tracking_error:.3f} rad"
    return words


def _plan(account: Account) -> str:
    plan = account.plan
    if plan is None:
        return "none yet"
    words = f"{plan.index}: {plan.planner}, {plan.seconds:.2f} s"
    if math.isfinite(plan.value):
        words += f", value {plan.value:.3f}, candidate {plan.chosen} of {len(plan.values)}"
    return words


def _reasons(account: Account) -> list[str]:
    waiting = account.feedback.waiting_for if account.running and account.feedback is not None else ""
    return [reason for reason in (waiting, account.outcome, account.problem, *account.silent) if reason]
