"""Every verdict of the chunk executor's diagnostics, and what brings it about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: source it, or run through `make test`")

from diagnostic_msgs.msg import DiagnosticStatus

from cosmos_policy.executor_diagnostics import status
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.execution import (
    ActionSpace,
    ChunkExecutor,
    ExecutorSettings,
    JointStates,
    PeriodStatistics,
    Samples,
)

CONTRACT = Embodiment.load("aloha_sim")
SPACE = ActionSpace.from_contract(CONTRACT)
SETTINGS = ExecutorSettings.from_contract(CONTRACT, 10.0)
NOW = 100.0


@dataclass(frozen=True)
class Bench:
    """An executor and what it has heard of its arms."""

    core: ChunkExecutor
    states: JointStates

    def hear(self, arm: int, age: float) -> None:
        channel = SPACE.arms[arm]
        assert self.states.update(arm, NOW - age, channel.joint_names, np.full(len(channel.joint_names), 0.1))

    def said(self, active: bool = True) -> tuple[bytes, str]:
        periods = PeriodStatistics(SETTINGS.command_period)
        found = status(self.core, self.states, periods, Samples(), active, NOW)
        return found.level, found.message


@pytest.fixture
def bench() -> Bench:
    """Return an executor whose arms were both heard a moment ago."""
    made = Bench(ChunkExecutor(SETTINGS), JointStates(SPACE))
    made.hear(0, 0.01)
    made.hear(1, 0.01)
    return made


def test_an_executor_that_is_well_says_what_it_does(bench: Bench) -> None:
    assert bench.said() == (DiagnosticStatus.OK, "silent")


def test_a_latched_stop_is_an_error_that_says_how_it_is_released(bench: Bench) -> None:
    bench.core.set_fault("follower_left", "motor 4 (elbow): overload")
    bench.core.stop("raised on /emergency_stop")
    words = "emergency stop latched; release it with /emergency_stop/set, data: false"
    assert bench.said() == bench.said(active=False) == (DiagnosticStatus.ERROR, words)


def test_faults_are_an_error_that_names_every_arm(bench: Bench) -> None:
    bench.core.set_fault("follower_left", "motor 4 (elbow): overload")
    bench.core.set_fault("follower_right", "bus silent")
    words = "follower_left: motor 4 (elbow): overload; follower_right: bus silent"
    assert bench.said() == bench.said(active=False) == (DiagnosticStatus.ERROR, words)


def test_an_inactive_executor_is_well_whatever_its_arms_do(bench: Bench) -> None:
    bench.hear(0, 3.0)
    assert bench.said(active=False) == (DiagnosticStatus.OK, "inactive")


def test_an_arm_that_was_never_heard_is_waited_for() -> None:
    bench = Bench(ChunkExecutor(SETTINGS), JointStates(SPACE))
    bench.hear(0, 0.01)
    assert bench.said() == (DiagnosticStatus.WARN, "waiting for joint states of follower_right")


def test_an_arm_that_fell_silent_is_an_error_that_says_since_when(bench: Bench) -> None:
    bench.hear(1, SETTINGS.state_timeout - 0.01)
    assert bench.said()[0] == DiagnosticStatus.OK
    bench.hear(1, 2.5)
    assert bench.said() == (DiagnosticStatus.ERROR, "joint states of follower_right stopped 2.5 s ago")
