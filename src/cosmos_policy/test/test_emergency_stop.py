"""The one latch of a graph: anyone raises it, a person lowers it, and no restart loses it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from aloha_nodes.emergency_stop import OBEYED, SERVICE, STATE, TOPIC, EmergencyStop
from aloha_nodes.qos import LATCHED
from aloha_nodes.spinning import spinning
from cosmos_policy.answers import wait_for
from cosmos_policy.emergency_stop_node import EmergencyStopNode

PATIENCE = 20.0  # [s]
PLAIN = QoSProfile(depth=1)


def until(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE} s for {what}"
        time.sleep(0.005)


class Listener(Node):
    """Obeys the stop, as whoever moves an arm does, and can call its service."""

    def __init__(self, context: Context, obeys: bool = True) -> None:
        super().__init__("listener", context=context)
        self.changes: list[bool] = []
        self.stop = EmergencyStop(self, self.changes.append, obeys=obeys)
        self.client = self.create_client(SetBool, SERVICE)
        self.said: dict[str, str] = {}
        self.create_subscription(DiagnosticArray, "/diagnostics", self._keep, 10)

    def _keep(self, message: DiagnosticArray) -> None:
        self.said |= {status.name: status.message for status in message.status}

    def set(self, raised: bool) -> str:
        assert self.client.wait_for_service(PATIENCE)
        return str(wait_for(self.client.call_async(SetBool.Request(data=raised)), PATIENCE, SERVICE).message)

    def publish(self, topic: str, quality: QoSProfile, *values: bool) -> Any:
        """Say something on a topic that others listen to already."""
        publisher = self.create_publisher(Bool, topic, quality)
        until(lambda: publisher.get_subscription_count() > 0, f"listeners of {topic}")
        for value in values:
            publisher.publish(Bool(data=value))
        return publisher


@pytest.fixture
def context() -> Iterator[Context]:
    context = Context()
    rclpy.init(context=context)
    yield context
    context.try_shutdown()


@pytest.fixture
def listener(context: Context) -> Iterator[Listener]:
    listener = Listener(context)
    with spinning(listener):
        yield listener


@contextmanager
def owner(context: Context) -> Iterator[EmergencyStopNode]:
    node = EmergencyStopNode(context=context)
    with spinning(node):
        yield node


@pytest.mark.parametrize("quality", [LATCHED, PLAIN], ids=["latched", "plain"])
def test_any_publisher_raises_it_and_none_lowers_it(context: Context, listener: Listener, quality: QoSProfile) -> None:
    with owner(context) as node:
        until(lambda: listener.client.service_is_ready(), SERVICE)
        listener.publish(TOPIC, quality, True, False)
        until(lambda: node.reason and listener.stop.raised, "the stop")
        listener.publish(TOPIC, quality, False)
        until(lambda: "raised on /emergency_stop" in listener.said.get("emergency_stop", ""), "the diagnostics")
        assert node.reason and listener.changes == [True]
        assert listener.set(False).startswith("Released.")
        until(lambda: listener.changes == [True, False], "the release")
        until(lambda: listener.said["emergency_stop"] == "not raised", "the diagnostics")


def test_a_stop_is_heard_where_nobody_owns_it(listener: Listener) -> None:
    listener.publish(TOPIC, PLAIN, True)
    until(lambda: listener.stop.raised, "the stop")


def test_who_comes_later_hears_of_it(context: Context) -> None:
    with owner(context) as node:
        node._raise("for the test")
        late = Listener(context)
        with spinning(late):
            until(lambda: late.stop.raised, "the stop")


def test_an_owner_that_starts_anew_takes_the_stop_over_from_those_who_obey_it(
    context: Context, listener: Listener
) -> None:
    with owner(context):
        listener.set(True)
        until(lambda: listener.stop.raised, "the stop")
    with owner(context) as again:
        until(lambda: again.reason, "the stop to be taken over")
        assert "still obeyed" in again.reason
        assert listener.changes == [True], "lowered by a restart"
        assert listener.set(False) == "Released. Nothing moves until a new goal arrives."
        until(lambda: not listener.stop.raised, "the release")


def test_a_stop_the_owner_never_heard_of_can_be_released(context: Context) -> None:
    silent = Listener(context, obeys=False)
    with spinning(silent):
        silent.publish(TOPIC, PLAIN, True)
        until(lambda: silent.stop.raised, "the stop")
        with owner(context):
            assert "not raised here" in silent.set(False)
            until(lambda: not silent.stop.raised, "the release")


def test_who_hears_of_a_stop_after_its_end_is_told_again(context: Context, listener: Listener) -> None:
    with owner(context) as node:
        listener.set(True)
        listener.set(False)
        until(lambda: listener.changes[-1:] == [False], "the release")
        heard: list[bool] = []
        listener.create_subscription(Bool, STATE, lambda message: heard.append(message.data), PLAIN)
        node._released = time.monotonic() + PATIENCE  # the release was just now, however slow this machine is
        listener.publish(OBEYED, LATCHED, True)
        until(lambda: heard == [False], "the owner's word")
        assert not node.reason


def test_it_works_in_every_state_of_the_lifecycle_and_ends_on_ctrl_c(listener: Listener) -> None:
    command = [sys.executable, "-m", "cosmos_policy.emergency_stop_node", "--ros-args", "-p", "auto_start:=false"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        listener.set(True)
        until(lambda: listener.stop.raised, "the stop")
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "Traceback" not in errors, errors
    assert listener.stop.raised, "lowered by the end of its owner"
