"""Motor models, and the chains of an ALOHA cell: which motor sits at which ID, how it is mounted, how far it may turn.

Sources: ROBOTIS e-Manual (models; torque per ampere is stall torque over stall current at 12 V); Interbotix
`aloha_vx300s.yaml` and `aloha_wx250s.yaml` and their servo tables (chains); `vx300s` and `wx250s` URDF (limits).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from aloha_hardware.control_table import XC430_W150, XL430_W250, XM430_W350, XM540_W270, Table

NO_SECONDARY_ID = 255
REVERSE = 1
"""Bit of Drive Mode that turns the direction of the motor round."""


@dataclass(frozen=True)
class MotorModel:
    """What all motors of one model share.

    Args:
        number: what a ping answers.
        stall_torque: at 12 V [N·m]; for a motor without a current sensor, what counts as full load.
        stall_current: at 12 V [A]; 0 for a motor without a current sensor.
        top_speed: without load at 12 V [rad/s].
        modes: operating modes it knows: 0 current, 1 velocity, 3 position, 4 extended position,
            5 current-based position, 16 PWM.
    """

    name: str
    number: int
    table: Table
    stall_torque: float
    stall_current: float
    top_speed: float
    modes: tuple[int, ...]

    @property
    def senses_current(self) -> bool:
        """Whether the motor measures and limits its current."""
        return "goal_current" in self.table

    @property
    def torque_constant(self) -> float:
        """Torque at the output per ampere [N·m/A]; without a current sensor, [N·m] at full load."""
        return self.stall_torque / (self.stall_current or 1.0)


_ALL_MODES = (0, 1, 3, 4, 5, 16)
_MODES_WITHOUT_CURRENT = (1, 3, 4, 16)

MODELS: dict[str, MotorModel] = {
    model.name: model
    for model in (
        MotorModel("XM540-W270", 1120, XM540_W270, 10.6, 4.4, 3.14, _ALL_MODES),
        MotorModel("XM430-W350", 1020, XM430_W350, 4.1, 2.3, 4.82, _ALL_MODES),
        MotorModel("XL430-W250", 1060, XL430_W250, 1.5, 0.0, 6.39, _MODES_WITHOUT_CURRENT),
        MotorModel("XC430-W150", 1070, XC430_W150, 1.6, 0.0, 11.1, _MODES_WITHOUT_CURRENT),
    )
}


def model_name(number: int) -> str:
    """Name the model of a model number."""
    return next((model.name for model in MODELS.values() if model.number == number), f"unknown model {number}")


@dataclass(frozen=True)
class Motor:
    """A motor of a chain.

    Args:
        joint: joint it moves; a shadow moves its master's.
        min_ticks, max_ticks: position limits written to the motor.
        secondary_id: ID of its master, whose writes it obeys; 255 for none.
        pose_at_rest: angle its joint sinks to without torque [rad].
    """

    id: int
    joint: str
    model: MotorModel
    drive_mode: int = 0
    min_ticks: int = 0
    max_ticks: int = 4095
    secondary_id: int = NO_SECONDARY_ID
    pose_at_rest: float = 0.0

    @property
    def is_shadow(self) -> bool:
        """Whether it follows another motor by its Secondary ID."""
        return self.secondary_id != NO_SECONDARY_ID


def _chain(rows: tuple[tuple[int, str, str, int, int, int, float], ...]) -> tuple[Motor, ...]:
    motors: list[Motor] = []
    for ident, joint, model, drive_mode, low, high, rest in rows:
        master = next((motor.id for motor in motors if motor.joint == joint), NO_SECONDARY_ID)
        motors.append(Motor(ident, joint, MODELS[model], drive_mode, low, high, master, rest))
    return tuple(motors)


# ID, joint, model, Drive Mode, position limits [ticks], angle at rest [rad].
FOLLOWER = _chain(
    (
        (1, "waist", "XM540-W270", 0, 0, 4095, 0.0),
        (2, "shoulder", "XM540-W270", 1, 841, 2867, -1.85),
        (3, "shoulder", "XM540-W270", 0, 841, 2867, -1.85),
        (4, "elbow", "XM540-W270", 1, 898, 3094, 1.6),
        (5, "elbow", "XM540-W270", 0, 898, 3094, 1.6),
        (6, "forearm_roll", "XM540-W270", 0, 0, 4095, 0.0),
        (7, "wrist_angle", "XM540-W270", 1, 830, 3504, -1.86),
        (8, "wrist_rotate", "XM430-W350", 0, 0, 4095, 0.0),
        (9, "gripper", "XM430-W350", 0, 0, 4095, 0.0),
    )
)
LEADER = _chain(
    (
        (1, "waist", "XM430-W350", 0, 0, 4095, 0.0),
        (2, "shoulder", "XM430-W350", 0, 819, 3345, -1.88),
        (3, "shoulder", "XM430-W350", 1, 819, 3345, -1.88),
        (4, "elbow", "XM430-W350", 0, 648, 3094, 1.6),
        (5, "elbow", "XM430-W350", 1, 648, 3094, 1.6),
        (6, "forearm_roll", "XM430-W350", 0, 0, 4095, 0.0),
        (7, "wrist_angle", "XM430-W350", 1, 910, 3447, -1.6),
        (8, "wrist_rotate", "XM430-W350", 0, 0, 4095, 0.0),
        (9, "gripper", "XC430-W150", 0, 0, 4095, 0.0),
    )
)
CHAINS = {"follower": FOLLOWER, "leader": LEADER}

# The vendor's URDF [rad]: nothing may be configured beyond it.
URDF_LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "follower": {
        "waist": (-3.14158, 3.14158),
        "shoulder": (-1.85005, 1.25664),
        "elbow": (-1.76278, 1.60570),
        "forearm_roll": (-3.14158, 3.14158),
        "wrist_angle": (-1.86750, 2.23402),
        "wrist_rotate": (-3.14158, 3.14158),
    },
    "leader": {
        "waist": (-3.14158, 3.14158),
        "shoulder": (-1.88496, 1.98968),
        "elbow": (-2.14675, 1.60570),
        "forearm_roll": (-3.14158, 3.14158),
        "wrist_angle": (-1.74533, 2.14675),
        "wrist_rotate": (-3.14158, 3.14158),
    },
}


def with_models(chain: tuple[Motor, ...], models: dict[int, str]) -> tuple[Motor, ...]:
    """Return a chain in which some IDs carry another model (older kits do)."""
    return tuple(replace(motor, model=MODELS[models.get(motor.id, motor.model.name)]) for motor in chain)
