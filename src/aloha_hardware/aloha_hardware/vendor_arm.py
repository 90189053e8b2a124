"""An arm behind the vendor's driver: interbotix_xs_modules talking to a running xs_sdk.

For labs that keep the vendor's stack: xs_sdk owns the bus and publishes the joint states; limits, watchdog, stops and
services are those of our own driver. What only the bus knows (hardware errors, voltages) stays with xs_sdk's own log.

A read that failed comes from xs_sdk as -pi or as NaN in every joint, depending on its version and settings. Both are
faults here: neither is a pose, and neither may become a command.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aloha_hardware.arm_checks import CURRENT_BASED_POSITION_MODE, POSITION_MODE, Warn, check_angles, refuse_held
from aloha_hardware.arm_reading import Health, Reading
from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.bus import BusCounts
from aloha_hardware.errors import MotorError, PortError, SettingsError
from aloha_hardware.motors import Motor
from aloha_hardware.units import Angles

MODULES = "interbotix_xs_modules"
ARM_GROUP, ALL_GROUP, GRIPPER = "arm", "all", "gripper"
MODES = {ARM_GROUP: ("group", "position", POSITION_MODE)}
MODES[GRIPPER] = ("single", "current_based_position", CURRENT_BASED_POSITION_MODE)
COMPLIANT_MODES = (0, 16)  # current and PWM: torque is on, but a hand can move it (gravity compensation)
REGISTER_TRIES = 10
FIRST_STATES = 5.0  # [s] to wait for joint states


class Core(Protocol):
    """What is used of the vendor's InterbotixRobotXSCore."""

    joint_states: Any

    def robot_write_commands(self, group_name: str, commands: list[float]) -> None: ...

    def robot_write_joint_command(self, joint_name: str, command: float) -> None: ...

    def robot_set_operating_modes(self, cmd_type: str, name: str, mode: str, **options: Any) -> None: ...

    def robot_get_motor_registers(self, cmd_type: str, name: str, reg: str) -> Any: ...

    def robot_torque_enable(self, cmd_type: str, name: str, enable: bool) -> None: ...

    def robot_reboot_motors(self, cmd_type: str, name: str, enable: bool, smart_reboot: bool = False) -> None: ...


@dataclass
class VendorLink:
    """Stands where a serial port stands: up while joint states come in."""

    is_open: bool = False

    def disconnect(self) -> None:
        """Nothing of ours is open."""
        self.is_open = False


@dataclass
class VendorBus:
    """Stands where the bus stands; its errors are xs_sdk's own business."""

    motors: dict[int, Motor]
    counts: BusCounts = field(default_factory=BusCounts)
    alerts: frozenset[int] = frozenset()
    fast: bool = False


class VendorArm:
    """The motors of one arm through xs_sdk, with the calls of `Arm`.

    Args:
        settings: checked; the port and everything of the bus is not used.
        warn: where troubles that stop nothing are told.
        core: the vendor's; made from interbotix_xs_modules at `open` when left out.
        now: the clock that xs_sdk stamps with [s].
    """

    def __init__(
        self, settings: ArmSettings, warn: Warn, core: Core | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self.settings, self.warn = settings, warn
        self.port, self.bus = VendorLink(), VendorBus({motor.id: motor for motor in settings.motors})
        self.health: dict[int, Health] = {}
        self.current_limits: dict[int, float] = {}
        self.silent: tuple[Motor, ...] = ()
        self._core = core
        self._now = now
        self._last: Any = None
        self._last_stamp = -math.inf
        self._silence = ""
        self._torque = False

    # Bring-up ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Find xs_sdk and check the arm it drives; no torque is switched on.

        Raises:
            HardwareError: the vendor's packages or its driver are not there, or drive other joints.
        """
        self._core = self._core or make_core(self.settings.arm)
        self.port.is_open = True
        end = time.monotonic() + FIRST_STATES
        while self._core.joint_states is None:
            if time.monotonic() > end:
                raise PortError(f"{self.settings.arm}: xs_sdk publishes no joint states. Read its log.")
            time.sleep(0.02)
        missing = [name for name in self.settings.joint_names if name not in self._core.joint_states.name]
        if missing:
            raise SettingsError(
                f"{self.settings.arm}: xs_sdk drives {', '.join(self._core.joint_states.name)}; '{missing[0]}' is "
                "missing. Start it with the robot model of the contract."
            )
        check_angles(self.settings.arm, self.settings, self.first_reading().position)
        held = [] if self.settings.torque else self._held()
        if held:
            refuse_held(self.settings.arm, held)

    def close(self) -> None:
        """Leave; xs_sdk goes on holding the arm."""
        self.port.disconnect()

    def torque_on(self) -> None:
        """Hold the arm where it is, in the vendor's modes of a follower.

        Raises:
            MotorError: it is nowhere an arm can be, or holds in another mode: switching modes drops the torque.
        """
        reading = self.first_reading()
        check_angles(self.settings.arm, self.settings, reading.position)
        for name, (kind, mode, number) in MODES.items():
            if any(found != number for found in self._registers(kind, name, "Operating_Mode")):
                self._set_mode(kind, name, mode)
        self.write(reading.position)  # before the torque: xs_sdk may remember an older goal
        self.core.robot_torque_enable("group", ARM_GROUP, True)
        self.core.robot_torque_enable("single", GRIPPER, True)
        self._torque = True

    def _set_mode(self, kind: str, name: str, mode: str) -> None:
        if any(self._registers(kind, name, "Torque_Enable")):
            raise MotorError(
                f"{self.settings.arm}: {name} holds in another mode than {mode}, and would drop while it is switched. "
                f"Support the arm, switch its torque off with /{self.settings.arm}/torque_enable, and activate again."
            )
        self.core.robot_set_operating_modes(kind, name, mode)

    def _held(self) -> list[str]:
        """Name what a hand cannot move."""
        found = []
        for name, (kind, _, _) in MODES.items():
            on, modes = (self._registers(kind, name, register) for register in ("Torque_Enable", "Operating_Mode"))
            if any(hold and mode not in COMPLIANT_MODES for hold, mode in zip(on, modes, strict=True)):
                found.append(f"of the {name}")
        return found

    def _registers(self, kind: str, name: str, register: str) -> list[int]:
        """Read a register of every motor of a group; the vendor's releases wrap the answer differently.

        Raises:
            MotorError: xs_sdk does not tell.
        """
        for _ in range(REGISTER_TRIES):
            try:
                answer = self.core.robot_get_motor_registers(kind, name, register)
            except AttributeError:  # what the vendor's call ends with when the service did not answer within 0.1 s
                continue
            if values := [int(value) for value in getattr(answer, "values", answer) or ()]:
                return values
        raise MotorError(f"{self.settings.arm}: xs_sdk does not tell {register} of {name}. Read its log.")

    def torque_off(self) -> None:
        """Let the arm go."""
        self.core.robot_torque_enable("group", ARM_GROUP, False)
        self.core.robot_torque_enable("single", GRIPPER, False)
        self._torque = False

    def let_hold(self) -> None:
        """Nothing to do: xs_sdk holds the last goal."""

    def reboot(self, idents: Sequence[int]) -> None:
        """Restart motors that are in an error state, and hold again."""
        self.core.robot_reboot_motors("group", ALL_GROUP, True, smart_reboot=True)
        if self.settings.torque:
            self.torque_on()

    def reconnect(self) -> None:
        """Wait for xs_sdk to publish again.

        Raises:
            PortError: it does not.
        """
        if not self._is_news(self.core.joint_states):
            raise PortError(f"{self.settings.arm}: xs_sdk publishes no joint states. Is it still running?")
        self.port.is_open = True

    def resume(self) -> None:
        """Nothing to do: the motors never stopped by themselves."""

    # The loop ---------------------------------------------------------------------------------------------------

    def read(self) -> Reading | None:
        """Take the newest joint states; None where none came since the last call, or only old ones.

        Raises:
            MotorError: positions that are no pose: xs_sdk publishes -pi or NaN everywhere when it could not read.
        """
        states = self.core.joint_states
        if not self._is_news(states):
            self.silent = self.settings.masters
            return None
        self._last, self._last_stamp, self.silent = states, _stamp(states), ()
        index = [states.name.index(name) for name in self.settings.joint_names]
        if len(states.position) < len(states.name):
            raise MotorError(f"{self.settings.arm}: xs_sdk publishes joints without positions. Read its log.")
        position, velocity, effort = (
            _pick(values, index) for values in (states.position, states.velocity, states.effort)
        )
        if not all(map(math.isfinite, position)) or all(abs(angle + math.pi) < 1e-3 for angle in position):
            raise MotorError(f"{self.settings.arm}: xs_sdk could not read its motors. Check the 12 V and the cable.")
        return Reading(time.monotonic(), position, velocity, effort)

    def _is_news(self, states: Any) -> bool:
        """Whether joint states are others than the last, later measured, and measured just now."""
        self._silence = "xs_sdk publishes no joint states. Is it still running?"
        if states is None or states is self._last:
            return False
        stamp = _stamp(states)
        age = self._now() - stamp
        if stamp <= self._last_stamp or abs(age) > self.settings.bus_timeout:
            self._silence = f"xs_sdk's joint states are stamped {age:.2f} s ago. Check its clock and its log"
            return False
        return True

    def describe_silence(self) -> str:
        """Say why there is nothing to read."""
        return self._silence.rstrip(".")

    def first_reading(self) -> Reading:
        """Wait for joint states.

        Raises:
            PortError: none come.
        """
        end = time.monotonic() + FIRST_STATES
        while (reading := self.read()) is None:
            if time.monotonic() > end:
                raise PortError(f"{self.settings.arm}: {self._silence}")
            time.sleep(0.005)
        return reading

    def write(self, angles: Angles) -> None:
        """Send the joints to angles [rad]."""
        self.core.robot_write_commands(ARM_GROUP, [float(angle) for angle in angles[:-1]])
        self.core.robot_write_joint_command(GRIPPER, float(angles[-1]))

    @property
    def core(self) -> Core:
        """The vendor's interface; only after `open`."""
        assert self._core is not None
        return self._core

    # What only the bus knows --------------------------------------------------------------------------------------

    def torque(self) -> dict[int, bool]:
        """Return by ID what was last asked for."""
        return {motor.id: self._torque for motor in self.settings.masters}

    def stopped_by_watchdog(self) -> tuple[int, ...]:
        """None: xs_sdk arms no bus watchdog."""
        return ()

    def examine(self) -> tuple[dict[int, int], set[int]]:
        """Nothing is known of hardware errors."""
        return {}, set()

    def measure_health(self) -> None:
        """Nothing is known of voltages and temperatures."""

    def describe_errors(self, errors: dict[int, int]) -> str:
        """Nothing to describe."""
        return ""

    def name(self, ident: int) -> str:
        """Name a motor for a person."""
        return f"motor {ident} ({self.bus.motors[ident].joint})"


def _stamp(states: Any) -> float:
    """Return when joint states were measured [s]."""
    return float(states.header.stamp.sec) + 1e-9 * float(states.header.stamp.nanosec)


def _pick(values: Sequence[float], index: Sequence[int]) -> tuple[float, ...]:
    """Pick joints of a message; what the vendor leaves out is not measured and reads 0."""
    return tuple(float(values[i]) if i < len(values) else 0.0 for i in index)


def make_core(arm: str) -> Core:
    """Connect to the xs_sdk of an arm.

    Raises:
        SettingsError: the vendor's packages are not installed.
        PortError: no xs_sdk runs for the arm.
    """
    if importlib.util.find_spec(MODULES) is None:
        raise SettingsError(
            f"{arm}: backend interbotix needs {MODULES}, which is not installed. Install the vendor's workspace "
            "(interbotix_ros_manipulators) and source it, or use backend: dynamixel."
        )
    robot = importlib.import_module("interbotix_common_modules.common_robot.robot")
    core = importlib.import_module(f"{MODULES}.xs_robot.core")
    node = robot.InterbotixRobotNode(node_name=f"{arm}_vendor")
    if not _is_served(node, f"/{arm}/set_operating_modes"):
        node.destroy_node()
        raise PortError(
            f"{arm}: no xs_sdk runs under /{arm}. Start it: ros2 launch interbotix_xsarm_control "
            f"xsarm_control.launch.py robot_model:=vx300s robot_name:={arm}"
        )
    made: Core = core.InterbotixRobotXSCore(robot_model="vx300s", robot_name=arm, node=node)  # spins until states come
    if not robot.interbotix_is_up():
        robot.robot_startup(node)
    return made


def _is_served(node: Any, service: str, patience: float = 5.0) -> bool:
    """Look for a service; the vendor's own constructor would wait for it forever."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if service in dict(node.get_service_names_and_types()):
            return True
        time.sleep(0.1)
    return False
