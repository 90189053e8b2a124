"""The suite's own forward kinematics put every link where MuJoCo's URDF reader puts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosmos_policy_core.geometry import RobotDescription, link_poses

mujoco = pytest.importorskip("mujoco", reason="mujoco is not installed: pip install mujoco")

URDF = Path(__file__).parents[1] / "src" / "aloha_description" / "urdf" / "aloha.urdf"
POSTURES = 50


def test_random_postures_put_every_link_of_the_cell_where_mujoco_has_it() -> None:
    robot = RobotDescription.read(URDF)
    spec = mujoco.MjSpec.from_file(str(URDF))
    spec.compiler.fusestatic = False  # else fixed links dissolve into those that carry them
    model = spec.compile()
    data = mujoco.MjData(model)
    generator = np.random.default_rng(3)
    # MuJoCo's kinematics knows no mimic joints: every joint is given.
    positions = {
        joint.name: generator.uniform(*model.joint(joint.name).range, POSTURES) for joint in robot.joints if joint.moves
    }
    poses = link_poses(robot, positions)
    for k in range(POSTURES):
        for name, values in positions.items():
            data.qpos[model.joint(name).qposadr[0]] = values[k]
        mujoco.mj_kinematics(model, data)
        for link in set(robot.links) - {robot.root}:
            body, pose = data.body(link), poses[link] if poses[link].ndim == 2 else poses[link][k]
            np.testing.assert_allclose(pose[:3, 3], body.xpos, atol=1e-6)
            np.testing.assert_allclose(pose[:3, :3], body.xmat.reshape(3, 3), atol=1e-6)
