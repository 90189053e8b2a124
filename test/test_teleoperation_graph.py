"""Teleoperation as a person starts it, with a rehearsed leader and the simulated cell: real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from aloha_nodes.spinning import SpinningThread
from cosmos_policy.run_task import wait_for
from cosmos_policy.stop_command import main as emergency_stop

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
PAIRS = (("leader_left", "follower_left"), ("leader_right", "follower_right"))
ARM = slice(0, 6)  # without the gripper, which turns through other angles

pytestmark = pytest.mark.timeout(120)


class Watcher:
    """What a person sees: joints of all arms, and what teleoperation says."""

    def __init__(self) -> None:
        self.joints: dict[str, np.ndarray] = {}
        self.state = ""
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node("watcher", context=self._context)
        for arm in (name for pair in PAIRS for name in pair):
            self._node.create_subscription(
                JointState, f"/{arm}/joint_states", lambda message, arm=arm: self._keep(arm, message), 1
            )
        self._node.create_subscription(String, "/teleop/state", self._say, LATCHED)
        self._stop = self._node.create_publisher(Bool, "/emergency_stop", 1)  # as `ros2 topic pub` does
        self._calls = {name: self._node.create_client(Trigger, f"/teleop/{name}") for name in ("pause", "resume")}
        self._spinning = SpinningThread(self._node, context=self._context)

    def call(self, name: str) -> Trigger.Response:
        assert self._calls[name].wait_for_service(20.0)
        return wait_for(self._calls[name].call_async(Trigger.Request()), 20.0, name)

    def stop(self, raised: bool) -> None:
        self._stop.publish(Bool(data=raised))

    def gap(self) -> float:
        """Largest distance of a follower from its leader [rad]."""
        return max(float(np.abs(self.joints[a][ARM] - self.joints[b][ARM]).max()) for a, b in PAIRS)

    def until(self, condition: Callable[[], bool], timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.state
            if "s old;" in self.state:  # this machine stood still; a person would go on
                self.call("resume")
            time.sleep(0.02)

    def close(self) -> None:
        self._spinning.stop()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _keep(self, arm: str, message: JointState) -> None:
        self.joints[arm] = np.array(message.position[:7])

    def _say(self, message: String) -> None:
        self.state = message.data


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    log = (tmp_path_factory.mktemp("teleop") / "graph.log").open("wb")
    words = ["aloha_teleop", "robot:=sim", "leader:=scripted"]
    graph = subprocess.Popen(
        [sys.executable, "-m", "cosmos_policy.launcher", *words], stdout=log, stderr=subprocess.STDOUT
    )
    watcher = Watcher()
    try:
        watcher.until(lambda: watcher.state == "following" and len(watcher.joints) == 4, 90.0)
        yield watcher
    finally:
        graph.send_signal(signal.SIGINT)
        graph.wait(15.0)
        watcher.close()
        print(Path(log.name).read_text())


def test_followers_follow(watcher: Watcher) -> None:
    start = watcher.joints["follower_left"].copy()
    watcher.until(lambda: np.abs(watcher.joints["follower_left"] - start)[ARM].max() > 0.1)
    assert watcher.gap() < 0.15


def test_a_pause_holds_the_followers_and_resuming_brings_them_back(watcher: Watcher) -> None:
    assert watcher.call("pause").success
    watcher.until(lambda: watcher.state.startswith("paused: paused by the operator"))
    time.sleep(0.5)
    held = watcher.joints["follower_left"].copy()
    watcher.until(lambda: watcher.gap() > 0.15)
    assert watcher.joints["follower_left"][ARM] == pytest.approx(held[ARM], abs=0.02)
    assert watcher.call("resume").success
    watcher.until(lambda: watcher.state == "following")
    watcher.until(lambda: watcher.gap() < 0.15)


def test_an_emergency_stop_holds_the_followers_until_it_is_released_and_resumed(watcher: Watcher) -> None:
    watcher.stop(True)
    watcher.until(lambda: "emergency stop" in watcher.state)
    watcher.stop(False)  # no release
    refusal = watcher.call("resume")
    assert not refusal.success and "release it first" in refusal.message
    assert emergency_stop(["release"]) == 0
    watcher.until(lambda: watcher.call("resume").success)
    watcher.until(lambda: watcher.state == "following")
