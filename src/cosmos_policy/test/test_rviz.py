"""The display that rviz:=true opens: every topic in it is published, every display is one that rviz brings along.

rviz itself is not among the wheels, so nobody here saw its window; what can be wrong in the file is checked instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosmos_policy.graph import BRINGUP
from cosmos_policy.monitor import topics
from cosmos_policy.robot_descriptions import read_description
from cosmos_policy_core.embodiment import Embodiment

FILE = Path(__file__).parents[1] / "rviz" / "aloha.rviz"

# What rviz_default_plugins of Humble and Jazzy registers, as far as a display of ours may use it.
DISPLAYS = {f"rviz_default_plugins/{name}" for name in ("Grid", "RobotModel", "MarkerArray", "Image", "TF")}
TOOLS = {f"rviz_default_plugins/{name}" for name in ("MoveCamera", "Select", "FocusCamera", "Measure", "Interact")}
PANELS = {f"rviz_common/{name}" for name in ("Displays", "Views", "Time", "Tool Properties", "Selection")}
LATCHED = {topics.PLAN, topics.CANDIDATES, topics.STATUS, topics.IMAGINED, "/robot_description"}


@pytest.fixture(scope="module")
def manager() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())["Visualization Manager"]


def subscriptions(manager: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for display in manager["Displays"]:
        for key in ("Topic", "Description Topic"):
            if key in display:
                yield display[key]


def test_every_display_tool_and_panel_is_one_that_rviz_brings_along(manager: dict[str, Any]) -> None:
    assert {display["Class"] for display in manager["Displays"]} <= DISPLAYS
    assert {tool["Class"] for tool in manager["Tools"]} <= TOOLS
    assert {panel["Class"] for panel in yaml.safe_load(FILE.read_text())["Panels"]} <= PANELS
    assert manager["Views"]["Current"]["Class"] == "rviz_default_plugins/Orbit"


@pytest.mark.parametrize("embodiment", ["aloha", "aloha_sim"])
def test_every_topic_is_published_by_the_graph(manager: dict[str, Any], embodiment: str) -> None:
    executables = {node.executable for node in BRINGUP.nodes({"rviz": "true"})}
    assert {"monitor_node", "robot_state_publisher"} <= executables
    cameras = {camera.topic for camera in Embodiment.load(embodiment).cameras}
    assert {topic["Value"] for topic in subscriptions(manager)} == LATCHED | cameras


def test_what_is_said_once_is_heard_by_an_rviz_that_comes_later(manager: dict[str, Any]) -> None:
    for topic in subscriptions(manager):
        latched = topic["Value"] in LATCHED
        assert (topic["Durability Policy"] == "Transient Local") == latched
        assert (topic["Reliability Policy"] == "Reliable") == latched


def test_everything_is_drawn_in_the_frame_the_robot_stands_in(manager: dict[str, Any]) -> None:
    assert manager["Global Options"]["Fixed Frame"] == read_description("", Embodiment.load("aloha")).root


def test_rviz_is_started_with_this_file() -> None:
    (window,) = (node for node in BRINGUP.nodes({"rviz": "true"}) if node.name == "rviz")
    assert window.arguments[0] == "-d"
    assert Path(window.arguments[1]).read_text() == FILE.read_text()


def test_the_monitor_follows_the_contract_and_the_clock_of_the_graph() -> None:
    assert "monitor" not in {node.name for node in BRINGUP.nodes({})}
    (monitor,) = (node for node in BRINGUP.nodes({"monitor": "true"}) if node.name == "monitor")
    assert monitor.parameters["embodiment"] == "aloha_sim"
    assert monitor.parameters["use_sim_time"] is True
