"""One contract per embodiment: what the numbers, cameras and rates of a robot mean."""

from cosmos_policy_core.embodiment.arms import Arm, Joint
from cosmos_policy_core.embodiment.body import EndEffector, Reading
from cosmos_policy_core.embodiment.cameras import Camera, Images
from cosmos_policy_core.embodiment.contract import Embodiment
from cosmos_policy_core.embodiment.gripper import Gripper, GripperConstants
from cosmos_policy_core.embodiment.hardware import Hardware
from cosmos_policy_core.embodiment.safety import Safety
from cosmos_policy_core.embodiment.simulation import Simulation

__all__ = [
    "Arm",
    "Camera",
    "Embodiment",
    "EndEffector",
    "Gripper",
    "GripperConstants",
    "Hardware",
    "Images",
    "Joint",
    "Reading",
    "Safety",
    "Simulation",
]
