"""The live view in a real browser: what it shows, and what its buttons do to a real planner."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("viser", reason="viser is not installed: pip install viser")

from headless_browser import Browser, BrowserMissing
from PIL import Image
from planner_fakes import TASK, FakeGraph, small_contract
from rclpy.parameter import Parameter
from std_msgs.msg import Bool
from test_live_gate import free_port

from aloha_nodes.spinning import spinning
from cosmos_policy.emergency_stop_node import EmergencyStopNode
from cosmos_policy.live_view_node import LiveViewNode


def test_the_live_view_runs_without_torch() -> None:
    code = "import sys, cosmos_policy.live_view_node, cosmos_policy.live.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_an_address_the_network_reaches_is_refused_by_the_command_itself() -> None:
    command = [sys.executable, "-m", "cosmos_policy_core.cli", "view", "--host", "0.0.0.0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert "Give a token too" in ended.stderr


class Surroundings:
    """A planner, someone who owns the emergency stop, and a live view of both."""

    def __init__(self, graph: FakeGraph, browser: Browser, stop: EmergencyStopNode) -> None:
        self.graph, self.browser, self.stop = graph, browser, stop


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    try:
        browser = Browser("about:blank", tmp_path_factory.mktemp("browser"))
    except BrowserMissing as missing:
        pytest.skip(str(missing))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def around(browser: Browser) -> Iterator[Surroundings]:
    graph, port = FakeGraph(small_contract()), free_port()
    graph.executor.chunk_seconds = 100.0  # until a test ends it
    graph.policy.values = lambda candidate: 0.9 + 0.01 * candidate
    stop = EmergencyStopNode(context=graph.context)
    chosen = {"embodiment": str(graph._contract_file), "port": port, "instruction": TASK}
    view = LiveViewNode(
        context=graph.context, parameter_overrides=[Parameter(name, value=value) for name, value in chosen.items()]
    )
    with spinning(view, stop, threads=2), graph.planner():
        assert view.start()
        browser.open(f"http://127.0.0.1:{port}/")
        try:
            yield Surroundings(graph, browser, stop)
        finally:
            view.stop()
    graph.close()


def test_a_task_is_started_watched_and_ends_with_a_reason(around: Surroundings) -> None:
    around.browser.wait_for("idle")
    around.browser.click("Start")
    around.browser.wait_for("the task was accepted.")
    around.browser.wait_for("executing, plan 0")
    around.graph.robot.success.publish(Bool(data=True))
    words = around.browser.wait_for("succeeded")
    assert "value 0.930, candidate 3 of 4" in words
    around.graph.robot.success.publish(Bool(data=False))


def test_every_candidate_and_the_choice_stand_beside_the_timeline(around: Surroundings) -> None:
    around.browser.click("Plans")
    words = around.browser.wait_for("0.930 chosen")
    assert all(value in words for value in ("0.900", "0.910", "0.920"))
    assert "value of each plan" in words


def test_a_running_task_is_cancelled(around: Surroundings) -> None:
    around.browser.click("Start")
    around.browser.wait_for("executing, plan 0")
    around.browser.click("Cancel")
    around.browser.wait_for("cancelled by the client")


def test_the_stop_is_raised_at_one_click_and_released_at_two(around: Surroundings) -> None:
    around.browser.click("EMERGENCY STOP")
    around.browser.wait_for("RAISED: the arms hold")
    assert around.stop.reason
    around.browser.click("Release the stop ...")
    around.browser.wait_for("Is the cause cleared")
    assert around.stop.reason
    around.browser.click("Release")
    around.browser.wait_for("not raised")
    assert not around.stop.reason


def test_nothing_is_loaded_from_elsewhere(around: Surroundings) -> None:
    hosts = {urlsplit(url).hostname for url in around.browser.requested if not url.startswith(("blob:", "data:"))}
    assert hosts - {None} == {"127.0.0.1"}


def test_the_robot_is_drawn(around: Surroundings) -> None:
    try:
        picture = around.browser.screenshot()
    except TimeoutError:
        pytest.skip("this machine is too busy to draw a page without a GPU")
    middle = picture[150:550, 320:640].reshape(-1, 3).astype(int)
    wooden = (middle[:, 0] > 150) & (middle[:, 0] > middle[:, 2])
    assert wooden.mean() > 0.05, "the table is not to be seen"
    if folder := os.environ.get("SCREENSHOTS"):
        Image.fromarray(picture).save(Path(folder) / "live_view.png")
