"""Forward kinematics of a description, against sums that can be done by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosmos_policy_core.errors import DescriptionError
from cosmos_policy_core.geometry import RobotDescription, link_poses
from cosmos_policy_core.geometry.rotations import quaternion, transform

# Joints stand before the ones they hang on, as URDF allows.
URDF = """
<robot name="two_link">
  <material name="red"><color rgba="1 0 0 1"/></material>
  <joint name="wrist" type="revolute">
    <parent link="upper"/><child link="hand"/><origin xyz="1 0 0"/><axis xyz="0 0 2"/>
  </joint>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/><origin xyz="0 0 0.5" rpy="0 0 0"/><axis xyz="0 0 1"/>
  </joint>
  <joint name="finger" type="prismatic">
    <parent link="hand"/><child link="left"/><axis xyz="0 1 0"/>
  </joint>
  <joint name="other_finger" type="prismatic">
    <parent link="hand"/><child link="right"/><axis xyz="0 1 0"/><mimic joint="finger" multiplier="-1"/>
  </joint>
  <link name="base"><visual><geometry><mesh filename="base.stl"/></geometry></visual></link>
  <link name="upper">
    <visual><geometry><cylinder radius="0.1" length="1"/></geometry><material name="red"/></visual>
  </link>
  <link name="hand"/><link name="left"/><link name="right"/>
</robot>
"""


@pytest.fixture(scope="module")
def robot() -> RobotDescription:
    return RobotDescription.parse(URDF)


def test_two_quarter_turns_bring_the_hand_back_above_the_shoulders_side(robot: RobotDescription) -> None:
    poses = link_poses(robot, {"shoulder": np.pi / 2, "wrist": np.pi / 2, "finger": 0.2})
    np.testing.assert_allclose(poses["hand"][:3, 3], [0, 1, 0.5], atol=1e-12)
    np.testing.assert_allclose(poses["left"][:3, 3], [0, 0.8, 0.5], atol=1e-12)


def test_a_joint_that_mimics_follows_the_other_way(robot: RobotDescription) -> None:
    poses = link_poses(robot, {"finger": 0.2})
    np.testing.assert_allclose(poses["right"][:3, 3], [1, -0.2, 0.5])


def test_many_postures_at_once_are_the_postures_one_by_one(robot: RobotDescription) -> None:
    angles = np.random.default_rng(0).uniform(-3, 3, (2, 4, 5))
    together = link_poses(robot, {"shoulder": angles[0], "wrist": angles[1]}, ["hand"])["hand"]
    assert together.shape == (4, 5, 4, 4)
    alone = link_poses(robot, {"shoulder": angles[0, 2, 3], "wrist": angles[1, 2, 3]})["hand"]
    np.testing.assert_allclose(together[2, 3], alone)


def test_shapes_are_read_with_their_colours_and_meshes_are_skipped(robot: RobotDescription) -> None:
    assert robot.links["base"] == ()
    (shape,) = robot.links["upper"]
    assert (shape.kind, shape.size, shape.colour) == ("cylinder", (0.1, 1.0), (1.0, 0.0, 0.0, 1.0))


@pytest.mark.parametrize("rpy", [(0, 0, 0), (3.1, 0.2, -0.3), (0.1, 1.5, 3.0), (np.pi, 0, 0), (0.3, -0.4, np.pi)])
def test_a_quaternion_turns_as_its_matrix_does(rpy: tuple[float, float, float]) -> None:
    rotation = transform(rpy=rpy)[:3, :3]
    w, *imaginary = quaternion(rotation)
    vector = np.array([0.3, -0.2, 0.9])
    turned = vector + 2 * np.cross(imaginary, np.cross(imaginary, vector) + w * vector)
    np.testing.assert_allclose(turned, rotation @ vector, atol=1e-12)


def test_a_link_that_does_not_exist_is_refused_by_name(robot: RobotDescription) -> None:
    with pytest.raises(DescriptionError, match="'elbow'.*'two_link'"):
        link_poses(robot, {}, ["elbow"])


@pytest.mark.parametrize("text", ["", "<robot/>", "<robot name='a'><link name='a'/><link name='b'/></robot>"])
def test_a_file_that_is_no_urdf_is_refused_by_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "robot.urdf"
    path.write_text(text)
    with pytest.raises(DescriptionError, match=r"robot\.urdf: not a URDF"):
        RobotDescription.read(path)
    with pytest.raises(DescriptionError, match="cannot be read"):
        RobotDescription.read(tmp_path / "nothing.urdf")
