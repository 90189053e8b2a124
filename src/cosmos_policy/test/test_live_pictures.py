"""What a page that nobody looks at yet is given: pictures as old as its plan, and marks on sources that are silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from planner_fakes import small_contract
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from robot_messages import image, joint_state
from sensor_msgs.msg import Image, JointState

from aloha_nodes.qos import REPORTS, SENSOR_DATA
from aloha_nodes.spinning import spinning
from cosmos_policy.live_view_node import LiveViewNode
from cosmos_policy.monitor.account import Account
from cosmos_policy.plan_messages import jpeg_message
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.tiles import CAPTION
from cosmos_policy_msgs.msg import ActionChunk, PlanReport

PATIENCE = 30.0  # [s]


class FakePage:
    """A page without a server: keeps what it was given. It stands for its own panel and scene."""

    def __init__(self) -> None:
        self.is_looked_at = False
        self.panel = self.scene = self
        self.imagined: NDArray[np.uint8] | None = None
        self.silences: dict[str, float | None] = {}
        self.silent: tuple[str, ...] = ()

    def show_plan(self, *_: Any) -> None:
        """Nothing looks at plans here."""

    show_joints = show_camera = close = show_plan

    def show_imagined(self, pixels: NDArray[np.uint8]) -> None:
        self.imagined = pixels

    def show_state(self, account: Account) -> None:
        self.silent = account.silent

    def show_silence(self, name: str, seconds: float | None) -> None:
        self.silences[name] = seconds


class Robot(Node):
    """Sends what it is told to."""

    def __init__(self, contract: Embodiment, context: Context) -> None:
        super().__init__("robot", context=context)
        self._contract = contract
        self._cameras = [self.create_publisher(Image, c.topic, SENSOR_DATA) for c in contract.cameras]
        self._arms = [self.create_publisher(JointState, arm.state_topic, SENSOR_DATA) for arm in contract.arms]
        self._reports = self.create_publisher(PlanReport, "/plan_report", REPORTS)

    def look(self, shade: int) -> None:
        """Send a picture of one shade from every camera."""
        for camera, publisher in zip(self._contract.cameras, self._cameras, strict=True):
            publisher.publish(image(camera, self.get_clock().now(), shade))

    def feel(self) -> None:
        """Send the arms' joint states."""
        for arm, publisher in zip(self._contract.arms, self._arms, strict=True):
            publisher.publish(joint_state(arm, self.get_clock().now()))

    def plan(self) -> None:
        """Report a plan with imagined pictures."""
        names = list(self._contract.joint_names)
        chunk = ActionChunk(joint_names=names, horizon=2, positions=[0.0] * 2 * len(names))
        imagined = [jpeg_message(np.zeros((8, 8, 3), np.uint8), "")] * len(self._contract.cameras)
        self._reports.publish(PlanReport(candidates=[chunk], candidate_values=[0.5], imagined_images=imagined))


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Robot, FakePage]]:
    """A live view with a page that is no server, and a robot."""
    contract = small_contract()
    file = tmp_path_factory.mktemp("contract") / "small.yaml"
    file.write_text(contract.to_yaml())
    context = Context()
    context.init()
    view = LiveViewNode(context=context, parameter_overrides=[Parameter("embodiment", value=str(file))])
    robot, page = Robot(contract, context), FakePage()
    view.configure()
    view._page = page
    with spinning(view, robot, threads=2):
        yield robot, page
    context.try_shutdown()


def wait_for(holds: Callable[[], bool], repeat: Callable[[], None]) -> None:
    """Repeat something until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        repeat()
        time.sleep(0.1)


def test_the_pictures_beside_a_plan_are_not_those_of_an_earlier_one(around: tuple[Robot, FakePage]) -> None:
    robot, page = around

    def seen(shade: int) -> bool:
        return page.imagined is not None and abs(int(page.imagined[2 * CAPTION + 60, 100, 0]) - shade) < 5

    for shade in (60, 200):
        wait_for(lambda shade=shade: seen(shade), lambda shade=shade: (robot.look(shade), robot.plan()))


def test_cameras_and_arms_that_fall_silent_are_marked(around: tuple[Robot, FakePage]) -> None:
    robot, page = around
    page.is_looked_at = True
    wait_for(lambda: set(page.silences.values()) == {None} and not page.silent, lambda: (robot.look(100), robot.feel()))
    wait_for(lambda: all(page.silences.values()), robot.feel)
    wait_for(lambda: len(page.silent) == 2, lambda: None)
    assert page.silent[0].startswith("no joint states of follower_left for ")
