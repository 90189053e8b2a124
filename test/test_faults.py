"""Faults on a running graph: the arms hold, the user is told, and the named steps bring the robot back.

The cases are those of `ros2 run cosmos_policy faults`, with longer time-outs: a test machine does other things too, and
how long a hold takes is measured there, not judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from aloha_hardware.arms import main as tell_arms
from cosmos_policy.faults.arm_cases import ARM_CASES
from cosmos_policy.faults.main import arms, attempt, clock, lifecycle, tasks
from cosmos_policy.faults.rig import RELAXED, Rig
from cosmos_policy.faults.task_cases import TASK_CASES
from cosmos_policy.stop_command import main as emergency_stop
from cosmos_policy_core.cli import main as cosmos_policy

pytestmark = pytest.mark.timeout(240)

# A motor, a bus, a person; the others take a minute.
FAST = {"motor_dies", "cable", "emergency_stop", "stop_without_executor", "stop_without_owner"}
CLOCK, TASKS, LIFECYCLE = clock(), tasks(), lifecycle(rounds=20)


class Rigs:
    """Keeps one rig up, for as long as the tests ask for the same: two of them would answer each other's goals."""

    def __init__(self) -> None:
        self._kind: dict[str, bool] = {}
        self._up = ExitStack()
        self._rig: Rig | None = None

    def get(self, **kind: bool) -> Rig:
        """Return the rig of a kind; one of another kind is taken down first."""
        if self._rig is None or kind != self._kind:
            self.close()
            self._rig, self._kind = self._up.enter_context(Rig(RELAXED, **kind)), kind
            self._rig.wait_until_ready()
        return self._rig

    def close(self) -> None:
        """Take down what is up."""
        self._rig = None
        self._up.close()


@pytest.fixture(scope="module")
def rigs() -> Iterator[Rigs]:
    rigs = Rigs()
    yield rigs
    rigs.close()


@pytest.fixture
def robot(rigs: Rigs) -> Rig:
    return rigs.get()


@pytest.fixture
def timed_robot(rigs: Rigs) -> Rig:
    return rigs.get(simulated_time=True)


@pytest.fixture
def working_robot(rigs: Rigs) -> Rig:
    return rigs.get(tasks=True)


def named(names: dict[str, object]) -> list[object]:
    return [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", named(dict(arms())))
def test_the_arms_hold_and_come_back(robot: Rig, name: str) -> None:
    outcome = attempt(name, arms()[name], robot)
    assert outcome.well, outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOCK)
def test_a_clock_that_jumps_makes_nothing_leap(timed_robot: Rig, name: str) -> None:
    outcome = attempt(name, CLOCK[name], timed_robot)
    assert outcome.well, outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_task_ends_with_the_reason_and_the_arms_at_rest(working_robot: Rig, name: str) -> None:
    outcome = attempt(name, TASKS[name], working_robot)
    assert outcome.well, outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", LIFECYCLE)
def test_the_arms_stay_held_whatever_ends(robot: Rig, name: str) -> None:
    outcome = attempt(name, LIFECYCLE[name], robot)
    assert outcome.well, outcome


def test_a_person_can_stop_release_and_move_the_arms_from_a_terminal(
    robot: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert emergency_stop([]) == 0
    assert tell_arms(["start"]) == 1
    assert "follower_left: the emergency stop is raised" in capsys.readouterr().err
    assert emergency_stop(["release"]) == 0
    assert tell_arms(["start"]) == 0, capsys.readouterr().err
    assert "follower_right is at its start pose" in capsys.readouterr().out
    assert emergency_stop(["relese"]) == 2


def test_every_case_has_its_own_name_and_says_what_brings_the_robot_back() -> None:
    names = [case.name for case in (*ARM_CASES, *TASK_CASES)]
    assert len(set(names)) == len(names)
    assert all(case.recovery and case.fault and case.expected for case in (*ARM_CASES, *TASK_CASES))


def test_a_case_that_does_not_exist_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cosmos_policy(["bench", "faults", "--cases", "nonsense"]) == 2
    assert "there is no case 'nonsense'. Use: loss_1," in capsys.readouterr().err
