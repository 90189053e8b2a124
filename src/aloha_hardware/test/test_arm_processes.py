"""Real processes: how the driver ends, and the emulator as a user starts it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arm_kit import follower, wait

from aloha_hardware.arm import Arm
from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.emulator.line import EmulatedLine

pytest.importorskip("rclpy", reason="needs ROS 2: source it, or run through `make test`")


@pytest.fixture
def line() -> Iterator[EmulatedLine]:
    with follower(falls=True) as line:
        yield line


def start_driver(port: str, *parameters: str) -> subprocess.Popen[str]:
    values = [f"port:={port}", "bus_patience:=0.03", "bus_timeout:=0.5", *parameters]
    arguments = [word for value in values for word in ("-p", value)]
    command = [sys.executable, "-m", "aloha_hardware.arm_driver_node", "--ros-args", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], text: str, seconds: float = 40.0) -> str:
    assert process.stderr is not None
    heard, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([process.stderr], [], [], 0.1)[0]:
            line = process.stderr.readline()
            heard += line
            if text in line:
                return heard
            if not line:
                break
    raise AssertionError(f"'{text}' is missing in: {heard}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_however_the_driver_ends_the_arm_stays_held(line: EmulatedLine, number: int) -> None:
    process = start_driver(line.path, "watchdog:=1.0")
    read_until(process, "ready")
    shoulder = line.chain.joints["shoulder"].angle
    process.send_signal(number)
    _, output = process.communicate(timeout=30)
    assert all(motor.torque for motor in line.chain.motors)
    if number == signal.SIGINT:
        assert process.returncode == 0
        assert "Traceback" not in output
        assert "its torque stays on" in output
    else:
        wait(lambda: line.chain.motor(2).stopped_by_watchdog, "the motors' own watchdog")
    assert line.chain.joints["shoulder"].angle == pytest.approx(shoulder, abs=0.02)
    again = Arm(ArmSettings(port=line.path, bus_patience=0.03), lambda _: None)
    again.open()  # and it can be taken over without a power cycle
    again.torque_on()
    assert all(motor.torque and not motor.stopped_by_watchdog for motor in line.chain.motors)
    again.close()


def test_a_start_that_fails_says_why_and_ends(tmp_path: Path) -> None:
    process = start_driver(str(tmp_path / "ttyDXL_follower_left"))
    _, output = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "there is no such port. Plug the arm's USB cable in" in output
    assert "Traceback" not in output


def emulator(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aloha_hardware.emulator.cli", *arguments]


def test_the_emulators_help_teaches_the_bring_up() -> None:
    text = subprocess.run(emulator("--help"), capture_output=True, text=True, check=True).stdout
    for word in ("arm_driver_node", "--link", "unplug", "--drop", "quit"):
        assert word in text


def test_the_emulator_serves_a_link_and_obeys_its_terminal(tmp_path: Path) -> None:
    link = tmp_path / "ttyDXL_follower_left"
    process: Any = subprocess.Popen(
        emulator("--link", str(link), "--missing", "4"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def tell(text: str) -> str:
        process.stdin.write(text + "\n")
        process.stdin.flush()
        return str(process.stdout.readline())

    assert str(link) in process.stdout.readline()
    arm = Arm(ArmSettings(port=str(link), bus_patience=0.05), lambda _: None)
    with pytest.raises(Exception, match="motor 4 .elbow"):
        arm.open()
    assert tell("restore 4") == "done\n"
    arm.open()
    arm.close()
    assert tell("unplug") == "done\n"
    assert not os.path.lexists(link)
    process.stdin.write("quit\n")
    process.stdin.flush()
    assert process.wait(timeout=20) == 0
