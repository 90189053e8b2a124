"""The whole graph with real processes: it plans, executes, cancels, replaces, refuses, and ends.

One bring-up serves all tests of this module; they run in the order in which they stand here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest
from policies import INSTRUCTION, tiny_policy

from aloha_nodes.qos import REPORTS
from cosmos_policy.demo.main import main as demo
from cosmos_policy.run_task import Commander, TaskOutcome
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_msgs.action import ExecuteChunk, RunTask
from cosmos_policy_msgs.msg import PlanReport
from graph_client import GraphClient
from graph_processes import Processes

Result = ExecuteChunk.Result
WAIST = "follower_left/waist"
SECONDS_TO_END = 5.0

pytestmark = pytest.mark.timeout(180)


@dataclass
class Graph:
    """The running graph and its clients, and how the task sent before it was complete went."""

    parts: list[Processes]
    commander: Commander
    client: GraphClient
    contract: Embodiment
    reports: list[PlanReport]
    waited_for: set[str] = field(default_factory=set)
    first_outcome: TaskOutcome | None = None

    def waits_for(self, what: str) -> bool:
        """Whether the first task ever said that it waits for something."""
        return any(what in reason for reason in tuple(self.waited_for))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real checkpoint with random weights, whose actions stay within 0.05 of the start pose."""
    policy = tiny_policy()
    start = Embodiment.load("aloha_sim").start_action
    near = np.stack([start - 0.05, start + 0.05])
    policy.statistics = Statistics.of(near, near)
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save_policy(policy, folder)
    return folder


@pytest.fixture(scope="module")
def graph(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Bring the graph up in the unlikely order: the task comes first, then the policy, then the robot."""
    logs = tmp_path_factory.mktemp("logs")
    contract = Embodiment.load("aloha_sim")
    arguments = {"checkpoint": str(checkpoint), "device": "cpu", "candidates": "2", "futures": "1", "values": "2"}
    patient = {"planner": {"observation_timeout": 90.0, "server_timeout": 90.0}, "policy": {"threads": 1}}
    with Commander("test_commander") as commander, GraphClient(contract) as client:
        reports: list[PlanReport] = []
        commander.node.create_subscription(PlanReport, "/plan_report", reports.append, REPORTS)
        first = Processes(arguments, ["planner", "chunk_executor"], patient, logs / "first.log")
        graph = Graph([first], commander, client, contract, reports)
        try:
            commander.wait_for_planner(60.0)
            task = threading.Thread(target=_send_first_task, args=(graph,), daemon=True)
            task.start()
            _until(lambda: graph.waits_for("/policy/propose_chunks: not there yet"))
            graph.parts.append(Processes(arguments, ["policy"], patient, logs / "second.log"))
            _until(lambda: graph.waits_for("waiting for /cam_high/image_raw: no frame yet"))
            graph.parts.append(Processes(arguments, ["sim"], patient, logs / "third.log"))
            task.join(90.0)
            yield graph
        finally:
            for part in graph.parts:
                part.interrupt()
            for part in graph.parts:
                part.close()


def _send_first_task(graph: Graph) -> None:
    graph.first_outcome = graph.commander.run_task(
        INSTRUCTION, max_chunks=1, on_feedback=lambda feedback: graph.waited_for.add(feedback.waiting_for)
    )


def _until(condition: Callable[[], bool], timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def reset(graph: Graph) -> Graph:
    """The graph with the cell in its start state."""
    graph.commander.reset_cell(seed=3)
    return graph


def test_nodes_may_start_in_any_order_and_the_task_says_whom_it_waits_for(graph: Graph) -> None:
    assert graph.first_outcome is not None, "\n".join(part.log for part in graph.parts)
    assert graph.first_outcome.termination == RunTask.Result.BUDGET_SPENT, graph.first_outcome.message
    assert graph.waits_for("/policy/propose_chunks: not there yet")
    assert graph.waits_for("waiting for /cam_high/image_raw: no frame yet")
    assert graph.first_outcome.chunks_executed == 1


def test_every_plan_is_reported_whole(graph: Graph) -> None:
    report = graph.reports[-1]
    assert report.planner == PlanReport.BEST_OF_N
    assert len(report.candidates) == len(report.scores) == 2
    assert np.isfinite(report.candidate_values).all()
    assert report.policy_checkpoint.startswith("tiny@")


def test_a_chunk_is_executed_on_the_arms(reset: Graph) -> None:
    result = reset.client.execute(reset.client.chunk(WAIST, 0.3), steps=50)
    assert (result.termination, result.message, result.steps_executed) == (Result.COMPLETED, "", 50)
    moved = reset.client.pose() - reset.contract.start_action
    assert moved[reset.contract.joint_names.index(WAIST)] == pytest.approx(0.3, abs=0.03)


def test_a_cancelled_chunk_leaves_the_arms_where_they_are(reset: Graph) -> None:
    running = reset.client.send(reset.client.chunk(WAIST, 0.4))
    running.wait_until_it_moves()
    running.cancel()
    result = running.result()
    assert result.termination == Result.CANCELLED
    assert 0 < result.steps_executed < 50
    time.sleep(0.5)
    held = reset.client.pose()
    time.sleep(0.5)
    np.testing.assert_allclose(reset.client.pose(), held, atol=0.01)
    assert abs(held[0] - reset.contract.start_action[0]) < 0.39


def test_a_second_chunk_replaces_the_first(reset: Graph) -> None:
    back = reset.client.chunk(WAIST, 0.0)
    running = reset.client.send(reset.client.chunk(WAIST, 0.3))
    running.wait_until_it_moves()
    result = reset.client.execute(back)
    assert running.result().termination == Result.REPLACED
    assert result.termination == Result.COMPLETED
    np.testing.assert_allclose(reset.client.pose()[0], reset.contract.start_action[0], atol=0.03)


@pytest.mark.parametrize("reason", ["BAD_NUMBERS", "BAD_JOINTS", "BAD_LENGTH", "STALE", "TOO_FAR"])
def test_a_bad_chunk_is_refused_and_nothing_moves(reset: Graph, reason: str) -> None:
    chunk = reset.client.chunk(WAIST, 0.3)
    if reason == "BAD_NUMBERS":
        chunk.positions[20] = float("nan")
    elif reason == "BAD_JOINTS":
        chunk.joint_names = chunk.joint_names[::-1]
    elif reason == "BAD_LENGTH":
        chunk.positions = chunk.positions[:-14]
    elif reason == "STALE":
        chunk.observation_stamp.sec -= 60
    else:
        chunk.positions[0] += 1.0
    before = reset.client.pose()
    result = reset.client.execute(chunk)
    assert result.termination == getattr(Result, reason), result.message
    assert result.message
    np.testing.assert_allclose(reset.client.pose(), before, atol=5e-3)


def test_an_unknown_instruction_ends_the_task_with_the_known_ones(reset: Graph) -> None:
    outcome = reset.commander.run_task("dance", max_chunks=1)
    assert outcome.termination == RunTask.Result.UNKNOWN_INSTRUCTION
    assert INSTRUCTION in outcome.message


def test_a_cancelled_task_leaves_no_chunk_running(reset: Graph) -> None:
    executing = threading.Event()
    ended: list[TaskOutcome] = []

    def follow(feedback: RunTask.Feedback) -> None:
        if feedback.phase == RunTask.Feedback.EXECUTING and feedback.step > 2:
            executing.set()

    def work() -> None:
        ended.append(reset.commander.run_task(INSTRUCTION, max_chunks=5, on_feedback=follow))

    task = threading.Thread(target=work, daemon=True)
    task.start()
    assert executing.wait(30.0)
    reset.commander.cancel()
    task.join(10.0)
    assert ended[0].termination == RunTask.Result.CANCELLED
    # With nothing running, a chunk that may not replace another one is accepted.
    chunk = reset.client.chunk(WAIST, 0.0)
    assert reset.client.send(chunk, 5, ExecuteChunk.Goal.REJECT_IF_BUSY).result().termination == Result.COMPLETED


def test_the_demo_leaves_a_video_a_timeline_and_an_honest_summary(
    reset: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = demo(["--attach", "--seed", "3", "--max-chunks", "1", "--output", str(tmp_path), "--json"])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 1  # random weights do not transfer a cube
    assert (summary["succeeded"], summary["termination"], summary["seed"]) == (False, "BUDGET_SPENT", 3)
    assert summary["plans"] == summary["chunks_executed"] == 1
    with av.open(summary["files"]["video"]) as video:
        frames = sum(1 for _ in video.decode(video=0))
    assert frames > 25 * reset.contract.executed_steps * reset.contract.period
    assert Path(summary["files"]["timeline"]).read_bytes().startswith(b"\x89PNG")


def test_ctrl_c_ends_every_process_in_time_and_without_a_traceback(graph: Graph) -> None:
    for part in graph.parts:
        part.interrupt()
    for part in graph.parts:
        assert part.wait() <= SECONDS_TO_END
    for part in graph.parts:
        assert part.process.returncode == 0, part.log
        assert "Traceback" not in part.log
