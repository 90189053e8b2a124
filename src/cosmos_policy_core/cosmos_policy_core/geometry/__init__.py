"""Where the links of a robot are: its URDF, and forward kinematics over many postures at once."""

from cosmos_policy_core.geometry.kinematics import link_poses
from cosmos_policy_core.geometry.urdf import Joint, RobotDescription, Shape

__all__ = ["Joint", "RobotDescription", "Shape", "link_poses"]
