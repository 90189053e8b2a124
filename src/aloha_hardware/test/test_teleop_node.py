"""The node of teleoperation on a real graph: what it tells the leaders, what pauses it, and what it says of itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: source it, or run through `make test`")

from arm_kit import START, wait  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402

from aloha_hardware.teleop.settings import TeleopSettings  # noqa: E402
from aloha_hardware.teleop_node import TeleopNode  # noqa: E402
from aloha_nodes.qos import LATCHED, SENSOR_DATA  # noqa: E402
from aloha_nodes.spinning import spinning  # noqa: E402

SETTINGS = TeleopSettings()
PATIENT = {"state_timeout": 1.0, "gravity_compensation": "balance"}
THINKING = 0.15  # [s] a leader takes to switch


class Cell(Node):
    """Four arms that stand still with closed grippers, leaders that may be balanced, and an operator."""

    def __init__(self) -> None:
        super().__init__("cell")
        self.alive = False
        self.heard: dict[str, list[bool]] = {leader: [] for leader in SETTINGS.leaders}
        self.refusals = 0
        self.told: DiagnosticStatus | None = None
        self._states = {
            arm: self.create_publisher(JointState, f"/{arm}/joint_states", SENSOR_DATA)
            for arm in (*SETTINGS.leaders, *SETTINGS.followers)
        }
        self.fault = self.create_publisher(String, "/follower_left/fault", LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_timer(0.02, self._publish)

    def serve(self, leader: str) -> None:
        """Let a leader be balanced from now on."""
        self.create_service(
            SetBool,
            f"/{leader}/balance",
            lambda request, response: self._balance(leader, request, response),
        )

    def diagnostic(self) -> tuple[bytes, str, str]:
        """Wait for the next report: (level, mode, message)."""
        self.told = None
        status = wait(lambda: self.told, "diagnostics of teleop")
        mode = next(pair.value for pair in status.values if pair.key == "mode")
        return status.level, mode, status.message

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self.create_client(kind, name)
        assert client.wait_for_service(15.0)
        future = client.call_async(request)
        wait(future.done, f"the answer of {name}")
        return future.result()

    def _balance(self, leader: str, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        time.sleep(THINKING)
        response.success = self.refusals == 0
        if response.success:
            self.heard[leader].append(request.data)
        else:
            self.refusals, response.message = self.refusals - 1, "not yet"
        return response

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.told = next((status for status in message.status if status.name == "teleop"), self.told)

    def _publish(self) -> None:
        for arm, publisher in self._states.items() if self.alive else ():
            closed = (SETTINGS.leader_gripper if arm in SETTINGS.leaders else SETTINGS.follower_gripper)[0]
            message = JointState(name=list(SETTINGS.joint_names), position=[*START.values(), closed])
            message.header.stamp = self.get_clock().now().to_msg()
            publisher.publish(message)


@pytest.fixture
def cell() -> Iterator[Cell]:
    rclpy.init()
    cell = Cell()
    with spinning(cell):
        yield cell
    rclpy.try_shutdown()


@pytest.fixture
def teleop(cell: Cell) -> Iterator[TeleopNode]:
    overrides = [Parameter(name, value=value) for name, value in (PATIENT | {"auto_start": False}).items()]
    node = TeleopNode(parameter_overrides=overrides)
    with spinning(node, threads=TeleopNode.threads):
        yield node
        node.stop()


def test_leaders_that_can_be_balanced_later_or_refuse_at_first_hear_it_once_they_can(
    cell: Cell, teleop: TeleopNode, capfd: pytest.CaptureFixture[str]
) -> None:
    early, late = SETTINGS.leaders
    cell.serve(early)
    cell.refusals = 1
    cell.alive = True
    assert teleop.start()
    wait(lambda: cell.heard[early], "the leader that refused at first")
    cell.serve(late)
    wait(lambda: cell.heard[late], "the leader that was served late")
    time.sleep(1.2)  # a confirmed leader is not asked again
    assert cell.heard == {early: [True], late: [True]}
    said = capfd.readouterr().err
    assert said.count(f"/{late}/balance: nobody serves it; it is set to true as soon as somebody does.") == 1
    assert said.count(f"/{early}/balance: refuses to be set to true (not yet).") == 1


def test_a_node_that_ends_waits_until_its_leaders_have_heard_that_they_are_out_of_use(
    cell: Cell, teleop: TeleopNode
) -> None:
    for leader in SETTINGS.leaders:
        cell.serve(leader)
    cell.alive = True
    assert teleop.start()
    wait(lambda: all(heard == [True] for heard in cell.heard.values()), "leaders in use")
    teleop.stop()  # as `run` does on SIGINT, just before it destroys the node
    assert all(heard == [True, False] for heard in cell.heard.values())


def test_deactivation_by_service_is_answered_after_the_leaders_have_heard_it(cell: Cell, teleop: TeleopNode) -> None:
    cell.serve(SETTINGS.leaders[0])
    cell.alive = True
    assert teleop.start()
    wait(lambda: cell.heard[SETTINGS.leaders[0]] == [True], "a leader in use")
    asked = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
    assert cell.call(ChangeState, "/teleop/change_state", asked).success
    assert cell.heard[SETTINGS.leaders[0]] == [True, False]


def test_a_fault_pauses_and_nobody_resumes_while_it_lasts(cell: Cell, teleop: TeleopNode) -> None:
    cell.alive = True
    assert teleop.start()
    wait(lambda: teleop._teleoperation.phase.value == "following", "followers that follow")
    cell.fault.publish(String(data="motor 4 (elbow): overload"))
    wait(lambda: teleop._teleoperation.phase.value == "paused", "the pause")
    refused = cell.call(Trigger, "/teleop/resume", Trigger.Request())
    assert (refused.success, refused.message) == (False, "follower_left: motor 4 (elbow): overload")
    cell.fault.publish(String(data=""))
    wait(lambda: not teleop._teleoperation.fault, "the end of the fault")
    assert teleop._teleoperation.phase.value == "paused"
    assert cell.call(Trigger, "/teleop/resume", Trigger.Request()).success
    wait(lambda: teleop._teleoperation.phase.value == "following", "followers that follow again")


def test_diagnostics_say_what_teleoperation_does_and_why(cell: Cell, teleop: TeleopNode) -> None:
    assert teleop.start()
    assert cell.diagnostic() == (
        DiagnosticStatus.WARN,
        "waiting",
        "leader_left: no joint states yet; start its driver",
    )
    cell.alive = True
    wait(lambda: teleop._teleoperation.phase.value == "following", "followers that follow")
    assert cell.diagnostic() == (DiagnosticStatus.OK, "following", "following")
    assert cell.call(Trigger, "/teleop/pause", Trigger.Request()).success
    words = "paused by the operator; call ~/resume to go on"
    assert cell.diagnostic() == (DiagnosticStatus.WARN, "paused", words)
    teleop.trigger_deactivate()
    assert cell.diagnostic() == (DiagnosticStatus.OK, "inactive", "inactive")
