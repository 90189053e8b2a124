"""The arms that a person moves: no action, no observation, so that the contract does not mention them.

Source: the vendor's URDF of the WidowX 250 S leader, and the constants of the two published ALOHA code bases.
"""

from __future__ import annotations

from cosmos_policy_core.embodiment.arms import Arm

# The vendor's limits less a margin of 0.02 rad; the gripper's come from its generation.
LOWER = (-3.12, -1.864, -2.126, -3.12, -1.725, -3.12)
UPPER = (3.12, 1.969, 1.585, 3.12, 2.126, 3.12)
SLEEP_POSE = (0.0, -1.83, 1.585, 0.0, -1.72, 0.0, 0.0)

# Motor angles of the gripper (closed, open) [rad], by the name of the follower's constants.
GRIPPER_SPANS: dict[str, tuple[float, float]] = {"orig": (-0.6842, 0.3083), "trossen_2024": (-0.0552, 0.8298)}


def leader_name(follower: Arm) -> str:
    """Return the name of the arm that leads a follower."""
    return follower.name.replace("follower", "leader")


def gripper_span(follower: Arm) -> tuple[float, float]:
    """Return the closed and open motor angle [rad] of the leader of a follower's generation.

    Constants given in numbers say nothing about leaders; the first generation's are taken, and the hardware file may
    say otherwise.
    """
    constants = follower.gripper.constants
    return GRIPPER_SPANS.get(constants if isinstance(constants, str) else "orig", GRIPPER_SPANS["orig"])
