"""What the shipped URDF files promise: one tree, the drivers' joint names, the vendor's limits."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import pytest

DRIVER_NAMES = [
    "waist",
    "shoulder",
    "elbow",
    "forearm_roll",
    "wrist_angle",
    "wrist_rotate",
    "gripper",
    "left_finger",
    "right_finger",
]
"""Names in the joint states of a driver, in its order."""

TURN = math.pi - 1e-5
VX300S_LIMITS = {
    "waist": (-TURN, TURN),
    "shoulder": (math.radians(-106), math.radians(72)),
    "elbow": (math.radians(-101), math.radians(92)),
    "forearm_roll": (-TURN, TURN),
    "wrist_angle": (math.radians(-107), math.radians(128)),
    "wrist_rotate": (-TURN, TURN),
    "left_finger": (0.021, 0.057),
    "right_finger": (-0.057, -0.021),
}
"""[rad], fingers [m]."""


def moving(robot: Element) -> dict[str, Element]:
    """Joints that move, by name, in the order of the file."""
    return {joint.get("name", ""): joint for joint in robot.iter("joint") if joint.get("type") != "fixed"}


def assert_tree(robot: Element, root: str) -> None:
    links = [link.get("name") for link in robot.findall("link")]
    assert len(links) == len(set(links))
    parents = {joint.find("child").get("link"): joint.find("parent").get("link") for joint in robot.iter("joint")}
    assert len(parents) == len(robot.findall("joint")), "a link has two parents"
    assert [link for link in links if link not in parents] == [root]
    for link in links:
        seen = []
        while link != root:
            assert link not in seen, f"{link} is its own ancestor"
            seen.append(link)
            link = parents[link]


def test_the_cell_is_one_tree_that_grows_from_world(cell: Element) -> None:
    assert_tree(cell, "world")


def test_an_arm_is_one_tree_that_grows_from_its_base(arm: Element) -> None:
    assert_tree(arm, "base_link")


def test_an_arm_has_the_joint_names_its_driver_publishes(arm: Element) -> None:
    assert list(moving(arm)) == DRIVER_NAMES


def test_the_cell_puts_the_name_of_the_arm_before_those_names(cell: Element) -> None:
    arms = ("follower_left", "follower_right")
    assert list(moving(cell)) == [f"{arm}/{joint}" for arm in arms for joint in DRIVER_NAMES]


def test_the_cell_has_the_frames_that_headers_and_viewers_name(cell: Element) -> None:
    links = {link.get("name") for link in cell.findall("link")}
    frames = {"world", "table"}
    frames |= {f"{camera}_optical_frame" for camera in ("cam_high", "cam_left_wrist", "cam_right_wrist")}
    for arm in ("follower_left", "follower_right"):
        frames |= {f"{arm}/{link}" for link in ("base_link", "gripper_link", "left_finger_link", "ee_gripper_link")}
    assert frames <= links


def test_every_moving_joint_has_limits(cell: Element) -> None:
    for name, joint in moving(cell).items():
        limit = joint.find("limit")
        assert limit is not None, name
        assert float(limit.get("velocity")) > 0
        assert float(limit.get("effort")) > 0
        if joint.get("type") != "continuous":
            assert float(limit.get("lower")) < float(limit.get("upper"))


@pytest.mark.parametrize("side", ["follower_left", "follower_right"])
def test_the_limits_of_a_follower_are_the_vendors(cell: Element, side: str) -> None:
    joints = moving(cell)
    for name, (lower, upper) in VX300S_LIMITS.items():
        limit = joints[f"{side}/{name}"].find("limit")
        assert float(limit.get("lower")) == pytest.approx(lower, abs=1e-6)
        assert float(limit.get("upper")) == pytest.approx(upper, abs=1e-6)
        expected = 1.0 if "finger" in name else math.pi
        assert float(limit.get("velocity")) == pytest.approx(expected)


def test_the_right_finger_mirrors_the_left(cell: Element) -> None:
    mimic = moving(cell)["follower_left/right_finger"].find("mimic")
    assert mimic.attrib == {"joint": "follower_left/left_finger", "multiplier": "-1", "offset": "0"}


def test_every_link_is_drawn_and_collides_without_files_of_others(cell: Element) -> None:
    assert not list(cell.iter("mesh"))
    assert len(list(cell.iter("visual"))) > 30


@pytest.mark.parametrize("arm", ["vx300s"], indirect=True)
@pytest.mark.parametrize("side", ["follower_left", "follower_right"])
def test_frames_published_for_an_arm_alone_fit_the_cell(cell: Element, arm: Element, side: str) -> None:
    for joint in arm.iter("joint"):
        twin = cell.find(f"joint[@name='{side}/{joint.get('name')}']")
        assert twin.find("child").get("link") == f"{side}/{joint.find('child').get('link')}"
        assert twin.find("parent").get("link") == f"{side}/{joint.find('parent').get('link')}"
        assert twin.find("origin").attrib == joint.find("origin").attrib
