"""The layouts for Foxglove and Rerun: every topic and field in them exists in a recording or in the running graph.

Neither viewer is a dependency: Foxglove is an application of its own, rerun-sdk takes 680 MB.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from aloha_nodes import emergency_stop
from cosmos_policy.monitor import topics
from cosmos_policy.recorder.topics import recorded_topics
from cosmos_policy_core.embodiment import Embodiment

CONFIG = Path(__file__).parents[1] / "config"
SOURCE = Path(__file__).parents[3] / "tools" / "rerun_blueprint.py"
LIVE = {
    topics.PLAN: MarkerArray,
    topics.CANDIDATES: MarkerArray,
    topics.STATUS: MarkerArray,
    topics.IMAGINED: Image,
    "/diagnostics": DiagnosticArray,
    "/robot_description": String,
}


@pytest.fixture(scope="module")
def layout() -> dict[str, Any]:
    return json.loads((CONFIG / "foxglove" / "aloha.json").read_text())


def panels(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    else:
        yield from panels(node["first"])
        yield from panels(node["second"])


def texts(value: Any) -> Iterator[str]:
    """Everything in a configuration that names a topic."""
    if isinstance(value, dict):
        yield from (key for key in value if key.startswith("/"))
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str) and value.startswith("/"):
        yield value


def test_every_panel_is_placed_once_and_configured(layout: dict[str, Any]) -> None:
    placed = list(panels(layout["layout"]))
    assert len(placed) == len(set(placed))
    assert set(placed) == set(layout["configById"])


@pytest.mark.parametrize("embodiment", ["aloha", "aloha_sim"])
def test_every_topic_and_field_of_the_foxglove_layout_exists(layout: dict[str, Any], embodiment: str) -> None:
    known = {topic.name: topic.kind for topic in recorded_topics(Embodiment.load(embodiment))} | LIVE
    for path in texts(layout["configById"]):
        topic, *fields = re.sub(r"\[[^]]*\]|\{[^}]*\}", "", path).split(".")
        assert topic in known, path
        if fields:
            assert fields[0] in known[topic].get_fields_and_field_types(), path


def test_what_an_operator_decides_with_is_in_the_foxglove_layout(layout: dict[str, Any]) -> None:
    named = set(texts(layout["configById"]))
    cameras = {camera.topic for camera in Embodiment.load("aloha").cameras}
    assert cameras | set(LIVE) | {"/plan_report", f"{emergency_stop.STATE}.data"} <= named


def constants(file: Path) -> dict[str, Any]:
    """The plain values a program names, without running it."""
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def test_every_topic_of_the_rerun_blueprint_is_recorded() -> None:
    blueprint = constants(SOURCE)
    shown = {f"/{topic}" for topic in blueprint["TABLES"]} | {f"/{name}/image_raw" for name in blueprint["CAMERAS"]}
    shown |= {f"/{arm}/{kind}" for arm in blueprint["ARMS"] for kind in ("joint_states", "joint_commands")}
    assert shown <= {topic.name for topic in recorded_topics(Embodiment.load("aloha"))}
    assert emergency_stop.STATE in shown


def test_the_rerun_blueprint_is_one() -> None:
    blueprint = (CONFIG / "rerun" / "aloha.rbl").read_bytes()
    assert blueprint.startswith(b"RRF2")
    assert b"cosmos_policy" in blueprint
