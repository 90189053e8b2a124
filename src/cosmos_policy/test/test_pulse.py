"""Behaviour of waits inside a goal."""

from __future__ import annotations

import threading

import pytest

from cosmos_policy.planner.pulse import Pulse

LONG = 60.0  # [s], never reached in a test that passes


class Interrupted(Exception):
    """What a check raises."""


def test_a_condition_that_holds_is_not_waited_for() -> None:
    assert Pulse().until(lambda: True, 0.0)


def test_a_condition_that_never_holds_ends_with_the_time() -> None:
    assert not Pulse().until(lambda: False, 0.05)


def test_a_wait_ends_when_another_thread_makes_its_condition_true() -> None:
    pulse, there = Pulse(), threading.Event()

    def arrive() -> None:
        there.set()
        pulse.wake()

    timer = threading.Timer(0.05, arrive)
    timer.start()
    assert pulse.until(there.is_set, LONG)
    timer.join()


def test_what_comes_between_a_look_and_the_wait_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmos_policy.planner.pulse.PERIOD", LONG)  # only waking makes it look again
    pulse, looks = Pulse(), []

    def second_time() -> bool:
        looks.append(None)
        pulse.wake()
        return len(looks) == 2

    assert pulse.until(second_time, LONG)


def test_a_check_interrupts_the_wait() -> None:
    def check() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        Pulse().until(lambda: True, LONG, check)


def test_several_waits_are_woken_together() -> None:
    pulse, there = Pulse(), threading.Event()
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(pulse.until(there.is_set, LONG))) for _ in range(3)]
    for thread in threads:
        thread.start()
    there.set()
    pulse.wake()
    for thread in threads:
        thread.join()
    assert answers == [True] * 3
