"""Scorers in processes of their own share a plan's candidates; one is killed in the middle of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from planner_fakes import TASK, FakeGraph, small_contract, spinning
from policies import tiny_policy
from rclpy.parameter import Parameter

from cosmos_policy.plan_messages import scored_values
from cosmos_policy.policy_node import PolicyNode
from cosmos_policy.run_task import Commander
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_msgs.action import RunTask
from cosmos_policy_msgs.msg import PlanReport, ScorerShare
from cosmos_policy_msgs.srv import ScoreChunks

pytestmark = pytest.mark.timeout(180)

SCORERS = ("scorer_a", "scorer_b")
# Long enough that a process can be killed in the middle: many denoising steps of a tiny network.
PLAN = {"candidates": 4, "futures": 2, "values": 2, "future_steps": 40, "value_steps": 10, "depth": 2}


def until(condition: Callable[[], bool], timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the awaited never happened"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    policy, folder = tiny_policy(), tmp_path_factory.mktemp("checkpoint") / "tiny"
    policy.contract = small_contract()
    save_policy(policy, folder)
    return folder


@pytest.fixture(scope="module")
def scorers(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen]]:
    logs = tmp_path_factory.mktemp("logs")
    given = {"checkpoint": checkpoint, "embodiment": checkpoint / "embodiment.yaml", "device": "cpu", "threads": 1}
    parameters = [word for key, value in given.items() for word in ("-p", f"{key}:={value}")]
    command = [sys.executable, "-m", "cosmos_policy.scorer_node", "--ros-args", *parameters, "-r"]
    running = {
        name: subprocess.Popen([*command, f"__node:={name}"], stdout=(logs / name).open("wb"), stderr=subprocess.STDOUT)
        for name in SCORERS
    }
    yield running
    for process in running.values():
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def graph(checkpoint: Path, scorers: dict[str, subprocess.Popen]) -> Iterator[FakeGraph]:
    """Robot and executor are stand-ins; policy (here) and scorers (elsewhere) are the real nodes."""
    graph = FakeGraph(small_contract())
    given = {
        "checkpoint": str(checkpoint),
        "embodiment": str(checkpoint / "embodiment.yaml"),
        "device": "cpu",
        "threads": 1,
    }
    overrides = [Parameter(key, value=value) for key, value in given.items()]
    policy = PolicyNode(name="brain", context=graph.context, parameter_overrides=overrides)
    clients = [graph.listener.create_client(ScoreChunks, f"/{name}/score_chunks") for name in SCORERS]
    with spinning(policy, threads=policy.threads):
        assert policy.start()
        until(lambda: all(client.service_is_ready() for client in clients))
        yield graph
        policy.stop()
    graph.close()


def plan(graph: FakeGraph, when_scoring: Callable[[], None] = lambda: None) -> PlanReport:
    """Have one plan made and executed, always from the same observation and seed."""
    before, scoring = len(graph.reports), threading.Event()

    def follow(feedback: RunTask.Feedback) -> None:
        if feedback.phase == RunTask.Feedback.SCORING:
            scoring.set()

    with Commander() as commander:
        commander.wait_for_planner()
        outcome: list[object] = []
        work = threading.Thread(
            target=lambda: outcome.append(commander.run_task(TASK, max_chunks=1, seed=7, on_feedback=follow)),
            daemon=True,
        )
        work.start()
        assert scoring.wait(60.0)
        when_scoring()
        work.join(120.0)
        until(lambda: len(graph.reports) > before)
    assert outcome and outcome[0].termination == RunTask.Result.BUDGET_SPENT, outcome
    return graph.reports[-1]


def test_a_scorer_that_is_killed_in_the_middle_of_a_plan_does_not_change_the_decision(
    graph: FakeGraph, scorers: dict[str, subprocess.Popen]
) -> None:
    names = [f"/{name}" for name in SCORERS]
    waits = {"server_timeout": 60.0, "policy_timeout": 60.0, "scoring_timeout": 60.0}
    with graph.planner(policy="/brain", scorers=names, **PLAN, **waits):
        healthy = plan(graph)
        killed = plan(graph, lambda: scorers["scorer_b"].send_signal(signal.SIGKILL))
        alone = plan(graph)
    assert {share.scorer for share in healthy.shares} == set(names)
    assert all(share.outcome == ScorerShare.ANSWERED for share in healthy.shares)
    outcomes = [(share.scorer, share.outcome) for share in killed.shares]
    assert outcomes[0] == ("/scorer_a", ScorerShare.ANSWERED)
    assert outcomes[1] in (("/scorer_b", ScorerShare.LATE), ("/scorer_b", ScorerShare.LOST))
    assert outcomes[2] == ("/scorer_a", ScorerShare.ANSWERED)
    assert list(killed.shares[2].candidate_ids) == list(killed.shares[1].candidate_ids)
    assert {share.scorer for share in alone.shares} == {"/scorer_a"}
    for report in (killed, alone):
        assert (report.chosen, report.completed) == (healthy.chosen, PlanReport.DECIDED)
        assert_equal_where_both_know(healthy, report)
    assert {state.depth for state in healthy.states} == {1, 2}


def assert_equal_where_both_know(first: PlanReport, second: PlanReport) -> None:
    for one, other in zip(first.scores, second.scores, strict=True):
        (values, known), (others, others_known) = scored_values(one), scored_values(other)
        both = known & others_known
        assert both.any()
        np.testing.assert_allclose(values[both], others[both], atol=1e-4)
