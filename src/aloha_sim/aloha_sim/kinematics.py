"""Inverse kinematics of one arm: damped least squares on the model's own Jacobian."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

TOOL = np.array([0.135, 0.0, 0.0])
"""[m] From `gripper_link` to the point between the finger pads."""


@dataclass(frozen=True)
class Pose:
    """Position (3,) [m] and orientation (4,) quaternion w x y z."""

    position: np.ndarray
    quaternion: np.ndarray


def turned(*steps: tuple[str, float]) -> np.ndarray:
    """Compose rotations about the moving axes, each (axis letter, angle [rad]); returns (4,) w x y z."""
    result = np.array([1.0, 0.0, 0.0, 0.0])
    for axis, angle in steps:
        step, product = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(step, np.eye(3)["xyz".index(axis)], angle)
        mujoco.mju_mulQuat(product, result, step)
        result = product
    return result


def between(first: Pose, second: Pose, share: float) -> Pose:
    """Interpolate: straight line, shortest turn. `share` 0 is the first, 1 the second."""
    turn = np.zeros(3)
    mujoco.mju_subQuat(turn, second.quaternion, first.quaternion)
    quaternion = first.quaternion.copy()
    mujoco.mju_quatIntegrate(quaternion, turn, share)
    return Pose(first.position + share * (second.position - first.position), quaternion)


class ArmKinematics:
    """Forward and inverse kinematics of an arm, in data of its own: the running physics is never touched.

    Args:
        model: the cell.
        prefix: the arm's name in the MJCF.
    """

    def __init__(self, model: mujoco.MjModel, prefix: str) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._body = model.body(f"{prefix}/gripper_link").id
        names = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
        joints = np.array([model.joint(f"{prefix}/{name}").id for name in names])
        self._qpos, self._dofs = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        self._low, self._high = model.jnt_range[joints].T

    def forward(self, joints: np.ndarray) -> Pose:
        """Return the tool pose at (6,) joint angles [rad]."""
        self._data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        position = self._data.xpos[self._body] + self._data.xmat[self._body].reshape(3, 3) @ TOOL
        return Pose(position, self._data.xquat[self._body].copy())

    def inverse(self, target: Pose, guess: np.ndarray, *, iterations: int = 30, damping: float = 1e-4) -> np.ndarray:
        """Return (6,) joint angles [rad] near `guess` whose tool pose is the target, or the closest within limits."""
        joints = guess.copy()
        linear, angular = np.zeros((3, self._model.nv)), np.zeros((3, self._model.nv))
        error = np.zeros(6)
        for _ in range(iterations):
            pose = self.forward(joints)
            error[:3] = target.position - pose.position
            turn = np.zeros(3)
            mujoco.mju_subQuat(turn, target.quaternion, pose.quaternion)  # in the tool's frame
            mujoco.mju_rotVecQuat(error[3:], turn, pose.quaternion)
            if np.abs(error).max() < 1e-5:
                break
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_jac(self._model, self._data, linear, angular, pose.position, self._body)
            jacobian = np.concatenate([linear, angular])[:, self._dofs]
            step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping * np.eye(6), error)
            joints = np.clip(joints + np.clip(step, -0.3, 0.3), self._low, self._high)
        return joints
