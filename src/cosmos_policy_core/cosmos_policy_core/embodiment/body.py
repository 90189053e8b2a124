"""The body of a simulated benchmark: one end effector moved by pose deltas, where a real robot has arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cosmos_policy_core.embodiment.base import Contract, Name
from cosmos_policy_core.errors import ObservationError

Vector = NDArray[np.float64]


class Reading(Contract):
    """One entry of the simulator's observations, and how many numbers it holds."""

    key: Name
    size: int = Field(gt=0)
    unit: Literal["m", "quaternion_xyzw"]


class EndEffector(Contract):
    """What an action moves and what proprioception is made of; the simulator's controller scales the deltas."""

    name: Name
    action: tuple[Name, ...] = Field(min_length=1, description="names of the policy's numbers; the last is `gripper`")
    lower: float = Field(description="of every number, in the controller's units")
    upper: float
    appended: tuple[float, ...] = Field(description="constant numbers the simulator wants after the action")
    proprio: tuple[Reading, ...] = Field(min_length=1, description="in the order of the proprioception vector")

    @model_validator(mode="after")
    def _parts_are_sound(self) -> EndEffector:
        for key, names in (("action", self.action), ("proprio", [reading.key for reading in self.proprio])):
            twice = sorted({name for name in names if list(names).count(name) > 1})
            if twice:
                raise ValueError(f"{key}: '{twice[0]}' is listed twice. Name every entry once.")
        if self.action[-1] != "gripper":
            raise ValueError(f"action: ends in '{self.action[-1]}'. List the gripper last, as `gripper`.")
        if self.lower >= self.upper:
            raise ValueError(f"lower: {self.lower} is not below upper {self.upper}. Swap or widen the limits.")
        return self

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the action's entries."""
        return tuple(f"{self.name}/{entry}" for entry in self.action)

    @property
    def proprio_names(self) -> tuple[str, ...]:
        """Names of the proprioception's entries."""
        return tuple(f"{reading.key}[{index}]" for reading in self.proprio for index in range(reading.size))

    def proprioception(self, observation: Mapping[str, Any]) -> Vector:
        """Assemble (P,) proprioception from the simulator's observations.

        Raises:
            ObservationError: an entry is missing, of another size, or not finite.
        """
        parts = []
        for reading in self.proprio:
            if reading.key not in observation:
                raise ObservationError(
                    f"observation: '{reading.key}' is missing (given: {', '.join(sorted(observation))}). "
                    "Enable it in the simulator's observations."
                )
            part = np.asarray(observation[reading.key], dtype=np.float64)
            if part.shape != (reading.size,) or not np.isfinite(part).all():
                raise ObservationError(
                    f"observation: '{reading.key}' has shape {part.shape} with finite={bool(np.isfinite(part).all())}. "
                    f"Give {reading.size} finite numbers."
                )
            parts.append(part)
        return np.concatenate(parts)

    def command(self, action: Sequence[float] | NDArray[Any]) -> Vector:
        """Complete (A,) one action with the constant numbers the simulator wants after it.

        Raises:
            ObservationError: when the length is not A or a number is not finite.
        """
        vector = np.asarray(action, dtype=np.float64)
        if vector.shape != (len(self.action),) or not np.isfinite(vector).all():
            raise ObservationError(
                f"{self.name}: an action of shape {vector.shape} with finite={bool(np.isfinite(vector).all())} "
                f"cannot be commanded. Give {len(self.action)} finite numbers."
            )
        return np.concatenate([vector, self.appended])
