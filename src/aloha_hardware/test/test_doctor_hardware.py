"""What `cosmos-policy doctor` says about ports, motors, cameras and udev rules, and that it leaves them as they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arm_kit import follower
from camera_kit import HEIGHT, WIDTH, write_pictures

from aloha_hardware.doctor import arms, cameras, check, udev
from aloha_hardware.emulator.line import EmulatedLine


@pytest.fixture
def line() -> Iterator[EmulatedLine]:
    with follower() as line:
        yield line


def arm(line: EmulatedLine | None, **settings: Any) -> dict[str, Any]:
    port = {"port": line.path} if line else {}
    return {"name": "follower_left", "settings": {"arm": "follower_left", **port, **settings}, "emulated": False}


def examine(subject: dict[str, Any]) -> dict[str, str]:
    """Everything said about an arm, worst first: level and message."""
    rows = list(arms.check(subject, ask_motors=True))
    assert {row["area"] for row in rows} == {"arm follower_left"}
    assert all(row["remedy"] for row in rows if row["level"] in ("warning", "error"))
    return {row["level"]: f"{row['message']} | {row['remedy']}" for row in reversed(rows)}


def test_a_healthy_arm_is_named_by_its_motors_and_left_alone(line: EmulatedLine) -> None:
    line.chain.motor(2).registers.set("drive_mode", 0)  # what the bring-up would mend
    rows = list(arms.check(arm(line), ask_motors=True))
    assert [row["level"] for row in rows] == ["ok", "ok"]
    assert "9 motors answer (XM430-W350, XM540-W270), firmware 46" in rows[1]["message"]
    assert not any(motor.torque for motor in line.chain.motors)
    assert line.chain.motor(2).registers.get("drive_mode") == 0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda chain: chain.removed.add(4), "motor 4 (elbow): ping: no answer"),
        (lambda chain: chain.removed.update(range(1, 10)), "no motor answers | Switch the arm's 12 V supply on"),
        (lambda chain: chain.motor(6).registers.set("baud_rate", 1), "motor 6 (forearm_roll) talks at 57600 baud"),
        (lambda chain: chain.motor(9).registers.set("model_number", 1070), "motor 9 (gripper) is a XC430-W150"),
    ],
)
def test_a_wrong_motor_is_an_error_with_the_remedy(line: EmulatedLine, spoil: Any, words: str) -> None:
    with line.lock:
        spoil(line.chain)
    assert words in examine(arm(line))["error"]
    assert not any(motor.torque for motor in line.chain.motors)


def test_what_works_but_will_not_for_long_is_a_warning(line: EmulatedLine) -> None:
    line.chain.motor(9).fail(32)
    assert "motor 9 (gripper) reports overload" in examine(arm(line))["warning"]


def test_old_firmware_is_a_warning() -> None:
    with follower(firmware=44) as line:
        assert "firmware 44: too old for fast sync read" in examine(arm(line))["warning"]


def test_a_port_that_is_not_there_or_wrong_settings_are_errors(line: EmulatedLine, tmp_path: Path) -> None:
    assert "there is no such port" in examine(arm(None, port=str(tmp_path / "ttyDXL")))["error"]
    assert "waist may move -3.5" in examine(arm(line, lower=[-3.5, *[-1.0] * 6]))["error"]
    assert "raet" in examine(arm(line, raet=3.0))["error"]


def test_a_port_somebody_uses_is_left_to_them(line: EmulatedLine) -> None:
    program = f"open({line.path!r}, 'rb', buffering=0); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program.replace("open", "f = open", 1)], stdin=-1, stdout=-1) as user:
        assert user.stdout is not None and user.stdin is not None
        user.stdout.readline()
        said = examine(arm(line))
        user.stdin.close()
    assert f"(pid {user.pid}); its motors were not asked" in said["warning"]
    assert "ok" not in said


def test_the_adapter_of_the_other_arm_is_recognised(line: EmulatedLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aloha_hardware.port.QuietPort.serial_number", "FT_RIGHT")
    assert (
        "is the adapter FT_RIGHT, not FT_LEFT | The arms are swapped"
        in examine(arm(line, adapter_serial="FT_LEFT"))["error"]
    )


def test_an_adapter_that_nothing_checks_is_a_warning(line: EmulatedLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aloha_hardware.port.QuietPort.serial_number", "FT_LEFT")
    assert "swapped arms would go unnoticed | If it is, write adapter_serial: FT_LEFT" in examine(arm(line))["warning"]
    assert "warning" not in examine(arm(line, adapter_serial="FT_LEFT"))


def test_a_slow_adapter_is_a_warning(line: EmulatedLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aloha_hardware.port.QuietPort.latency_ms", 16)
    assert "latency timer 16 ms" in examine(arm(line))["warning"]


def test_a_camera_must_give_a_picture_of_the_right_size(tmp_path: Path) -> None:
    pictures = str(write_pictures(tmp_path, 2))
    settings = {"camera": "cam_high", "source": "images", "device": pictures, "width": WIDTH, "height": HEIGHT}

    def said(**changes: Any) -> tuple[str, str]:
        (row,) = cameras.check({"name": "cam_high", "settings": settings | changes})
        return row["level"], row["message"]

    assert said() == ("ok", f"images {pictures}: a picture of {WIDTH}x{HEIGHT} at 30 Hz")
    assert said(width=640)[0] == "error"
    assert said(device=str(tmp_path / "none"))[0] == "error"
    assert said(source="v4l2", device="/dev/video63") == ("error", "/dev/video63: there is no such device")
    assert said(sauce="v4l2")[0] == "error"


def test_missing_and_unfinished_udev_rules_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udev, "FOLDERS", (str(tmp_path),))
    subject = [{"name": "follower_left", "settings": {}, "emulated": False}]
    assert next(udev.check(subject))["message"] == "no rule makes links named ttyDXL"
    shipped = Path(udev.__file__).parents[2] / "udev" / udev.RULES
    (tmp_path / udev.RULES).write_text(shipped.read_text())
    assert "has no serial numbers in it yet" in next(udev.check(subject))["message"]
    finished = shipped.read_text()
    for name in ("FOLLOWER_LEFT", "FOLLOWER_RIGHT", "LEADER_LEFT", "LEADER_RIGHT"):
        finished = finished.replace(f"{name}_SERIAL", f"FT{name[0]}")
    (tmp_path / udev.RULES).write_text(finished)
    assert next(udev.check(subject))["level"] == "ok"


def test_without_a_hardware_file_nothing_is_opened(line: EmulatedLine) -> None:
    rows = list(check({"hardware": "", "motors": True, "arms": [arm(line)], "cameras": []}))
    assert {row["level"] for row in rows} == {"note"}
    assert line.chain.instructions == 0
