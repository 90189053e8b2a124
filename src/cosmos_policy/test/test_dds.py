"""The middleware's settings for pictures: given by default, never against the user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cosmos_policy import doctor
from cosmos_policy.dds import ENOUGH, OURS, VARIABLES, profile

NAMESPACE = "{http://www.eprosima.com}"


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmos_policy.dds._free", lambda folder: 2 * ENOUGH)


def test_nodes_get_a_profile_whose_messages_hold_a_picture(roomy: None) -> None:
    chosen = profile({})
    assert set(chosen) == set(VARIABLES)
    root = ElementTree.parse(Path(chosen[VARIABLES[0]])).getroot()
    sizes = {name: int(root.find(f".//{NAMESPACE}{name}").text) for name in ("segment_size", "maxMessageSize")}  # type: ignore[union-attr,arg-type]
    assert sizes["maxMessageSize"] > 3 * 640 * 480 * 3 and sizes["segment_size"] >= 8 * sizes["maxMessageSize"]


@pytest.mark.parametrize(
    "environment",
    [
        dict.fromkeys(VARIABLES, "/my/profile.xml"),
        {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
)
def test_what_the_user_has_chosen_stays(environment: dict[str, str], roomy: None) -> None:
    assert profile(environment) == {}


@pytest.mark.parametrize(("given", "other"), [VARIABLES, VARIABLES[::-1]])
def test_a_profile_of_the_user_is_passed_on_under_the_other_name_too(given: str, other: str, roomy: None) -> None:
    assert profile({given: "/my/profile.xml"}) == {other: "/my/profile.xml"}


@pytest.mark.skipif(os.environ.get("ROS_DISTRO") not in doctor.TESTED, reason="Fast DDS 3 reads the other name")
def test_the_installed_middleware_reads_the_first_name_alone(tmp_path: Path) -> None:
    (tmp_path / "broken.xml").write_text("<dds><broken")
    bare = {name: value for name, value in os.environ.items() if name not in VARIABLES} | {"RMW_IMPLEMENTATION": OURS}
    program = "import rclpy; rclpy.init(); rclpy.create_node('reader'); rclpy.shutdown()"
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=bare | {name: str(tmp_path / "broken.xml")},
            capture_output=True,
            text=True,
            check=True,
        )
        for name in VARIABLES
    ]
    assert ["broken.xml" in run.stdout + run.stderr for run in said] == [True, False]


def test_the_doctor_looks_at_both_names_and_warns_of_the_one_that_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read, unread = VARIABLES
    file = tmp_path / "mine.xml"
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.delenv(read, raising=False)
    monkeypatch.setenv(unread, str(file))
    row = doctor._middleware()
    assert (row["level"], row["message"]) == ("error", f"{unread} is {file}, which is not there")
    file.touch()
    row = doctor._middleware()
    assert (row["level"], row["remedy"]) == ("warning", f"Set {read} to the same file")
    monkeypatch.setenv(read, str(file))
    assert doctor._middleware()["level"] == "ok"


def test_small_shared_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("cosmos_policy.dds._free", lambda folder: 64 * 2**20)
    assert profile({}) == {}


def test_a_machine_without_shared_memory_is_left_alone(tmp_path: Path) -> None:
    assert profile({}, shared_memory=tmp_path / "none") == {}
