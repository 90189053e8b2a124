"""Gripper spaces: finger metres, motor radians, and the normalised 0 closed .. 1 open of states and actions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from cosmos_policy_core.embodiment.base import Contract, Name

Quantity = Literal["finger_position", "motor_angle"]

UNITS: dict[str, str] = {"finger_position": "m", "motor_angle": "rad"}


class GripperConstants(Contract):
    """Where the gripper is open and closed, in both spaces of one hardware generation."""

    position_open: float = Field(description="finger position when open [m]")
    position_close: float = Field(description="finger position when closed [m]")
    joint_open: float = Field(description="motor angle when open [rad]")
    joint_close: float = Field(description="motor angle when closed [rad]")

    @model_validator(mode="after")
    def _open_differs_from_close(self) -> GripperConstants:
        if self.position_open <= self.position_close or self.joint_open <= self.joint_close:
            raise ValueError("open is not above close. Give open values larger than the close values.")
        return self

    def span(self, quantity: Quantity) -> tuple[float, float]:
        """Return (closed, open) of a quantity, in its unit."""
        if quantity == "finger_position":
            return self.position_close, self.position_open
        return self.joint_close, self.joint_open


# Follower constants of the two published ALOHA code bases. They are not interchangeable.
NAMED_CONSTANTS: dict[str, GripperConstants] = {
    "orig": GripperConstants(position_open=0.05800, position_close=0.01844, joint_open=1.4910, joint_close=-0.6213),
    "trossen_2024": GripperConstants(
        position_open=0.0579, position_close=0.0440, joint_open=1.6214, joint_close=0.6197
    ),
}


def _branch(value: Any) -> str:
    return "<values>" if isinstance(value, dict | GripperConstants) else "<name>"


Constants = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[GripperConstants, Tag("<values>")], Discriminator(_branch)
]


class GripperSignal(Contract):
    """One side of the gripper: which joint carries it, and as what."""

    joint: Name = Field(description="joint name in the JointState message")
    quantity: Quantity
    unit: Literal["m", "rad"]

    @model_validator(mode="after")
    def _unit_fits(self) -> GripperSignal:
        right = UNITS[self.quantity]
        if self.unit != right:
            raise ValueError(f"unit '{self.unit}' does not fit quantity '{self.quantity}'. Use unit: {right}.")
        return self


class Gripper(Contract):
    """A one-motor parallel gripper. State and action use different spaces, and the linkage is not linear."""

    state: GripperSignal
    action: GripperSignal
    constants: Constants = Field(description="name of a published set, or the four values")
    velocity: float = Field(gt=0, description="largest speed in action space [1/s]; 1 is a full stroke per second")

    @model_validator(mode="after")
    def _constants_are_known(self) -> Gripper:
        if isinstance(self.constants, str) and self.constants not in NAMED_CONSTANTS:
            known = ", ".join(NAMED_CONSTANTS)
            raise ValueError(
                f"constants: '{self.constants}' is unknown. Use one of: {known}, or give open/close values."
            )
        return self

    @property
    def values(self) -> GripperConstants:
        """The constants as numbers."""
        return self.constants if isinstance(self.constants, GripperConstants) else NAMED_CONSTANTS[self.constants]

    def state_to_unit(self, reading: float) -> float:
        """Turn a reading of the state joint [m or rad] into 0 closed .. 1 open (not clipped)."""
        closed, opened = self.values.span(self.state.quantity)
        return (reading - closed) / (opened - closed)

    def action_to_command(self, action: float) -> float:
        """Turn 0 closed .. 1 open into the command of the action joint [m or rad] (not clipped)."""
        closed, opened = self.values.span(self.action.quantity)
        return action * (opened - closed) + closed

    def command_to_action(self, command: float) -> float:
        """Invert :meth:`action_to_command`."""
        closed, opened = self.values.span(self.action.quantity)
        return (command - closed) / (opened - closed)
