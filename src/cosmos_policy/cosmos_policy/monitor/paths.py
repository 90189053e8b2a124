"""Where the grippers go in each candidate of a plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.geometry import RobotDescription, link_poses


@dataclass(frozen=True)
class GripperPaths:
    """Turns actions into paths of each arm's gripper, by forward kinematics of the robot's description."""

    robot: RobotDescription
    tips: dict[str, str]  # arm -> link between its finger tips
    joints: tuple[str, ...]  # of an action, as the description names them

    @classmethod
    def of(cls, contract: Embodiment, robot: RobotDescription, tip: str) -> GripperPaths:
        """Find each arm's gripper; arms that the description does not have stay without a path."""
        tips = {arm.name: f"{arm.name}/{tip}" for arm in contract.arms if f"{arm.name}/{tip}" in robot.links}
        return cls(robot, tips, contract.joint_names)

    def of_actions(self, actions: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return (..., 3) positions [m] in the root frame by arm, for (..., A) actions."""
        positions = {name: actions[..., k] for k, name in enumerate(self.joints)}
        poses = link_poses(self.robot, positions, list(self.tips.values()))
        return {arm: poses[link][..., :3, 3] for arm, link in self.tips.items()}
