"""The middleware's settings for pictures: given by default, never against the user's own."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from cosmos_policy.dds import ENOUGH, VARIABLES, profile

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
        *({name: "/my/profile.xml"} for name in VARIABLES),
        {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
)
def test_what_the_user_has_chosen_stays(environment: dict[str, str], roomy: None) -> None:
    assert profile(environment) == {}


def test_small_shared_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("cosmos_policy.dds._free", lambda folder: 64 * 2**20)
    assert profile({}) == {}


def test_a_machine_without_shared_memory_is_left_alone(tmp_path: Path) -> None:
    assert profile({}, shared_memory=tmp_path / "none") == {}
