"""An arm that stays with the vendor's driver keeps every promise that does not need the bus.

The vendor's packages are not in any package index; what stands in for them here has the calls of its
InterbotixRobotXSCore and moves as told. It was not tried against a running xs_sdk.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: source it, or run through `make test`")

from arm_kit import START, wait  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Bool, String  # noqa: E402

from aloha_hardware import vendor_arm  # noqa: E402
from aloha_hardware.arm_driver_node import LATCHED, ArmDriverNode  # noqa: E402
from aloha_hardware.arm_settings import FINGERS, JOINTS, ArmSettings  # noqa: E402
from aloha_hardware.errors import MotorError, SettingsError  # noqa: E402
from aloha_hardware.vendor_arm import VendorArm  # noqa: E402
from aloha_nodes import emergency_stop  # noqa: E402
from aloha_nodes.spinning import SpinningThread  # noqa: E402


class XsSdk:
    """A vendor's driver that publishes a hundred times a second and does what it is told at once."""

    def __init__(self) -> None:
        self.pose = [*START.values(), 0.0]
        self.misread: list[float] | None = None  # published in place of the pose, whatever the arm does
        self.calls: list[tuple[Any, ...]] = []
        self.written: list[float] = []
        self.shown: list[float] = []
        self.joint_states: JointState | None = None
        self.names = [*JOINTS, *FINGERS]
        self.alive, self.lag = True, 0.0
        self.registers = {"arm": {"Operating_Mode": 3, "Torque_Enable": 0}}
        self.registers["gripper"] = {"Operating_Mode": 4, "Torque_Enable": 0}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    def robot_write_commands(self, group_name: str, commands: list[float]) -> None:
        assert group_name == "arm" and len(commands) == 6
        self.written += commands
        self.pose[:6] = commands

    def robot_write_joint_command(self, joint_name: str, command: float) -> None:
        assert joint_name == "gripper"
        self.written.append(command)
        self.pose[6] = command

    def robot_set_operating_modes(self, cmd_type: str, name: str, mode: str, **options: Any) -> None:
        self.calls.append(("mode", cmd_type, name, mode))
        assert not self.registers[name]["Torque_Enable"], f"{name} drops while its mode is switched"
        self.registers[name]["Operating_Mode"] = {"position": 3, "current_based_position": 5}[mode]

    def robot_get_motor_registers(self, cmd_type: str, name: str, reg: str) -> Any:
        return [self.registers[name][reg]] * (6 if cmd_type == "group" else 1)

    def robot_torque_enable(self, cmd_type: str, name: str, enable: bool) -> None:
        self.calls.append(("torque", cmd_type, name, enable))
        self.registers[name]["Torque_Enable"] = int(enable)

    def robot_reboot_motors(self, cmd_type: str, name: str, enable: bool, smart_reboot: bool = False) -> None:
        self.calls.append(("reboot", cmd_type, name, smart_reboot))

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _publish(self) -> None:
        while not self._ended.wait(0.01):
            if self.alive:
                pose = list(self.misread or self.pose)
                position = [*pose, 0.03, -0.03]
                states = JointState(name=self.names, position=position, velocity=[0.0] * 9)
                stamp = time.time() - self.lag
                states.header.stamp.sec, states.header.stamp.nanosec = int(stamp), int(stamp % 1 * 1e9)
                self.joint_states, self.shown = states, pose


class Operator(Node):
    """Sends a pose fifty times a second and hears faults."""

    def __init__(self) -> None:
        super().__init__("operator")
        self.pose: dict[str, float] = {}
        self.fault = ""
        self.create_subscription(String, "/follower_left/fault", self._hear, LATCHED)
        self._commands = self.create_publisher(JointState, "/follower_left/joint_commands", 1)
        self.stop = self.create_publisher(Bool, emergency_stop.TOPIC, 1)
        self.create_timer(0.02, self._send)

    def _hear(self, message: String) -> None:
        self.fault = message.data

    def _send(self) -> None:
        if self.pose:
            message = JointState(name=list(self.pose), position=list(self.pose.values()))
            message.header.stamp = self.get_clock().now().to_msg()
            self._commands.publish(message)


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[XsSdk]:
    sdk = XsSdk()
    monkeypatch.setattr(vendor_arm, "make_core", lambda arm: sdk)
    yield sdk
    sdk.close()


@pytest.fixture
def operator(sdk: XsSdk) -> Iterator[Operator]:
    rclpy.init()
    settings = {"backend": "interbotix", "auto_start": False, "bus_timeout": 0.3}
    node = ArmDriverNode(parameter_overrides=[Parameter(name, value=value) for name, value in settings.items()])
    operator = Operator()
    spinning = SpinningThread(node, operator, threads=3)
    assert node.start()
    yield operator
    node.stop()
    spinning.stop()
    node.destroy_node()
    operator.destroy_node()
    rclpy.try_shutdown()


def test_the_arm_is_held_in_the_vendors_modes_and_follows_commands(sdk: XsSdk, operator: Operator) -> None:
    assert ("mode", "single", "gripper", "current_based_position") in sdk.calls
    assert ("torque", "group", "arm", True) in sdk.calls
    operator.pose = {**START, "waist": 0.2, "gripper": 1.0}
    wait(lambda: abs(sdk.pose[0] - 0.2) < 1e-6 and abs(sdk.pose[6] - 1.0) < 1e-6, "the arm to follow")


def test_joint_states_are_the_vendors_alone(operator: Operator) -> None:
    assert operator.count_publishers("/follower_left/joint_states") == 0


def test_an_emergency_stop_holds(sdk: XsSdk, operator: Operator) -> None:
    operator.stop.publish(Bool(data=True))
    time.sleep(0.3)
    operator.pose = {**START, "waist": 0.2, "gripper": 0.0}
    time.sleep(0.5)
    assert sdk.pose[0] == pytest.approx(0.0, abs=1e-6)


def test_a_vendor_driver_that_falls_silent_is_a_fault_and_comes_back(sdk: XsSdk, operator: Operator) -> None:
    sdk.alive = False
    wait(lambda: "bus silent" in operator.fault, "the fault")
    sdk.alive = True
    wait(lambda: operator.fault == "", "the end of the fault")


def test_the_pose_that_the_vendor_publishes_when_it_cannot_read_is_a_fault(sdk: XsSdk, operator: Operator) -> None:
    sdk.misread = [-math.pi] * 7
    wait(lambda: "could not read its motors" in operator.fault, "the fault")


@pytest.mark.parametrize("broken", [[math.nan] * 7, [0.0, math.nan, *[0.0] * 5]])
def test_a_pose_that_is_no_number_is_a_fault_and_never_becomes_a_command(
    sdk: XsSdk, operator: Operator, broken: list[float]
) -> None:
    operator.pose = {**START, "waist": 0.2, "gripper": 0.0}
    wait(lambda: abs(sdk.pose[0] - 0.2) < 1e-6, "the arm to follow")
    sdk.misread, sdk.written = broken, []
    wait(lambda: "could not read its motors" in operator.fault, "the fault")
    count = len(sdk.written)
    wait(lambda: len(sdk.written) > count + 20, "goals after the fault")
    assert all(math.isfinite(angle) for angle in sdk.written)


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        ([math.nan] * 7, "could not read its motors"),
        ([-math.pi] * 7, "could not read its motors"),
        ([0.0, -0.96, 2.6, 0.0, 0.0, 0.0, 0.0], "elbow reads 2.60 rad"),
        ([0.0, -0.96, 1.16, 0.0, 0.0, 0.0, 2.5], "another generation of grippers"),
    ],
)
def test_an_arm_that_is_nowhere_an_arm_can_be_gets_no_torque(sdk: XsSdk, pose: list[float], words: str) -> None:
    arm = VendorArm(ArmSettings(backend="interbotix"), print)
    arm.open()
    sdk.misread = pose
    wait(lambda: sdk.shown == pose, "the pose to be published")
    sdk.written, sdk.calls = [], []
    for attempt in (arm.torque_on, VendorArm(ArmSettings(backend="interbotix"), print).open):
        with pytest.raises(MotorError, match=words):
            attempt()
    assert not sdk.written and not sdk.calls


def test_joint_states_of_long_ago_are_no_joint_states(sdk: XsSdk, operator: Operator) -> None:
    sdk.lag = 5.0
    wait(lambda: "joint states are stamped" in operator.fault, "the fault")
    sdk.lag = 0.0
    wait(lambda: operator.fault == "", "the end of the fault")


def test_an_arm_that_holds_in_the_right_modes_is_taken_over_without_switching_them(sdk: XsSdk) -> None:
    sdk.registers["gripper"]["Operating_Mode"] = 5
    sdk.registers["arm"]["Torque_Enable"] = sdk.registers["gripper"]["Torque_Enable"] = 1
    arm = VendorArm(ArmSettings(backend="interbotix"), print)
    arm.open()
    arm.torque_on()
    assert not [call for call in sdk.calls if call[0] == "mode"]


def test_an_arm_that_holds_in_another_mode_is_not_dropped_by_switching_it(sdk: XsSdk) -> None:
    sdk.registers["arm"] = {"Operating_Mode": 1, "Torque_Enable": 1}
    arm = VendorArm(ArmSettings(backend="interbotix"), print)
    arm.open()
    with pytest.raises(MotorError, match="arm holds in another mode than position.*torque_enable"):
        arm.torque_on()
    assert not sdk.calls


def test_an_arm_for_a_hand_must_not_hold_but_may_carry_its_own_weight(sdk: XsSdk) -> None:
    sdk.registers["arm"] = {"Operating_Mode": 3, "Torque_Enable": 1}
    with pytest.raises(MotorError, match="motors of the arm hold.*switch its 12 V supply off and on"):
        VendorArm(ArmSettings(backend="interbotix", torque=False), print).open()
    sdk.registers["arm"]["Operating_Mode"] = 0  # gravity compensation
    VendorArm(ArmSettings(backend="interbotix", torque=False), print).open()


def test_other_joints_than_the_contracts_are_refused(sdk: XsSdk) -> None:
    sdk.names = ["waist", *["other"] * 8]
    sdk.joint_states = None
    with pytest.raises(SettingsError, match="'shoulder' is missing"):
        VendorArm(ArmSettings(backend="interbotix"), print).open()


def test_missing_vendor_packages_are_named_with_what_to_install() -> None:
    with pytest.raises(SettingsError, match=r"needs interbotix_xs_modules, which is not installed"):
        VendorArm(ArmSettings(backend="interbotix"), print).open()


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="dynamixel, interbotix"):
        ArmSettings(backend="ros2_control")
