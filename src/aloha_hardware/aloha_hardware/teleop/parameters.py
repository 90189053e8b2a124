"""Parameters of `teleop_node`: the fields of TeleopSettings under the same names."""

from __future__ import annotations

from aloha_hardware.declared import declared
from aloha_hardware.managed_node import ManagedNode
from aloha_hardware.teleop.settings import RANGES, TeleopSettings

DESCRIPTIONS = {
    "leaders": "names of the leaders, one per follower in the same order",
    "followers": "names of the followers",
    "joint_names": "of a command, the gripper last",
    "lower": "limits of a follower's joints [rad]; the gripper's as a motor angle",
    "upper": "limits of a follower's joints [rad]; the gripper's as a motor angle",
    "velocity": "largest speed that is commanded [rad/s]",
    "leader_gripper": "of a leader's gripper, closed and open [rad]; two for all leaders, or two of each",
    "follower_gripper": "of a follower's gripper, closed and open [rad]; two for all followers, or two of each",
    "rate": "of commands [Hz]",
    "state_timeout": "age of joint states beyond which an arm counts as lost [s]",
    "align_speed": "of the first move from a follower to its leader, at its fastest [rad/s]",
    "align_distance": "farthest joint of that move [rad]",
    "jump": "farthest a leader's joint may go within one period [rad]",
    "close_to_start": "begin only when both leader grippers are closed",
    "closed_below": "what counts as closed, 0 closed .. 1 open",
}


def declare_settings(node: ManagedNode) -> TeleopSettings:
    """Declare every parameter and return the settings.

    Raises:
        ParameterError: a value is of another type or out of its range.
        SettingsError: the values are unsafe.
    """
    return TeleopSettings(**declared(node, TeleopSettings, DESCRIPTIONS, RANGES))
