"""Arms of a contract: joints, limits, poses and topics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from cosmos_policy_core.embodiment.base import Contract, Name, Topic
from cosmos_policy_core.embodiment.gripper import Gripper

# Joint names in vendor order, with the position limits of the vendor's URDF [rad].
JOINT_TABLES: dict[str, dict[str, tuple[float, float]]] = {
    "vx300s": {
        "waist": (-3.14158, 3.14158),
        "shoulder": (-1.85005, 1.25664),
        "elbow": (-1.76278, 1.60570),
        "forearm_roll": (-3.14158, 3.14158),
        "wrist_angle": (-1.86750, 2.23402),
        "wrist_rotate": (-3.14158, 3.14158),
    },
}


class Joint(Contract):
    """One revolute joint with the limits the executor enforces."""

    name: Name
    lower: float = Field(description="[rad]")
    upper: float = Field(description="[rad]")
    velocity: float = Field(gt=0, description="[rad/s]")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Joint:
        if self.lower >= self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}. Swap or widen the limits.")
        return self


class Arm(Contract):
    """One arm: six (or other) revolute joints and a gripper, in the order of the action vector."""

    name: Name
    model: Literal["vx300s", "other"] = Field(description="'other' switches the check of the joint table off")
    state_topic: Topic
    command_topic: Topic
    unit: Literal["rad"] = Field(description="unit of joints, limits and poses")
    joints: tuple[Joint, ...] = Field(min_length=1)
    gripper: Gripper
    start_pose: tuple[float, ...] = Field(description="joints [rad], then gripper 0 closed .. 1 open")
    sleep_pose: tuple[float, ...] = Field(description="joints [rad], then gripper; safe to cut the torque in")

    @field_validator("joints")
    @classmethod
    def _names_are_unique(cls, joints: tuple[Joint, ...]) -> tuple[Joint, ...]:
        names = [joint.name for joint in joints]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"'{twice[0]}' is listed twice. Name every joint once.")
        return joints

    @model_validator(mode="after")
    def _joints_fit_the_model(self) -> Arm:
        table = JOINT_TABLES.get(self.model)
        if table is None:
            return self
        names, order = [joint.name for joint in self.joints], ", ".join(table)
        for index, name in enumerate(names):
            if name not in table:
                raise ValueError(
                    f"joints[{index}].name: a {self.model} has no joint '{name}'. Use, in this order: {order}."
                )
        missing = [name for name in table if name not in names]
        if missing:
            raise ValueError(f"joints: '{missing[0]}' is missing for a {self.model}. List, in this order: {order}.")
        if names != list(table):
            raise ValueError(f"joints: the order is {', '.join(names)}. List them in the driver's order: {order}.")
        for index, joint in enumerate(self.joints):
            lower, upper = table[joint.name]
            if joint.lower < lower or joint.upper > upper:
                raise ValueError(
                    f"joints[{index}]: {joint.name} may move {joint.lower}..{joint.upper} rad, beyond the "
                    f"{self.model}'s own {lower}..{upper}. Narrow the limits."
                )
        return self

    @model_validator(mode="after")
    def _poses_are_reachable(self) -> Arm:
        for key, pose in (("start_pose", self.start_pose), ("sleep_pose", self.sleep_pose)):
            if len(pose) != len(self.joints) + 1:
                raise ValueError(
                    f"{key}: {len(pose)} numbers. Give {len(self.joints) + 1}: every joint, then the gripper."
                )
            for index, (value, lower, upper) in enumerate(zip(pose, self.lower, self.upper, strict=True)):
                if not lower <= value <= upper:
                    raise ValueError(f"{key}[{index}]: {value} is outside {lower}..{upper}. Move it inside the limits.")
        return self

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of this arm's entries in the action vector, without the arm's own name."""
        return (*(joint.name for joint in self.joints), "gripper")

    @property
    def command_names(self) -> tuple[str, ...]:
        """Joint names of a command message, in the order of the action vector."""
        return (*(joint.name for joint in self.joints), self.gripper.action.joint)

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower limits in action space."""
        return (*(joint.lower for joint in self.joints), 0.0)

    @property
    def upper(self) -> tuple[float, ...]:
        """Upper limits in action space."""
        return (*(joint.upper for joint in self.joints), 1.0)

    @property
    def velocity(self) -> tuple[float, ...]:
        """Speed limits in action space, per second."""
        return (*(joint.velocity for joint in self.joints), self.gripper.velocity)
