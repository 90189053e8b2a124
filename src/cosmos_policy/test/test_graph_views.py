"""The windows of a graph show the robot it runs: the description each gets, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ament_index_python.packages import get_package_share_directory

from cosmos_policy.errors import GraphError
from cosmos_policy.graph import BRINGUP, NodeSpec
from cosmos_policy.robot_descriptions import MESHES, arm_part, description_text, read_description
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DescriptionError
from cosmos_policy_core.geometry import RobotDescription

XACRO = """<robot name="mine" xmlns:xacro="http://ros.org/wiki/xacro">
  <link name="world"/>
  <xacro:macro name="arm" params="name">
    <link name="${name}/base_link"/><link name="${name}/hand"/>
    <joint name="${name}/base" type="fixed"><parent link="world"/><child link="${name}/base_link"/></joint>
    <joint name="${name}/waist" type="revolute"><parent link="${name}/base_link"/><child link="${name}/hand"/></joint>
  </xacro:macro>
  <xacro:arm name="follower_left"/><xacro:arm name="follower_right"/>
</robot>"""


@pytest.fixture
def other_robot(tmp_path: Path) -> dict[str, str]:
    """Arguments for a robot whose arms nobody knows."""
    shipped = Embodiment.load("aloha_sim")
    arms = tuple(arm.model_copy(update={"model": "other"}) for arm in shipped.arms)
    contract = tmp_path / "mine.yaml"
    contract.write_text(shipped.model_copy(update={"arms": arms}).to_yaml())
    return {"robot": "emulated", "embodiment": str(contract)}


@pytest.fixture
def xacro_file(tmp_path: Path) -> str:
    pytest.importorskip("xacro", reason="xacro is not installed: pip install xacro")
    file = tmp_path / "mine.urdf.xacro"
    file.write_text(XACRO)
    return str(file)


def by_label(given: dict[str, str]) -> dict[str, NodeSpec]:
    return {node.label: node for node in BRINGUP.nodes(given)}


@pytest.mark.parametrize("view", ["rviz", "monitor", "live"])
def test_a_robot_whose_body_is_unknown_is_refused_by_every_view(other_robot: dict[str, str], view: str) -> None:
    with pytest.raises(GraphError, match=r"^description: no URDF ships for follower_left \(model: other\)"):
        BRINGUP.nodes(other_robot | {view: "true"})
    assert BRINGUP.nodes(other_robot)


def test_every_view_gets_the_description_and_the_tip_of_an_own_robot(
    other_robot: dict[str, str], xacro_file: str
) -> None:
    asked = {"rviz": "true", "live": "true", "description": xacro_file, "tip": "hand"}
    nodes = by_label(other_robot | asked)
    for view in ("monitor", "live_view"):
        assert (nodes[view].parameters["description"], nodes[view].parameters["tip"]) == (xacro_file, "hand")
    whole = nodes["robot_state_publisher"].parameters["robot_description"]
    assert "follower_right/hand" in RobotDescription.parse(whole).links
    left = RobotDescription.parse(nodes["follower_left/robot_state_publisher"].parameters["robot_description"])
    assert (left.root, [joint.name for joint in left.joints]) == ("base_link", ["waist"])


def test_a_description_without_the_arms_of_the_contract_is_refused(other_robot: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "panda.urdf"
    file.write_text('<robot name="panda"><link name="panda_link0"/></robot>')
    with pytest.raises(DescriptionError, match="no link is called follower_left/"):
        BRINGUP.nodes(other_robot | {"rviz": "true", "description": str(file)})


@pytest.mark.parametrize("name", ["missing.urdf", "missing.urdf.xacro", "broken.urdf", "broken.urdf.xacro"])
def test_a_description_that_cannot_be_read_is_refused_by_its_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.urdf").write_text("<robot")
    (tmp_path / "broken.urdf.xacro").write_text('<robot xmlns:xacro="http://ros.org/wiki/xacro"><xacro:none/></robot>')
    with pytest.raises(DescriptionError, match=name):
        BRINGUP.nodes({"monitor": "true", "description": str(tmp_path / name)})


def test_the_frames_of_an_arm_are_those_of_the_arm_that_ships() -> None:
    shipped = Path(get_package_share_directory("aloha_description"), "urdf", "vx300s.urdf")
    alone = RobotDescription.read(shipped)
    part = RobotDescription.parse(arm_part(description_text("", Embodiment.load("aloha")), "follower_left"))
    assert part.root == alone.root
    assert set(part.links) == set(alone.links)
    joints = {joint.name: joint for joint in alone.joints}
    assert {joint.name for joint in part.joints} == set(joints)
    for joint in part.joints:
        expected = joints[joint.name]
        assert (joint.kind, joint.parent, joint.child, joint.mimic) == (
            expected.kind,
            expected.parent,
            expected.child,
            expected.mimic,
        )
        np.testing.assert_allclose(joint.origin, expected.origin)
        np.testing.assert_allclose(joint.axis, expected.axis)


def test_the_vendors_meshes_are_drawn_where_they_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xacro", reason="xacro is not installed: pip install xacro")
    contract = Embodiment.load("aloha")
    assert "<mesh" not in description_text("", contract, meshes=True)
    marker = tmp_path / "share/ament_index/resource_index/packages" / MESHES
    marker.parent.mkdir(parents=True)
    marker.touch()
    (tmp_path / "share" / MESHES).mkdir()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path), prepend=":")
    drawn = by_label({"rviz": "true"})["robot_state_publisher"].parameters["robot_description"]
    assert f"package://{MESHES}/meshes/aloha_vx300s_meshes/" in drawn
    assert set(RobotDescription.parse(drawn).links) == set(read_description("", contract).links)
