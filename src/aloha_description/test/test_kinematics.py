"""The URDF, read by MuJoCo's own URDF parser, moves like the simulated cell."""

from __future__ import annotations

from pathlib import Path

import pytest

mujoco = pytest.importorskip("mujoco", reason="mujoco is not installed: pip install mujoco")
np = pytest.importorskip("numpy")
scene = pytest.importorskip("aloha_sim.scene", reason="aloha_sim is not installed")

URDF = Path(__file__).parents[1] / "urdf" / "aloha.urdf"
ARMS = {"follower_left": "vx300s_left", "follower_right": "vx300s_right"}
JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "left_finger", "right_finger")
FRAMES = ("shoulder_link", "upper_forearm_link", "wrist_link", "gripper_link", "left_finger_link", "right_finger_link")


class Posed:
    """A MuJoCo model that takes joint positions by name."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model, self.data = model, mujoco.MjData(model)

    def move(self, positions: dict[str, float]) -> None:
        for name, position in positions.items():
            self.data.qpos[self.model.joint(name).qposadr[0]] = position
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def body(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) [m] and orientation (3, 3) in the cell."""
        body = self.data.body(name)
        return body.xpos.copy(), body.xmat.reshape(3, 3).copy()


@pytest.fixture(scope="module")
def described() -> Posed:
    spec = mujoco.MjSpec.from_file(str(URDF))
    spec.compiler.fusestatic = False  # else the camera frames dissolve into the links that carry them
    return Posed(spec.compile())


@pytest.fixture(scope="module")
def simulated() -> Posed:
    try:
        return Posed(scene.build_model(mesh_reduction=0))
    except scene.SimError as error:
        pytest.skip(str(error))


def random_positions(described: Posed, seed: int) -> dict[str, dict[str, float]]:
    """Draw joint positions within the limits of the URDF, per arm."""
    generator = np.random.default_rng(seed)
    return {
        arm: {joint: generator.uniform(*described.model.joint(f"{arm}/{joint}").range) for joint in JOINTS}
        for arm in ARMS
    }


def pose_both(described: Posed, simulated: Posed, seed: int) -> None:
    for arm, positions in random_positions(described, seed).items():
        described.move({f"{arm}/{joint}": value for joint, value in positions.items()})
        simulated.move({f"{ARMS[arm]}/{joint}": value for joint, value in positions.items()})


@pytest.mark.parametrize("frame", FRAMES)
def test_random_postures_put_a_frame_where_the_simulator_has_it(described: Posed, simulated: Posed, frame: str) -> None:
    for seed in range(50):
        pose_both(described, simulated, seed)
        for arm, body in ARMS.items():
            position, rotation = described.body(f"{arm}/{frame}")
            expected, expected_rotation = simulated.body(f"{body}/{frame}")
            assert np.linalg.norm(position - expected) < 1e-3
            np.testing.assert_allclose(rotation, expected_rotation, atol=1e-3)


@pytest.mark.parametrize("camera", ["cam_high", "cam_left_wrist", "cam_right_wrist"])
def test_a_camera_looks_from_where_the_simulator_renders(described: Posed, simulated: Posed, camera: str) -> None:
    pose_both(described, simulated, seed=7)
    position, optical = described.body(f"{camera}_optical_frame")
    rendered = simulated.data.camera(camera)
    assert np.linalg.norm(position - rendered.xpos) < 1e-3
    # MuJoCo looks along -z with y up; an optical frame looks along z with y down.
    np.testing.assert_allclose(optical, rendered.xmat.reshape(3, 3) @ np.diag([1, -1, -1]), atol=1e-3)


def test_the_table_top_is_where_the_simulator_has_it(described: Posed, simulated: Posed) -> None:
    described.move({})
    simulated.move({})
    np.testing.assert_allclose(described.body("table")[0], simulated.body("table")[0], atol=1e-3)


def test_the_simulated_joint_ranges_are_the_limits(described: Posed, simulated: Posed) -> None:
    for arm, body in ARMS.items():
        for joint in JOINTS:
            limits = described.model.joint(f"{arm}/{joint}").range
            np.testing.assert_allclose(limits, simulated.model.joint(f"{body}/{joint}").range, atol=1e-4)
