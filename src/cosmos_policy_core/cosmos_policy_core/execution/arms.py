"""Between the action vector and the joint messages of each arm, without allocating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cosmos_policy_core.embodiment import Embodiment

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class ArmChannel:
    """One arm's slice of the action vector and its scale to the arm's own units.

    command = action * scale + offset, which is exact: joints keep their radians and the gripper's motor angle is
    linear in the action (the non-linear finger linkage only concerns the measured opening).
    """

    name: str
    part: slice
    joint_names: tuple[str, ...]
    scale: Vector
    offset: Vector

    def write_command(self, action: Vector, out: Vector) -> None:
        """Write the command of an (A,) action into `out`, one number per joint [rad]."""
        np.multiply(action[self.part], self.scale, out=out)
        np.add(out, self.offset, out=out)

    def indices(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Find this arm's joints in a message's list of names.

        Raises:
            KeyError: naming the first joint that is missing.
        """
        places = {name: index for index, name in enumerate(names)}
        return np.array([places[name] for name in self.joint_names], dtype=np.intp)


@dataclass(frozen=True)
class ActionSpace:
    """All arms of a contract, in the order of the action vector."""

    arms: tuple[ArmChannel, ...]
    size: int

    @classmethod
    def from_contract(cls, contract: Embodiment) -> ActionSpace:
        """Read the affine maps off a contract, from its own commands at the actions 0 and 1."""
        zeros = contract.commands_from_action(np.zeros(contract.action_dim))
        ones = contract.commands_from_action(np.ones(contract.action_dim))
        arms, start = [], 0
        for arm in contract.arms:
            names, offset = zeros[arm.name]
            base = np.array(offset)
            scale = np.array(ones[arm.name][1]) - base
            arms.append(ArmChannel(arm.name, slice(start, start + len(names)), tuple(names), scale, base))
            start += len(names)
        return cls(tuple(arms), start)
