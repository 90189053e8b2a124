"""The thread that owns a bus, kept from it: the motors stop by their own watchdog, and follow again afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from arm_kit import follower, settings, wait

from aloha_hardware.arm import Arm
from aloha_hardware.arm_loop import ArmLoop
from aloha_hardware.arm_reading import Reading
from aloha_hardware.arm_settings import JOINTS
from aloha_hardware.emulator.line import EmulatedLine
from aloha_hardware.errors import HardwareError
from aloha_hardware.setpoints import Setpoints


class Deaf:
    """Listens to nothing."""

    def on_cycle(self, elapsed: float) -> None:
        pass

    def on_reading(self, reading: Reading) -> None:
        pass

    def on_change(self) -> None:
        pass


@pytest.fixture
def line() -> Iterator[EmulatedLine]:
    with follower() as line:
        yield line


@pytest.fixture
def loop(line: EmulatedLine) -> Iterator[ArmLoop]:
    arm = Arm(settings(line, watchdog=0.2), [].append)
    arm.open()
    arm.torque_on()
    loop = ArmLoop(arm, Setpoints(arm.settings, arm.first_reading().position), threading.Lock(), Deaf())
    loop.start()
    yield loop
    loop.stop()
    arm.close()


def test_an_arm_whose_driver_was_kept_waiting_follows_again(line: EmulatedLine, loop: ArmLoop) -> None:
    with loop.lock:  # as a machine that gives the driver no time
        wait(lambda: line.chain.motor(1).stopped_by_watchdog, "the motors' own watchdog")
    wait(lambda: loop.timing.watchdog_stops, "the driver to notice")
    wait(lambda: not any(motor.stopped_by_watchdog for motor in line.chain.motors), "the motors")
    target = [0.2, *loop.setpoints.measured[1:]]

    def arrives() -> bool:
        with loop.lock:
            loop.setpoints.receive(JOINTS, target, 0.0, time.monotonic())
        return abs(line.chain.joints["waist"].angle - 0.2) < 0.02

    wait(arrives, "the waist to follow")
    assert all(motor.torque for motor in line.chain.motors)


def test_what_the_gap_does_not_tell_is_found_within_a_second(line: EmulatedLine, loop: ArmLoop) -> None:
    with line.lock:
        line.chain.motor(8).registers.set("bus_watchdog", -1)
    wait(lambda: loop.timing.watchdog_stops, "the driver to notice")
    wait(lambda: line.chain.motor(8).registers.get("bus_watchdog") == 10, "the watchdog to be armed again")


def test_a_bus_thread_that_never_rests_gives_its_real_time_priority_up(line: EmulatedLine) -> None:
    told: list[str] = []
    arm = Arm(settings(line, realtime_priority=1), told.append)
    arm.open()
    loop = ArmLoop(arm, Setpoints(arm.settings, arm.first_reading().position), threading.Lock(), Deaf())
    loop._period = 1e-5  # no cycle of nine emulated motors ends in time
    loop.start()
    try:
        wait(lambda: any("goes on without real-time priority" in words for words in told), "the warning")
    finally:
        loop.stop()
        arm.close()


def test_a_loop_that_fails_is_told_and_its_arm_counts_as_silent(
    line: EmulatedLine, loop: ArmLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(loop.arm, "read", fail)
    wait(lambda: loop.defect, "the end of the loop")
    assert "RuntimeError: a defect" in loop.defect
    wait(lambda: loop.stale, "the stop")
    assert loop.setpoints.stops["bus"] == "the driver's loop failed; restart the driver"
    with pytest.raises(HardwareError, match="the bus loop does not run. Restart the driver"):
        loop.ask(loop.reboot, timeout=0.05)
    assert all(motor.torque for motor in line.chain.motors)
