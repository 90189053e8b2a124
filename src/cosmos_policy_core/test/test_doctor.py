"""`cosmos-policy doctor`: every finding has a level and, where something is wrong, a remedy; the exit code tells."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from cosmos_policy_core.commands import doctor
from cosmos_policy_core.doctor import findings, machine
from cosmos_policy_core.doctor.findings import Finding
from cosmos_policy_core.doctor.subject import examine


def one(subject: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    yield {"area": "arm", "level": "error", "message": f"{len(subject['arms'])} arms", "remedy": "Count again"}


def broken(subject: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    raise KeyError("nothing")
    yield {}


@pytest.fixture
def contributions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(
        findings,
        "entry_points",
        lambda group: [EntryPoint(name, f"{__name__}:{name}", group) for name in names],
    )
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    return names


def levels(found: list[Finding], area: str) -> list[str]:
    return [finding.level for finding in found if finding.area == area]


def test_the_contract_and_what_is_plugged_in_become_plain_values_for_other_packages() -> None:
    examination = examine("aloha", "emulated", "", motors=False)
    subject = examination.subject
    assert [(arm["name"], arm["emulated"]) for arm in subject["arms"]] == [
        ("follower_left", True),
        ("follower_right", True),
    ]
    assert len(subject["cameras"]) == 3
    assert json.loads(json.dumps(subject)) == subject
    assert levels(examination.findings, "contract") == levels(examination.findings, "hardware file") == ["ok"]


def test_cameras_without_a_device_are_named_one_by_one() -> None:
    errors = [finding for finding in examine("aloha", "aloha", "", motors=True).findings if finding.level == "error"]
    assert [error.area for error in errors] == ["camera cam_left_wrist", "camera cam_right_wrist", "camera cam_high"]
    assert all("device is empty" in error.message and "Write the camera's" in error.remedy for error in errors)


@pytest.mark.parametrize(
    ("embodiment", "hardware", "area", "words"),
    [
        ("aloah", "", "contract", "'aloah' is not a known embodiment"),
        ("aloha", "emulted", "hardware file", "'emulted' is unknown"),
        ("aloha", "/nowhere.yaml", "hardware file", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_finding(embodiment: str, hardware: str, area: str, words: str) -> None:
    (error,) = [found for found in examine(embodiment, hardware, "", motors=True).findings if found.level == "error"]
    assert error.area == area
    assert words in error.message
    assert error.remedy


def test_a_checkpoint_is_compared_with_the_contract() -> None:
    assert levels(examine("aloha_sim", "", "nano_transfer_cube", motors=True).findings, "checkpoint") == ["ok"]
    assert levels(examine("aloha", "", "nano_transfer_cube", motors=True).findings, "checkpoint") == ["error"]
    assert levels(examine("aloha", "", "nowhere", motors=True).findings, "checkpoint") == ["error"]
    assert levels(examine("aloha", "", "some/repository", motors=True).findings, "checkpoint") == ["note"]


def test_the_machine_is_described_in_findings_of_known_levels() -> None:
    found = list(machine.machine())
    assert {"python", "libraries", "torch", "disk", "processors", "real time"} <= {finding.area for finding in found}
    assert {finding.level for finding in found} <= set(doctor.MARKS)


def test_a_missing_library_is_named_with_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_installed", lambda name: name != "einops")
    missing = [finding for finding in machine.machine() if finding.area == "libraries"]
    assert missing == [
        Finding("libraries", "error", "einops is missing, which cosmos_policy_core needs", machine.SETUP)
    ]


def test_other_packages_contribute_and_a_check_that_fails_does_not_end_the_rest(contributions: list[str]) -> None:
    contributions += ["broken", "one"]
    found = list(findings.contributed({"arms": [1, 2]}))
    assert [(finding.area, finding.level) for finding in found] == [("broken", "error"), ("arm", "error")]
    assert "KeyError" in found[0].message
    assert found[1].message == "2 arms"


def test_the_exit_code_and_json_say_whether_something_will_not_work(
    contributions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main(doctor.Options(json=True)) == 0
    assert json.loads(capsys.readouterr().out)["well"] is True
    contributions += ["one"]
    assert doctor.main(doctor.Options(json=True)) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["well"] is False
    assert result["counts"]["error"] == 1
    assert result["findings"][-1] == {"area": "arm", "level": "error", "message": "0 arms", "remedy": "Count again"}


def test_the_command_comes_up_without_torch() -> None:
    program = "import sys, cosmos_policy_core.commands.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=Path.home(), check=False).returncode == 0
