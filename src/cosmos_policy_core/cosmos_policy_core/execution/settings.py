"""What the executor must know of a robot, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.execution.handover import Bounds

if TYPE_CHECKING:
    from cosmos_policy_core.embodiment import Embodiment

Vector = NDArray[np.float64]

# What clamping may hide before a chunk is refused: a policy's rounding, not a wrong gripper space or a wrong robot.
JOINT_TOLERANCE = 0.25  # [rad]
GRIPPER_TOLERANCE = 0.5  # of a full stroke: demonstrations squeeze past closed and stretch past open

# What a take-over may add to a chunk's own acceleration: from rest to full speed in this time.
SPEED_UP_TIME = 0.2  # [s]


@dataclass(frozen=True)
class ExecutorSettings:
    """Rates, limits and patience of the executor. Vectors are (A,), in action space (rad; grippers in strokes)."""

    joint_names: tuple[str, ...]
    arm_names: tuple[str, ...]
    lower: Vector
    upper: Vector
    velocity: Vector  # [1/s] of the action's unit
    limit_tolerance: Vector  # beyond lower and upper, before a chunk is refused instead of clamped
    grippers: tuple[int, ...]  # indices that neither count as distance nor as tracking error [rad]
    start_distance: float  # [rad]
    period: float  # between two actions [s]
    horizon: int
    executed_steps: int
    command_period: float  # between two commands [s]
    state_timeout: float  # [s]
    max_observation_age: float = 10.0  # [s]
    brake_time: float = 0.08  # from full speed to rest when a run is cut short [s]; in proportion from less

    @classmethod
    def from_contract(cls, contract: Embodiment, max_observation_age: float = 10.0) -> ExecutorSettings:
        """Take the executor's share of an embodiment contract."""
        tolerance = np.full(contract.action_dim, JOINT_TOLERANCE)
        tolerance[list(contract.gripper_indices)] = GRIPPER_TOLERANCE
        return cls(
            joint_names=contract.joint_names,
            arm_names=tuple(arm.name for arm in contract.arms),
            lower=contract.action_lower,
            upper=contract.action_upper,
            velocity=contract.velocity_limits,
            limit_tolerance=tolerance,
            grippers=contract.gripper_indices,
            start_distance=contract.start_distance,
            period=contract.period,
            horizon=contract.chunk_horizon,
            executed_steps=contract.executed_steps,
            command_period=1.0 / contract.command_rate,
            state_timeout=contract.state_timeout,
            max_observation_age=max_observation_age,
        )

    @cached_property
    def bounds(self) -> Bounds:
        """What the take-over by a chunk must respect."""
        return Bounds(self.period, self.velocity, self.velocity / SPEED_UP_TIME)
