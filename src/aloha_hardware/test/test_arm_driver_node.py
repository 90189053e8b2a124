"""The node of an arm on a real graph: what its topics and services promise, and every reason not to move."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: source it, or run through `make test`")

from arm_kit import RELAXED, START, follower, wait  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Bool, Empty, String  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402

from aloha_hardware.arm_driver_node import ArmDriverNode  # noqa: E402
from aloha_hardware.arm_settings import FINGERS, JOINTS  # noqa: E402
from aloha_hardware.emulator.line import EmulatedLine  # noqa: E402
from aloha_hardware.setpoints import SETTLED, Mode  # noqa: E402
from aloha_hardware.units import radians_from_ticks  # noqa: E402
from aloha_nodes import emergency_stop  # noqa: E402
from aloha_nodes.qos import LATCHED, SENSOR_DATA  # noqa: E402
from aloha_nodes.spinning import SpinningThread  # noqa: E402

ARM = "/follower_left"


class Operator(Node):
    """Commands the arm, once or fifty times a second, and keeps the newest message of every topic."""

    def __init__(self) -> None:
        super().__init__("operator")
        self.newest: dict[str, Any] = {}
        self.states = 0
        self.stream: dict[str, float] = {}
        for topic, kind, quality in (
            (f"{ARM}/joint_states", JointState, SENSOR_DATA),
            (f"{ARM}/fault", String, LATCHED),
            (f"{ARM}/stale", Bool, LATCHED),
            ("/diagnostics", DiagnosticArray, 10),
        ):
            self.create_subscription(kind, topic, lambda message, topic=topic: self._keep(topic, message), quality)
        self.commands = self.create_publisher(JointState, f"{ARM}/joint_commands", 1)
        self.stop = self.create_publisher(Bool, emergency_stop.TOPIC, 1)  # as `ros2 topic pub` does: not latched
        self.stop_state = self.create_publisher(Bool, emergency_stop.STATE, LATCHED)
        self.obeyed: list[bool] = []
        self.create_subscription(Bool, emergency_stop.OBEYED, lambda said: self.obeyed.append(said.data), LATCHED)
        self.partner = self.create_publisher(String, "/follower_right/fault", LATCHED)
        self.create_timer(0.02, lambda: self.send(**self.stream) if self.stream else None)

    def _keep(self, topic: str, message: Any) -> None:
        if topic == "/diagnostics":
            for status in message.status:
                self.newest[status.name] = status
        self.newest[topic] = message
        self.states += topic.endswith("joint_states")

    def send(self, **joints: float) -> None:
        message = JointState(name=list(joints), position=list(joints.values()))
        message.header.stamp = self.get_clock().now().to_msg()
        self.commands.publish(message)

    def call(self, name: str, request: Any | None = None) -> Any:
        client = self.create_client(SetBool if request else Trigger, f"/arm_driver/{name}")
        assert client.wait_for_service(10.0)
        future = client.call_async(request or Trigger.Request())
        wait(future.done, f"the answer of {name}", 30.0)
        return future.result()

    @property
    def fault(self) -> str:
        message = self.newest.get(f"{ARM}/fault")
        return message.data if message else "nothing heard"

    def diagnostic(self, part: str, key: str = "") -> str:
        self.newest.pop(f"arm_driver: follower_left {part}", None)
        status = wait(lambda: self.newest.get(f"arm_driver: follower_left {part}"), f"diagnostics of {part}")
        return next(pair.value for pair in status.values if pair.key == key) if key else status.message


class Heart:
    """Says that the other arm's driver lives, a hundred times a second, until stopped."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(Empty, "/follower_right/alive", SENSOR_DATA)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ended.wait(0.01):
            self._publisher.publish(Empty())

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()


class Cell:
    """An emulated arm, its driver and an operator."""

    def __init__(self, line: EmulatedLine, driver: ArmDriverNode, operator: Operator) -> None:
        self.line, self.driver, self.operator = line, driver, operator

    def angle(self, joint: str) -> float:
        return self.line.chain.joints[joint].angle

    def goal(self, joint: str) -> float:
        """Where the joint's motor is told to be [rad]."""
        motor = next(motor for motor in self.line.chain.motors if motor.joint is self.line.chain.joints[joint])
        return radians_from_ticks(motor.registers.get("goal_position"))

    def at_rest_and_well(self) -> None:
        """Put everything back: faults, power, poses, stops."""
        chain, operator = self.line.chain, self.operator
        operator.stream = {}
        operator.stop_state.publish(Bool(data=False))
        operator.partner.publish(String(data=""))
        self.line.plug()
        chain.removed.clear()
        self.driver.stop()
        with self.line.lock:
            for motor in chain.motors:
                motor.power_up()
            for joint in chain.joints.values():
                joint.low, joint.high, joint.load = -math.inf, math.inf, 0.0
            chain.pose({**START, "gripper": 0.0})
        assert self.driver.start()
        wait(lambda: operator.fault == "", "a driver without fault")
        wait(lambda: operator.commands.get_subscription_count(), "the driver's command subscription")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    rclpy.init()
    line = follower()
    line._link = tmp_path_factory.mktemp("dev") / "ttyDXL_follower_left"
    line.unplug()
    line.plug()
    values = {"port": line.path, "partners": ["follower_right"], "auto_start": False, "move_speed": 1.5, **RELAXED}
    values["command_timeout"] = 0.3  # a loaded machine sends late
    driver = ArmDriverNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
    operator = Operator()
    spinning = SpinningThread(driver, operator, threads=4)
    yield Cell(line, driver, operator)
    driver.stop()
    spinning.stop()
    operator.destroy_node()
    driver.destroy_node()
    line.close()
    rclpy.try_shutdown()


@pytest.fixture
def cell(shared: Cell) -> Cell:
    shared.at_rest_and_well()
    return shared


def test_states_come_in_vendor_order_with_fingers_from_the_linkage(cell: Cell) -> None:
    cell.operator.newest.clear()
    state = wait(lambda: cell.operator.newest.get(f"{ARM}/joint_states"), "joint states")
    assert tuple(state.name) == JOINTS + FINGERS
    assert len(state.velocity) == len(state.effort) == 9
    assert list(state.position[:2]) == pytest.approx([0.0, -0.96], abs=0.01)
    finger = math.sqrt(0.036**2 - 0.022**2)  # the gripper at 0 rad
    assert list(state.position[7:]) == pytest.approx([finger, -finger], abs=1e-4)
    before = cell.operator.states
    wait(lambda: cell.operator.states - before > 50, "a stream of joint states")


def test_the_arm_follows_its_commands_and_holds_when_they_end(cell: Cell) -> None:
    cell.operator.stream = {"waist": 0.2, "gripper": 1.0}
    wait(lambda: abs(cell.angle("waist") - 0.2) < 0.01, "the waist at 0.2 rad")
    wait(lambda: abs(cell.angle("gripper") - 1.0) < 0.01, "the gripper at 1 rad")
    assert cell.operator.diagnostic("commands", "mode") == "follow"
    cell.operator.stream = {}
    wait(lambda: cell.operator.diagnostic("commands", "mode") == "hold", "an arm that holds")
    assert cell.angle("waist") == pytest.approx(0.2, abs=0.01)


def test_bad_commands_are_refused_and_counted(cell: Cell) -> None:
    before = int(cell.operator.diagnostic("commands", "refused"))
    wrong = ({"waist": math.nan}, {"wheel": 0.0}, {"shoulder": 1.6}, {"waist": 2.0})
    for number, joints in enumerate(wrong, start=1):
        cell.operator.send(**joints)  # one at a time: of two that come at once the driver takes the newer one
        wait(lambda n=number: cell.driver._loop.setpoints.refused == before + n, f"refusal {number}")
    assert cell.operator.diagnostic("commands", "refused") == str(before + len(wrong))
    assert cell.angle("waist") == pytest.approx(0.0, abs=0.01)


def test_any_node_raises_the_emergency_stop_and_only_its_owner_lowers_it(cell: Cell) -> None:
    cell.operator.stop.publish(Bool(data=True))
    cell.operator.stop.publish(Bool(data=False))  # right behind it
    wait(lambda: "emergency stop" in cell.operator.diagnostic("commands"), "the stop in the diagnostics")
    wait(lambda: cell.operator.obeyed[-1:] == [True], "the driver to say that it obeys")
    cell.operator.stream = {"waist": 0.2}
    cell.operator.stop.publish(Bool(data=False))
    time.sleep(0.3)
    assert cell.driver._emergency.raised, "lowered by somebody's default"
    assert cell.angle("waist") == pytest.approx(0.0, abs=0.01)
    assert cell.operator.fault == ""  # not this arm's fault
    cell.operator.stop_state.publish(Bool(data=False))
    wait(lambda: abs(cell.angle("waist") - 0.2) < 0.01, "the arm to follow again")
    wait(lambda: cell.operator.obeyed[-1] is False, "the driver to say that it obeys no more")


def test_the_state_of_the_stop_raises_it_too(cell: Cell) -> None:
    cell.operator.stop_state.publish(Bool(data=True))
    wait(lambda: "emergency stop" in cell.operator.diagnostic("commands"), "the stop in the diagnostics")


def test_a_stop_raised_before_activation_is_remembered(cell: Cell) -> None:
    cell.driver.stop()
    cell.operator.stop.publish(Bool(data=True))
    wait(lambda: cell.driver._emergency.raised, "the stop")
    assert cell.driver.start()
    assert "emergency stop" in cell.operator.diagnostic("commands")


def test_an_overload_is_told_and_a_restart_of_the_motor_brings_the_arm_back(cell: Cell) -> None:
    with cell.line.lock:
        cell.line.chain.motor(9).fail(32)
    wait(lambda: "motor 9 (gripper): overload" in cell.operator.fault, "the fault")
    assert "call /arm_driver/reboot_motors" in cell.operator.fault
    cell.operator.stream = {"waist": 0.2}
    time.sleep(0.2)
    assert cell.angle("waist") == pytest.approx(0.0, abs=0.01)
    cell.operator.stream = {}
    answer = cell.operator.call("reboot_motors")
    assert answer.success, answer.message
    wait(lambda: cell.operator.fault == "", "the end of the fault")
    assert all(motor.torque for motor in cell.line.chain.motors)
    assert cell.line.chain.motor(9).registers.get("goal_current") == 200
    cell.operator.stream = {"waist": 0.2}
    wait(lambda: abs(cell.angle("waist") - 0.2) < 0.01, "the arm to follow again")


def test_a_hardware_error_of_a_shadow_is_noticed(cell: Cell) -> None:
    with cell.line.lock:
        cell.line.chain.motor(3).fail(4)
    wait(lambda: "motor 3 (shoulder): overheating" in cell.operator.fault, "the fault")


def test_a_silent_motor_stops_the_states_and_its_return_brings_them_back(cell: Cell) -> None:
    cell.line.chain.removed.add(6)
    wait(lambda: "motor 6 (forearm_roll) silent" in cell.operator.fault, "the fault")
    wait(lambda: cell.operator.newest[f"{ARM}/stale"].data, "the stale flag")
    time.sleep(0.1)
    count = cell.operator.states
    time.sleep(0.3)
    assert cell.operator.states == count  # no pose is made up
    assert "silent" in cell.operator.diagnostic("bus")
    cell.line.chain.removed.clear()
    wait(lambda: cell.operator.fault == "" and cell.operator.states > count, "the arm's return")
    assert not cell.operator.newest[f"{ARM}/stale"].data


def test_a_motor_that_lost_its_power_does_not_come_back_by_itself(cell: Cell) -> None:
    cell.line.chain.removed.add(6)
    wait(lambda: "silent" in cell.operator.fault, "the fault")
    with cell.line.lock:
        cell.line.chain.motor(6).power_up()
        cell.line.chain.removed.clear()
    wait(lambda: "[6] lost their torque" in cell.operator.fault, "the remedy")
    assert not cell.line.chain.motor(6).torque
    assert cell.operator.call("reboot_motors").success
    wait(lambda: cell.operator.fault == "", "the end of the fault")
    assert cell.line.chain.motor(6).torque


def test_a_pulled_cable_is_told_and_the_arm_comes_back_holding(cell: Cell) -> None:
    cell.operator.stream = {"waist": 0.2}
    wait(lambda: abs(cell.angle("waist") - 0.2) < 0.01, "the waist at 0.2 rad")
    cell.line.unplug()
    wait(lambda: "Plug" in cell.operator.fault, "the fault")
    cell.operator.stream = {}
    cell.line.plug()
    wait(lambda: cell.operator.fault == "", "the reconnection")
    assert all(motor.torque for motor in cell.line.chain.motors)
    assert cell.angle("waist") == pytest.approx(0.2, abs=0.01)
    cell.operator.stream = {"waist": 0.0}
    wait(lambda: abs(cell.angle("waist")) < 0.01, "the arm to follow again")


def test_a_fault_of_the_other_arm_stops_this_one(cell: Cell) -> None:
    cell.operator.partner.publish(String(data="motor 4 (elbow): overload"))
    wait(lambda: "follower_right: motor 4" in cell.operator.diagnostic("commands"), "the partner's fault")
    cell.operator.stream = {"waist": 0.2}
    time.sleep(0.2)
    assert cell.angle("waist") == pytest.approx(0.0, abs=0.01)
    assert cell.operator.fault == ""
    cell.operator.partner.publish(String(data=""))
    wait(lambda: abs(cell.angle("waist") - 0.2) < 0.01, "the arm to follow again")


def test_an_arm_whose_partner_dies_without_a_word_holds_until_it_is_back(cell: Cell) -> None:
    partner = Heart(cell.operator)
    cell.operator.stream = {"waist": 0.1}
    wait(lambda: abs(cell.angle("waist") - 0.1) < 0.01, "the waist at 0.1 rad")
    partner.stop()
    wait(lambda: "follower_right: its driver fell silent" in cell.operator.diagnostic("commands"), "the silence")
    cell.operator.stream = {"waist": 0.2}
    time.sleep(0.3)
    assert cell.angle("waist") == pytest.approx(0.1, abs=0.01)
    assert cell.operator.fault == ""  # not this arm's
    partner = Heart(cell.operator)
    wait(lambda: abs(cell.angle("waist") - 0.2) < 0.01, "the arm to follow again")
    cell.driver.stop()  # before the partner falls silent: the next test knows none
    partner.stop()


def test_a_command_without_a_stamp_is_refused_with_what_is_missing(
    cell: Cell, capfd: pytest.CaptureFixture[str]
) -> None:
    before = int(cell.operator.diagnostic("commands", "refused"))
    cell.operator.commands.publish(JointState(name=["waist"], position=[0.1]))
    wait(lambda: int(cell.operator.diagnostic("commands", "refused")) > before, "the refusal")
    assert "put the time of sending into header.stamp" in capfd.readouterr().err
    assert cell.angle("waist") == pytest.approx(0.0, abs=0.01)


def test_torque_is_only_switched_off_in_the_sleep_pose(cell: Cell) -> None:
    refused = cell.operator.call("set_torque", SetBool.Request(data=False))
    assert not refused.success
    assert "it would fall" in refused.message and "go_to_sleep" in refused.message
    answer = cell.operator.call("go_to_sleep")
    assert answer.success, answer.message
    assert cell.angle("shoulder") == pytest.approx(-1.83, abs=0.02)
    assert cell.operator.call("set_torque", SetBool.Request(data=False)).success
    assert not any(motor.torque for motor in cell.line.chain.motors)
    wait(lambda: "torque is off" in cell.operator.fault, "the reason it does not move")
    assert cell.operator.call("set_torque", SetBool.Request(data=True)).success
    assert all(motor.torque for motor in cell.line.chain.motors)
    wait(lambda: cell.operator.fault == "", "the end of the reason")


def test_a_move_is_refused_while_commands_come_in_and_ends_with_a_stop(cell: Cell) -> None:
    cell.operator.stream = {"waist": 0.1}
    wait(lambda: abs(cell.angle("waist") - 0.1) < 0.01, "the waist at 0.1 rad")
    assert "joint commands are coming in" in cell.operator.call("go_to_start").message
    cell.operator.stream = {}
    time.sleep(0.5)
    timer = threading.Timer(0.3, cell.operator.stop.publish, (Bool(data=True),))
    timer.start()
    answer = cell.operator.call("go_to_sleep")
    assert not answer.success
    assert "the emergency stop is raised" in answer.message


def test_a_pose_that_is_not_reached_is_refused_with_how_far_the_arm_is_from_it(cell: Cell) -> None:
    cell.line.chain.joints["shoulder"].low = -1.83 + 0.3
    answer = cell.operator.call("go_to_sleep")
    assert not answer.success
    assert answer.message == "follower_left: 0.30 rad short of its sleep pose. Is something in the way?"


def test_deactivation_leaves_a_loaded_arm_at_its_setpoint_and_not_below(cell: Cell) -> None:
    cell.line.chain.joints["waist"].high = 0.08  # as if a load held it there
    cell.operator.stream = {"waist": 0.1}
    wait(lambda: abs(cell.goal("waist") - 0.1) < 1e-3, "the command to be followed")
    cell.operator.stream = {}
    loop = cell.driver._loop
    assert loop is not None
    setpoints = loop.setpoints
    wait(lambda: setpoints.mode is Mode.HOLD and setpoints._still > SETTLED, "an arm at rest")
    assert cell.goal("waist") == pytest.approx(0.1, abs=1e-3)
    assert cell.driver.trigger_deactivate()
    assert cell.angle("waist") == pytest.approx(0.08, abs=1e-3)
    assert cell.goal("waist") == pytest.approx(0.1, abs=1e-3)


def test_deactivation_leaves_the_arm_held_in_every_round(cell: Cell) -> None:
    for _ in range(3):
        assert cell.driver.trigger_deactivate()
        assert all(motor.torque for motor in cell.line.chain.motors)
        assert all(motor.registers.get("bus_watchdog") == 0 for motor in cell.line.chain.motors)
        wait(lambda: cell.operator.fault == "the driver is not active", "the reason it does not move")
        assert "Activate it first" in cell.operator.call("go_to_start").message
        assert cell.driver.trigger_activate()
        wait(lambda: cell.operator.fault == "", "the driver")
