"""Behaviour of the planner: every way a task ends, and what it decides on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from planner_fakes import TASK, FakeGraph, phases, small_contract
from std_msgs.msg import Bool

from cosmos_policy.messages import seconds
from cosmos_policy.run_task import Commander, TaskOutcome
from cosmos_policy_msgs.action import ExecuteChunk, RunTask
from cosmos_policy_msgs.msg import PlanReport
from cosmos_policy_msgs.srv import ProposeChunks, ScoreChunks

Result = RunTask.Result
Feedback = RunTask.Feedback

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def surroundings() -> Iterator[FakeGraph]:
    graph = FakeGraph(small_contract())
    yield graph
    graph.close()


@pytest.fixture
def graph(surroundings: FakeGraph) -> FakeGraph:
    surroundings.reset()
    return surroundings


@pytest.fixture(scope="module")
def commander() -> Iterator[Commander]:
    with Commander() as commander:
        yield commander


def until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    """Wait for a condition of the fakes."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the awaited never happened"
        time.sleep(0.005)


class Running:
    """A task in a thread of its own."""

    def __init__(self, commander: Commander, **goal: object) -> None:
        self.feedback: list[RunTask.Feedback] = []
        self.outcome: TaskOutcome | None = None
        self._thread = threading.Thread(target=self._run, args=(commander, goal), daemon=True)
        self._thread.start()

    def _run(self, commander: Commander, goal: dict) -> None:
        wanted = {"instruction": TASK, "max_chunks": 100, **goal}
        self.outcome = commander.run_task(wanted.pop("instruction"), on_feedback=self.feedback.append, **wanted)

    def wait(self) -> TaskOutcome:
        self._thread.join(timeout=20.0)
        assert self.outcome is not None
        return self.outcome


def test_a_reported_success_ends_the_task_and_the_running_chunk(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.chunk_seconds = 5.0
    with graph.planner():
        task = Running(commander)
        until(lambda: bool(graph.executor.goals))
        graph.robot.success.publish(Bool(data=True))
        outcome = task.wait()
    assert (outcome.reason, outcome.message) == ("SUCCEEDED", "")
    assert outcome.succeeded
    assert graph.executor.cancelled == 1


def test_a_success_from_before_the_task_does_not_count(graph: FakeGraph, commander: Commander) -> None:
    graph.robot.success.publish(Bool(data=True))
    with graph.planner():
        outcome = Running(commander, max_chunks=1).wait()
        assert outcome.termination == Result.BUDGET_SPENT
        assert "Reset the cell" in outcome.message
        task = Running(commander)
        until(lambda: len(graph.executor.goals) > 1)
        graph.robot.success.publish(Bool(data=False))
        until(lambda: len(graph.executor.goals) > 3)
        graph.robot.success.publish(Bool(data=True))
        assert task.wait().succeeded


def test_the_budget_of_chunks_ends_the_task(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner():
        outcome = Running(commander, max_chunks=2).wait()
    assert outcome.termination == Result.BUDGET_SPENT
    assert outcome.message == "2 chunk(s) executed without success."
    assert outcome.chunks_executed == len(graph.executor.goals) == 2


def test_the_budget_of_time_ends_the_task_and_the_running_chunk(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.chunk_seconds = 5.0
    with graph.planner():
        outcome = Running(commander, max_chunks=0, max_duration=0.5).wait()
    assert outcome.termination == Result.BUDGET_SPENT
    assert "max_duration of 0.5 s" in outcome.message
    assert 0.5 <= outcome.duration < 2.0
    assert graph.executor.cancelled == 1


def test_cancelling_the_task_cancels_the_running_chunk(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.chunk_seconds = 5.0
    with graph.planner():
        task = Running(commander)
        until(lambda: bool(graph.executor.goals))
        commander.cancel()
        assert task.wait().termination == Result.CANCELLED
    assert graph.executor.cancelled == 1


def test_a_task_can_be_cancelled_while_the_policy_thinks(graph: FakeGraph, commander: Commander) -> None:
    answer = threading.Event()
    graph.policy.propose = lambda request: (answer.wait(5.0), graph.policy.propose_well(request))[1]
    with graph.planner():
        task = Running(commander)
        until(lambda: bool(graph.policy.proposals))
        commander.cancel()
        outcome = task.wait()
        answer.set()
    assert outcome.termination == Result.CANCELLED
    assert not graph.executor.goals


def test_a_second_task_is_busy_and_the_first_goes_on(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.chunk_seconds = 0.5
    with graph.planner(), Commander("second") as second:
        second.wait_for_planner()
        first = Running(commander, max_chunks=1)
        until(lambda: bool(graph.executor.goals))
        outcome = second.run_task(TASK, max_chunks=1)
        assert outcome.termination == Result.BUSY
        assert "another task" in outcome.message
        assert first.wait().termination == Result.BUDGET_SPENT


def test_a_silent_camera_is_waited_for_by_name_and_ends_the_task(graph: FakeGraph, commander: Commander) -> None:
    graph.robot.silent.add("/cam_high/image_raw")
    with graph.planner(observation_timeout=1.0):
        task = Running(commander)
        outcome = task.wait()
    assert outcome.termination == Result.NO_OBSERVATION
    assert "/cam_high/image_raw" in outcome.message
    assert any("/cam_high/image_raw" in item.waiting_for for item in task.feedback if item.phase == Feedback.WAITING)
    assert not graph.policy.proposals


def test_a_camera_that_comes_back_in_time_lets_the_task_go_on(graph: FakeGraph, commander: Commander) -> None:
    graph.robot.silent.add("/cam_high/image_raw")
    with graph.planner():
        task = Running(commander, max_chunks=1)
        until(lambda: any(item.phase == Feedback.WAITING for item in task.feedback))
        graph.robot.silent.clear()
        assert task.wait().termination == Result.BUDGET_SPENT


def test_an_unknown_instruction_ends_the_task_with_the_policys_words(graph: FakeGraph, commander: Commander) -> None:
    message = f"instruction 'dance': no embedding. Known: '{TASK}'."
    graph.policy.propose = lambda _: ProposeChunks.Response(
        status=ProposeChunks.Response.UNKNOWN_INSTRUCTION, message=message
    )
    with graph.planner():
        outcome = Running(commander, instruction="dance").wait()
    assert (outcome.termination, outcome.message) == (Result.UNKNOWN_INSTRUCTION, message)


def test_a_policy_that_fails_ends_the_task_with_its_words(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.propose = lambda _: ProposeChunks.Response(
        status=ProposeChunks.Response.MODEL_ERROR, message="not finite"
    )
    with graph.planner():
        outcome = Running(commander).wait()
    assert outcome.termination == Result.POLICY_FAILED
    assert outcome.message == "/policy/propose_chunks: not finite"


def test_a_policy_that_does_not_answer_ends_the_task(graph: FakeGraph, commander: Commander) -> None:
    answer = threading.Event()
    graph.policy.propose = lambda request: (answer.wait(5.0), graph.policy.propose_well(request))[1]
    with graph.planner(policy_timeout=0.3):
        outcome = Running(commander).wait()
        answer.set()
    assert outcome.termination == Result.POLICY_FAILED
    assert "no answer within 0.3 s" in outcome.message


def test_a_policy_that_is_not_ready_is_waited_for_before_the_robot_is_observed(
    graph: FakeGraph, commander: Commander
) -> None:
    graph.policy.ready = False
    with graph.planner():
        task = Running(commander, max_chunks=1)
        until(lambda: any("policy is inactive" in item.waiting_for for item in task.feedback))
        assert not any(item.phase == Feedback.OBSERVING for item in task.feedback)
        graph.policy.ready = True
        assert task.wait().termination == Result.BUDGET_SPENT


def test_a_policy_that_ceases_to_be_ready_ends_the_task(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.propose = lambda _: ProposeChunks.Response(
        status=ProposeChunks.Response.NOT_READY, message="policy is inactive."
    )
    with graph.planner():
        outcome = Running(commander).wait()
    assert outcome.termination == Result.POLICY_FAILED
    assert outcome.message == "/policy/propose_chunks: policy is inactive."


def test_a_policy_that_is_not_there_is_waited_for_by_name(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner(policy="/nowhere", server_timeout=0.3):
        task = Running(commander)
        outcome = task.wait()
    assert outcome.termination == Result.POLICY_FAILED
    assert "/nowhere/propose_chunks: not there within 0.3 s" in outcome.message
    assert any("/nowhere/propose_chunks" in item.waiting_for for item in task.feedback)


def test_scorers_that_all_fail_end_the_task_with_their_words(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.score = lambda _: ScoreChunks.Response(status=ScoreChunks.Response.BAD_CHUNK, message="latent of 2b")
    with graph.planner():
        outcome = Running(commander).wait()
    assert outcome.termination == Result.SCORING_FAILED
    assert outcome.message == "/policy/score_chunks: latent of 2b"
    assert not graph.executor.goals


def test_a_refusal_of_the_executor_ends_the_task_with_its_words(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.termination, graph.executor.message = ExecuteChunk.Result.TOO_FAR, "waist is 0.8 rad away."
    with graph.planner():
        outcome = Running(commander).wait()
    assert outcome.termination == Result.EXECUTION_FAILED
    assert outcome.message == "/execute_chunk: waist is 0.8 rad away."
    assert outcome.chunks_executed == 0


def test_an_executor_that_goes_silent_ends_the_task(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.mute, graph.executor.chunk_seconds = True, 5.0
    with graph.planner(execution_timeout=0.3):
        outcome = Running(commander).wait()
    assert outcome.termination == Result.EXECUTION_FAILED
    assert "no feedback for 0.3 s" in outcome.message
    assert graph.executor.cancelled == 1


def test_an_emergency_stop_ends_the_task(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.chunk_seconds = 5.0
    with graph.planner():
        task = Running(commander)
        until(lambda: bool(graph.executor.goals))
        graph.robot.stop.publish(Bool(data=True))
        assert task.wait().termination == Result.EMERGENCY_STOP
        graph.robot.stop.publish(Bool(data=False))
    assert graph.executor.cancelled == 1


def test_an_executor_that_stopped_in_an_emergency_says_so(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.termination, graph.executor.message = ExecuteChunk.Result.EMERGENCY_STOP, "the stop is latched."
    with graph.planner():
        outcome = Running(commander).wait()
    assert (outcome.termination, outcome.message) == (Result.EMERGENCY_STOP, "/execute_chunk: the stop is latched.")


def test_deactivating_the_planner_ends_the_task_and_the_running_chunk(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.chunk_seconds = 5.0
    with graph.planner() as planner:
        task = Running(commander)
        until(lambda: bool(graph.executor.goals))
        planner.trigger_deactivate()
        assert task.wait().termination == Result.SHUTDOWN
    assert graph.executor.cancelled == 1


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        ({"instruction": " "}, "instruction: empty"),
        ({"max_chunks": 0}, "both 0"),
        ({"max_duration": float("nan")}, "not a time"),
        ({"max_duration": -1.0}, "not a time"),
    ],
)
def test_a_goal_that_cannot_be_worked_on_is_refused(
    graph: FakeGraph, commander: Commander, goal: dict, reason: str
) -> None:
    with graph.planner():
        outcome = Running(commander, **goal).wait()
    assert outcome.termination == Result.BAD_GOAL
    assert reason in outcome.message


def test_best_of_n_executes_the_candidate_with_the_highest_value(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.values = lambda candidate: (0.2, 0.4, 0.9, 0.6)[candidate]
    with graph.planner():
        task = Running(commander, max_chunks=1, seed=7)
        task.wait()
        until(lambda: bool(graph.reports))
    report = graph.reports[0]
    assert report.chosen == 2
    assert graph.executor.goals[0].chunk.candidate_id == 2
    assert len(graph.executor.goals[0].chunk.latent) == 0
    assert bytes(graph.policy.scorings[0].chunks[0].latent) == b"latent"
    np.testing.assert_allclose(report.candidate_values, [0.2, 0.4, 0.9, 0.6], rtol=1e-6)
    assert phases(task.feedback) == [Feedback.OBSERVING, Feedback.PROPOSING, Feedback.SCORING, Feedback.EXECUTING]
    assert task.feedback[-1].chosen == 2


def test_a_report_is_complete_enough_to_redraw_the_decision(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner():
        Running(commander, max_chunks=2).wait()
        until(lambda: len(graph.reports) == 2)
    first, second = graph.reports
    assert (first.plan_index, second.plan_index) == (0, 1)
    assert (first.version, first.planner, first.aggregation) == (1, PlanReport.BEST_OF_N, "majority_mean")
    assert first.instruction == TASK
    assert len(first.candidates) == len(first.scores) == 4
    assert all(len(chunk.latent) == 0 and len(chunk.positions) == 50 * 14 for chunk in first.candidates)
    assert all((score.futures, score.members) == (3, 5) for score in first.scores)
    assert [stage.stage for stage in first.stages] == [0, 2, 3, 4, 5]
    assert (first.evaluations_spent, first.evaluations_saved) == (60, 0)
    assert (first.policy_checkpoint, first.planning_checkpoint) == ("fake@1", "policy@2")


def test_candidates_of_all_plans_have_distinct_and_reproducible_seeds(graph: FakeGraph, commander: Commander) -> None:
    def seeds(base: int) -> list[int]:
        graph.policy.proposals.clear()
        Running(commander, max_chunks=2, seed=base).wait()
        return [int(seed) for request in graph.policy.proposals for seed in request.seeds]

    with graph.planner():
        first, again, other = seeds(195), seeds(195), seeds(196)
    assert len(set(first + other)) == 16
    assert first == again


def test_the_direct_planner_executes_the_policys_own_chunk_unscored(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner(planner="direct"):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
    assert graph.reports[0].planner == PlanReport.DIRECT
    assert graph.policy.proposals[0].n == 1
    assert not graph.policy.proposals[0].with_latents
    assert not graph.policy.scorings


def test_scorers_share_the_candidates_and_the_best_of_all_wins(graph: FakeGraph, commander: Commander) -> None:
    graph.second_scorer.values = lambda candidate: 0.9 if candidate == 3 else 0.1
    with graph.planner(scorers=["/policy", "/second_scorer"]):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
    assert [chunk.candidate_id for chunk in graph.policy.scorings[0].chunks] == [0, 1]
    assert [chunk.candidate_id for chunk in graph.second_scorer.scorings[0].chunks] == [2, 3]
    assert graph.reports[0].chosen == 3


def test_a_scorer_that_is_not_there_is_done_without(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner(scorers=["/nowhere", "/second_scorer"], server_timeout=0.5):
        task = Running(commander, max_chunks=2)
        task.wait()
        until(lambda: len(graph.reports) == 2)
    assert any("/nowhere/score_chunks" in item.waiting_for for item in task.feedback)
    assert all(len(request.chunks) == 4 for request in graph.second_scorer.scorings)


def test_a_scorer_that_fails_costs_its_candidates_only(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.score = lambda _: ScoreChunks.Response(status=ScoreChunks.Response.MODEL_ERROR, message="no memory")
    with graph.planner(scorers=["/policy", "/second_scorer"]):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
    report = graph.reports[0]
    assert report.chosen == 2
    assert np.isnan(report.candidate_values[:2]).all()


def test_a_plan_uses_only_images_acquired_after_the_arms_came_to_rest(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner():
        Running(commander, max_chunks=2).wait()
        until(lambda: len(graph.reports) == 2)
    _, second = graph.policy.proposals
    decided = seconds(graph.reports[0].header.stamp)
    assert all(seconds(image.header.stamp) > decided for image in second.observation.images)
