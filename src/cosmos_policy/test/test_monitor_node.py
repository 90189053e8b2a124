"""The monitor beside a real planner: what it publishes is what the planner decided."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from planner_fakes import TASK, FakeGraph, small_contract
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Bool
from unique_identifier_msgs.msg import UUID
from visualization_msgs.msg import Marker, MarkerArray

from aloha_nodes.qos import LATCHED
from aloha_nodes.spinning import spinning
from cosmos_policy.monitor import topics
from cosmos_policy.monitor_node import MonitorNode
from cosmos_policy.plan_messages import jpeg_message
from cosmos_policy.run_task import Commander
from cosmos_policy_msgs.msg import ActionChunk, PlanReport

PATIENCE = 20.0  # [s]


class Watcher(Node):
    """Keeps the newest message of every topic of the monitor."""

    def __init__(self, context: Any) -> None:
        super().__init__("watcher", context=context)
        self.seen: dict[str, Any] = {}
        self._changed = threading.Condition()
        kinds = dict.fromkeys((topics.PLAN, topics.CANDIDATES, topics.STATUS), MarkerArray)
        for topic, kind in {**kinds, topics.IMAGINED: Image}.items():
            self.create_subscription(kind, topic, lambda message, topic=topic: self._keep(topic, message), LATCHED)

    def _keep(self, topic: str, message: Any) -> None:
        with self._changed:
            self.seen[topic] = message
            self._changed.notify_all()

    def wait(self, topic: str, fits: Callable[[Any], bool] = lambda message: True) -> Any:
        """Return the newest message of a topic as soon as it fits."""
        with self._changed:
            assert self._changed.wait_for(lambda: topic in self.seen and fits(self.seen[topic]), PATIENCE), (
                f"{topic}: {self.seen.get(topic)}"
            )
            return self.seen[topic]

    def wait_for_words(self, words: str) -> str:
        """Return the text of the state as soon as it has some words in it."""
        return self.wait(topics.STATUS, lambda message: words in message.markers[0].text).markers[0].text


@pytest.fixture(scope="module")
def graph() -> Iterator[FakeGraph]:
    graph = FakeGraph(small_contract())
    graph.executor.chunk_seconds = 0.3
    yield graph
    graph.close()


@pytest.fixture(scope="module")
def watcher(graph: FakeGraph) -> Iterator[Watcher]:
    """A monitor that runs, and who looks at it."""
    contract = Parameter("embodiment", value=str(graph._contract_file))
    rate = Parameter("status_rate", value=20.0)
    monitor = MonitorNode(context=graph.context, parameter_overrides=[contract, rate])
    watcher = Watcher(graph.context)
    with spinning(monitor, watcher, threads=2):
        assert monitor.start()
        yield watcher
        monitor.stop()


@pytest.fixture(scope="module")
def carried_out(graph: FakeGraph, watcher: Watcher) -> Iterator[None]:
    """A task of one chunk."""
    graph.policy.values = lambda candidate: 0.1 * candidate
    with graph.planner(), Commander(context=graph.context) as commander:
        commander.run_task(TASK, max_chunks=1, timeout=PATIENCE)
        yield


def test_it_says_that_nothing_has_happened_yet(watcher: Watcher) -> None:
    words = watcher.wait_for_words("phase: idle")
    assert "plan: none yet" in words
    assert "emergency stop: unknown" in words


def test_a_task_is_over_when_its_planner_is_gone(graph: FakeGraph, watcher: Watcher) -> None:
    goal, identity = GoalStatusArray(), UUID(uuid=list(range(16)))
    goal.status_list = [GoalStatus(goal_info=GoalInfo(goal_id=identity), status=GoalStatus.STATUS_EXECUTING)]
    publisher = watcher.create_publisher(GoalStatusArray, "/run_task/_action/status", LATCHED)
    publisher.publish(goal)
    watcher.wait_for_words("phase: starting")
    assert "phase: idle" in watcher.wait_for_words("the planner is gone: nobody serves /run_task")


def test_a_plan_is_drawn_as_paths_of_both_grippers(watcher: Watcher, carried_out: None) -> None:
    candidates = watcher.wait(topics.CANDIDATES)
    assert sum(marker.type == Marker.LINE_STRIP and len(marker.points) > 0 for marker in candidates.markers) == 8
    chosen = watcher.wait(topics.PLAN)
    assert {marker.ns for marker in chosen.markers if marker.ns} == {"follower_left", "follower_right"}


def test_the_end_of_the_task_and_its_reason_are_told_without_being_its_client(
    watcher: Watcher, carried_out: None
) -> None:
    words = watcher.wait_for_words("budget spent")
    assert f"task: {TASK}" in words
    assert "value 0.300, candidate 3 of 4" in words


def test_a_stop_is_told_as_soon_as_it_is_raised(graph: FakeGraph, watcher: Watcher) -> None:
    graph.robot.stop.publish(Bool(data=True))
    watcher.wait_for_words("emergency stop: RAISED")
    graph.robot.stop.publish(Bool(data=False))
    watcher.wait_for_words("emergency stop: not raised")


def test_imagined_images_are_shown_where_the_planner_reports_them(
    graph: FakeGraph, watcher: Watcher, carried_out: None
) -> None:
    assert topics.IMAGINED not in watcher.seen
    report = graph.reports[-1]
    report.imagined_images = [jpeg_message(np.zeros((8, 8, 3), np.uint8), "") for _ in range(3)]
    publisher = watcher.create_publisher(PlanReport, "/plan_report", 1)
    assert _matched(publisher)
    publisher.publish(report)
    picture = watcher.wait(topics.IMAGINED)
    assert (picture.encoding, picture.width) == ("rgb8", 3 * 240)


def test_a_report_that_contradicts_itself_is_named_and_does_no_harm(
    graph: FakeGraph, watcher: Watcher, carried_out: None
) -> None:
    publisher = watcher.create_publisher(PlanReport, "/plan_report", 1)
    assert _matched(publisher)
    publisher.publish(PlanReport(plan_index=9, chosen=5))
    watcher.wait_for_words("candidate 5 was chosen")


def test_a_plan_of_another_robot_is_named_and_does_no_harm(
    graph: FakeGraph, watcher: Watcher, carried_out: None
) -> None:
    names = [f"panda/joint{number}" for number in range(1, 8)]
    chunk = ActionChunk(joint_names=names, horizon=2, positions=[0.0] * 14)
    publisher = watcher.create_publisher(PlanReport, "/plan_report", 1)
    assert _matched(publisher)
    publisher.publish(PlanReport(plan_index=3, candidates=[chunk], candidate_values=[0.5]))
    watcher.wait_for_words("plan 3 moves 7 joints (panda/joint1, ...)")
    publisher.publish(graph.reports[0])
    watcher.wait_for_words("value 0.300")


def test_it_runs_without_torch() -> None:
    code = "import sys, cosmos_policy.monitor_node; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def _matched(publisher: Any) -> bool:
    ticker = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if publisher.get_subscription_count() >= 2:  # the monitor, and the graph's own listener
            return True
        ticker.wait(0.02)
    return False
