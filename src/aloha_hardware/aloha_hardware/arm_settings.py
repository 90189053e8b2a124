"""What an arm driver must know, checked before anything is opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aloha_hardware.errors import SettingsError
from aloha_hardware.linkage import Linkage
from aloha_hardware.motors import CHAINS, MODELS, URDF_LIMITS, Motor, with_models
from aloha_hardware.units import CURRENT_UNIT, WATCHDOG_UNIT

JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
FINGERS = ("left_finger", "right_finger")
URDF_SPEED = math.pi  # [rad/s] of every revolute joint
URDF_ROUNDING = 1e-4  # [rad]
SPEED_MARGIN = 2.0  # times a gripper motor's top speed: what a limit may say at most before it is taken for a mistake
EFFORT_UNITS = ("newton_metre", "milliampere")
READ_MODES = ("auto", "fast", "plain")
BACKENDS = ("dynamixel", "interbotix")
RANGES: dict[str, tuple[float, float]] = {
    "baud": (9_600, 4_500_000),
    "move_speed": (0.01, 1.5),
    "gripper_horn_radius": (0.001, 0.2),
    "gripper_arm_length": (0.001, 0.2),
    "gripper_current": (0.01, 3.2),
    "position_p_gain": (1, 16383),
    "position_i_gain": (0, 16383),
    "position_d_gain": (0, 16383),
    "rate": (1.0, 200.0),
    "realtime_priority": (0, 99),
    "command_timeout": (0.01, 1.0),
    "bus_timeout": (0.01, 1.0),  # and at least two periods
    "bus_patience": (0.001, 0.1),
    "watchdog": (0.0, 2.54),
    "start_timeout": (0.0, 60.0),
    "start_distance": (0.01, 7.0),
    "clamp_tolerance": (0.0, 1.0),
    "temperature_warning": (20.0, 100.0),
}


@dataclass(frozen=True)
class ArmSettings:
    """Everything contract-dependent arrives here, as node parameters of the same names.

    Lists hold the seven joints in vendor order, the gripper last; the gripper's pose is 0 closed .. 1 open.

    Args:
        arm: name of the arm; topics left empty follow it.
        backend: dynamixel owns the bus; interbotix goes through the vendor's driver, which owns it.
        kind: follower or leader: which chain of motors, which limits of the vendor's URDF.
        models: `ID=MODEL` where the kit carries another motor.
        lower, upper: position limits [rad]; the gripper's are its closed and open motor angles.
        velocity: largest speed a command may cause [rad/s]; the gripper's no faster than its motor, whatever is given.
        gripper_current: what the gripper squeezes with at most [A].
        torque: hold the arm; false for a leader that a hand moves.
        command_timeout: age of the newest command beyond which the arm holds [s].
        bus_timeout: time without a complete read beyond which the bus counts as silent [s].
        watchdog: silence after which the motors stop by themselves [s]; 0: never.
        start_timeout: wait for the port to appear at configure [s].
        start_distance: farthest first command after a hold [rad].
        clamp_tolerance: how far beyond a limit a command is cut to it; farther is refused [rad].
    """

    arm: str = "follower_left"
    backend: str = "dynamixel"
    port: str = ""
    baud: int = 1_000_000
    kind: str = "follower"
    models: Sequence[str] = ()
    adapter_serial: str = ""
    state_topic: str = ""
    command_topic: str = ""
    partners: Sequence[str] = ()
    joint_names: Sequence[str] = JOINTS
    lower: Sequence[float] = (-3.12, -1.83, -1.742, -3.12, -1.847, -3.12, -0.6213)
    upper: Sequence[float] = (3.12, 1.236, 1.585, 3.12, 2.214, 3.12, 1.4910)
    velocity: Sequence[float] = (3.14159, 3.14159, 3.14159, 3.14159, 3.14159, 3.14159, 6.5)
    start_pose: Sequence[float] = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.0)
    sleep_pose: Sequence[float] = (0.0, -1.83, 1.585, 0.0, -1.84, 0.0, 0.0)
    move_speed: float = 0.5
    gripper_horn_radius: float = 0.022
    gripper_arm_length: float = 0.036
    gripper_current: float = 0.538
    position_p_gain: int = 800
    position_i_gain: int = 0
    position_d_gain: int = 0
    rate: float = 100.0
    realtime_priority: int = 0
    torque: bool = True
    command_timeout: float = 0.08
    bus_timeout: float = 0.05
    bus_patience: float = 0.004
    watchdog: float = 0.1
    start_timeout: float = 0.0
    start_distance: float = 0.3
    clamp_tolerance: float = 0.1
    read_mode: str = "auto"
    write_settings: bool = True
    reboot_faulty_motors: bool = True
    effort_unit: str = "newton_metre"
    temperature_warning: float = 65.0

    def __post_init__(self) -> None:
        """Refuse what could hurt.

        Raises:
            SettingsError: names the parameter and the remedy.
        """
        self._choice("backend", self.backend, BACKENDS, " The simulated cell needs no driver: launch with robot:=sim")
        self._choice("kind", self.kind, tuple(CHAINS))
        self._choice("effort_unit", self.effort_unit, EFFORT_UNITS)
        self._choice("read_mode", self.read_mode, READ_MODES)
        self._check_joints()
        self._check_limits()
        self._check_poses()
        self._check_numbers()
        _ = self.motors  # names a wrong model

    @property
    def device(self) -> str:
        """The port, by name of the arm where none is given (the udev rules make these links)."""
        return self.port or f"/dev/ttyDXL_{self.arm}"

    @property
    def motors(self) -> tuple[Motor, ...]:
        """The motors of this arm, shadows included."""
        models: dict[int, str] = {}
        for text in self.models:
            ident, _, name = text.partition("=")
            if not ident.isdigit() or name not in MODELS:
                self._refuse("models", f"'{text}' is not ID=MODEL. Use one of: {', '.join(MODELS)}")
            models[int(ident)] = name
        return with_models(CHAINS[self.kind], models)

    @property
    def masters(self) -> tuple[Motor, ...]:
        """The motors that are read and written, in the order of the joints."""
        by_joint = {motor.joint: motor for motor in self.motors if not motor.is_shadow}
        return tuple(by_joint[name] for name in self.joint_names)

    @property
    def speed(self) -> tuple[float, ...]:
        """How fast each setpoint may move [rad/s]: a gripper's that ran ahead of its motor would end in a jump."""
        urdf = URDF_LIMITS[self.kind]
        pairs = zip(self.joint_names, self.velocity, strict=True)
        return tuple(speed if name in urdf else min(speed, self._top_speed(name)) for name, speed in pairs)

    def _top_speed(self, joint: str) -> float:
        return min(motor.model.top_speed for motor in self.motors if motor.joint == joint)

    @property
    def linkage(self) -> Linkage:
        """The gripper's mechanism."""
        return Linkage(self.gripper_horn_radius, self.gripper_arm_length)

    @property
    def gripper_current_raw(self) -> int:
        """The gripper's current in register units."""
        return round(self.gripper_current / CURRENT_UNIT)

    @property
    def watchdog_raw(self) -> int:
        """The bus watchdog in register units."""
        return round(self.watchdog / WATCHDOG_UNIT)

    def pose(self, name: str) -> tuple[float, ...]:
        """Return the start or sleep pose in motor angles [rad]."""
        pose = list(self.start_pose if name == "start" else self.sleep_pose)
        pose[-1] = self.lower[-1] + pose[-1] * (self.upper[-1] - self.lower[-1])
        return tuple(pose)

    # Checks --------------------------------------------------------------------------------------------------------

    def _refuse(self, name: str, problem: str) -> None:
        raise SettingsError(f"{self.arm}: {name}: {problem}.")

    def _choice(self, name: str, value: str, choices: Sequence[str], hint: str = "") -> None:
        if value not in choices:
            hint = hint and f".{hint}"
            self._refuse(name, f"'{value}' is unknown. Use one of: {', '.join(choices)}{hint}")

    def _check_joints(self) -> None:
        known = {motor.joint for motor in CHAINS[self.kind]}
        for name in self.joint_names:
            if name not in known:
                self._refuse("joint_names", f"this arm has no joint '{name}'. Use, in this order: {', '.join(JOINTS)}")
        missing = [name for name in JOINTS if name not in self.joint_names]
        if missing or tuple(self.joint_names) != JOINTS:
            what = f"'{missing[0]}' is missing" if missing else "the order is wrong"
            self._refuse("joint_names", f"{what}. List, in this order: {', '.join(JOINTS)}")
        for name in ("lower", "upper", "velocity", "start_pose", "sleep_pose"):
            values = getattr(self, name)
            if len(values) != len(JOINTS):
                self._refuse(name, f"{len(values)} numbers for {len(JOINTS)} joints. Give one per joint")
            if not all(math.isfinite(value) for value in values):
                self._refuse(name, "not every value is a number. Give finite numbers")

    def _check_limits(self) -> None:
        urdf = URDF_LIMITS[self.kind]
        for name, low, high, speed in zip(self.joint_names, self.lower, self.upper, self.velocity, strict=True):
            if low >= high:
                self._refuse("lower, upper", f"{name}: {low} is not below {high}. Swap or widen the limits")
            least, most = urdf.get(name, (-math.pi, math.pi))
            if low < least - URDF_ROUNDING or high > most + URDF_ROUNDING:
                self._refuse(
                    "lower, upper",
                    f"{name} may move {low}..{high} rad, beyond the vendor's {least}..{most}. Narrow the limits",
                )
            fastest = URDF_SPEED if name in urdf else SPEED_MARGIN * self._top_speed(name)
            if not 0.0 < speed <= fastest + URDF_ROUNDING:
                self._refuse("velocity", f"{name}: {speed} rad/s is not in (0, {fastest:.5f}]. Lower it")

    def _check_poses(self) -> None:
        for key in ("start", "sleep"):
            for name, value, low, high in zip(self.joint_names, self.pose(key), self.lower, self.upper, strict=True):
                if not low - 1e-9 <= value <= high + 1e-9:
                    self._refuse(f"{key}_pose", f"{name}: {value} is outside {low}..{high}. Move it inside the limits")

    def _check_numbers(self) -> None:
        ranges = RANGES | {"bus_timeout": (2 / self.rate, RANGES["bus_timeout"][1])}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                self._refuse(name, f"{value} is not in [{low:g}, {high:g}]. Choose a value inside")
        if self.gripper_arm_length < self.gripper_horn_radius:
            self._refuse("gripper_arm_length", "shorter than the horn; the linkage cannot turn. Check both lengths")
