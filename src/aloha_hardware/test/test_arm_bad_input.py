"""Every mistake of a bring-up is refused at configure, with the remedy, and no motor has torque before that."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import serial
from arm_kit import follower, settings

from aloha_hardware.arm import Arm
from aloha_hardware.emulator.chain import Chain
from aloha_hardware.emulator.line import EmulatedLine
from aloha_hardware.errors import HardwareError

TROSSEN = {"lower": [-3.12, -1.83, -1.742, -3.12, -1.847, -3.12, 0.6197]}


@pytest.fixture
def line() -> Iterator[EmulatedLine]:
    with follower() as line:
        yield line


def add_motor(chain: Chain) -> None:
    chain.double(5)
    chain.motors[-1].registers.set("id", 12)


@pytest.mark.parametrize(
    ("spoil", "changes", "what", "remedy"),
    [
        (None, {"port": "/dev/ttyDXL_nowhere"}, "there is no such port", "Plug the arm's USB cable in"),
        (None, {"port": "/dev/null"}, "cannot be opened", "Is it a serial port"),
        (lambda chain: chain.removed.add(4), {}, "motor 4 (elbow)", "Check its cable and power"),
        (lambda chain: chain.removed.update(range(1, 10)), {}, "no motor answers", "12 V supply on"),
        (add_motor, {}, "IDs [12] that no follower has", "Take them off the bus"),
        (None, {"adapter_serial": "FT_LEFT"}, "'FT_RIGHT', follower_left is on 'FT_LEFT'", "exchange the ports"),
        (lambda chain: chain.pose({"gripper": -0.6}), TROSSEN, "gripper stands at -0.60 rad", "constants"),
        (None, {"lower": [-3.5, *TROSSEN["lower"][1:]]}, "beyond the vendor's", "Narrow the limits"),
        (None, {"joint_names": ["waist", "shoulder"]}, "'elbow' is missing", "List, in this order"),
        (None, {"lower": [-3.12]}, "1 numbers for 7 joints", "Give one per joint"),
    ],
)
def test_a_mistake_is_refused_with_the_remedy_before_anything_has_torque(
    line: EmulatedLine,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Chain], Any] | None,
    changes: dict[str, Any],
    what: str,
    remedy: str,
) -> None:
    monkeypatch.setattr("aloha_hardware.port.QuietPort.serial_number", "FT_RIGHT")
    if spoil is not None:
        with line.lock:
            spoil(line.chain)
    with pytest.raises(HardwareError) as refusal:
        Arm(settings(line, **{"bus_patience": 0.01, **changes}), [].append).open()
    assert what in str(refusal.value)
    assert remedy in str(refusal.value)
    assert not any(motor.torque for motor in line.chain.motors)
    assert not any(motor.registers.get("moving") for motor in line.chain.motors)


def test_a_forbidden_port_names_the_group_to_join(line: EmulatedLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(**_: Any) -> None:
        raise serial.SerialException(errno.EACCES, "permission denied")

    monkeypatch.setattr("aloha_hardware.port.serial.Serial", forbidden)  # root may open everything
    with pytest.raises(HardwareError, match="permission denied.*usermod -aG dialout"):
        Arm(settings(line), [].append).open()
