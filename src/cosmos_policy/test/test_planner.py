"""Behaviour of the planner: every way a task ends, and what it decides on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planner_fakes import TASK, FakeGraph, phases, small_contract
from std_msgs.msg import Bool

from cosmos_policy.errors import ParameterError
from cosmos_policy.messages import seconds
from cosmos_policy.plan_messages import scored_message, settings_message, settings_of
from cosmos_policy.planner import planning
from cosmos_policy.planner.settings import PlannerSettings
from cosmos_policy.run_task import Commander, TaskOutcome
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.evaluation.report.decision import VERSION, read_decisions
from cosmos_policy_core.model.ensembles import candidate_seeds
from cosmos_policy_msgs.action import ExecuteChunk, RunTask
from cosmos_policy_msgs.msg import PlanReport, ScorerShare
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
        outcome = Running(commander, max_chunks=0, max_duration=2.0).wait()
    assert outcome.termination == Result.BUDGET_SPENT
    assert "max_duration of 2.0 s" in outcome.message
    assert 2.0 <= outcome.duration < 4.0
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
    with graph.planner(execution_timeout=1.0):
        outcome = Running(commander).wait()
    assert outcome.termination == Result.EXECUTION_FAILED
    assert "no feedback for 1.0 s" in outcome.message
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
    assert (first.version, first.planner, first.aggregation) == (2, PlanReport.BEST_OF_N, "majority_mean")
    assert first.instruction == TASK
    assert len(first.candidates) == len(first.scores) == 4
    assert all(len(chunk.latent) == 0 and len(chunk.positions) == 50 * 14 for chunk in first.candidates)
    assert all((score.futures, score.members) == (3, 5) for score in first.scores)
    assert [stage.stage for stage in first.stages] == [0, 2, 3, 4, 5]
    assert (first.evaluations_spent, first.evaluations_saved) == (60, 0)
    assert (first.policy_checkpoint, first.planning_checkpoint) == ("fake@1", "fake@1")


def test_a_kept_report_can_be_explained(graph: FakeGraph, commander: Commander, tmp_path: Path) -> None:
    with graph.planner(report_folder=str(tmp_path / "plans"), imagined_images=True):
        Running(commander, max_chunks=1).wait()
        until(lambda: any(tmp_path.rglob("*.json")))
    (decision,) = read_decisions(next(tmp_path.rglob("*.json")))
    assert PlanReport.VERSION == VERSION
    assert (decision.plan.chosen, decision.values.shape, decision.completed) == (0, (4, 3, 5), "certain")
    assert [share.scorer for share in decision.shares] == ["/policy"]
    assert len(decision.plan.imagined) == 3


def test_candidates_of_all_plans_have_distinct_and_reproducible_seeds(graph: FakeGraph, commander: Commander) -> None:
    def seeds(base: int) -> list[int]:
        graph.policy.proposals.clear()
        Running(commander, max_chunks=2, seed=base).wait()
        return [int(seed) for request in graph.policy.proposals for seed in request.seeds]

    with graph.planner():
        first, again, other = seeds(195), seeds(195), seeds(196)
    assert len(set(first + other)) == 16
    assert first == again
    assert first == [seed for plan in (0, 1) for seed in candidate_seeds(195, plan, 4, "independent")]


def test_the_greatest_seed_of_a_task_has_neighbours_too(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner(preset="reference"):
        assert Running(commander, max_chunks=1, seed=2**64 - 1).wait().termination == RunTask.Result.BUDGET_SPENT
    assert list(graph.policy.proposals[0].seeds) == [2**64 - 1, 0, 1, 2]


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


def test_a_scorer_that_fails_leaves_its_work_to_the_others(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.score = lambda _: ScoreChunks.Response(status=ScoreChunks.Response.MODEL_ERROR, message="no memory")
    graph.second_scorer.values = lambda candidate: 0.9 if candidate == 0 else 0.1
    with graph.planner(scorers=["/policy", "/second_scorer"]):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
    report = graph.reports[0]
    assert report.chosen == 0
    assert np.isfinite(report.candidate_values).all()
    assert [(share.scorer, share.outcome) for share in report.shares] == [
        ("/policy", ScorerShare.FAILED),
        ("/second_scorer", ScorerShare.ANSWERED),
        ("/second_scorer", ScorerShare.ANSWERED),
    ]
    assert "no memory" in report.shares[0].message


def test_a_slow_scorer_does_not_hold_the_plan_up(graph: FakeGraph, commander: Commander) -> None:
    answer = threading.Event()
    graph.policy.score = lambda request: (answer.wait(10.0), graph.policy.score_well(request))[1]

    def score_twice(request: ScoreChunks.Request) -> ScoreChunks.Response:
        response = graph.second_scorer.score_well(request)
        response.evaluations_spent *= 2
        return response

    graph.second_scorer.score = score_twice
    with graph.planner(scorers=["/policy", "/second_scorer"]):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports and graph.cancelled))
        answer.set()
    assert graph.reports[0].evaluations_spent + graph.reports[0].evaluations_saved == 4 * 3 * 5
    outcomes = {share.scorer: share.outcome for share in graph.reports[0].shares}
    assert outcomes == {"/policy": ScorerShare.LATE, "/second_scorer": ScorerShare.ANSWERED}
    assert np.isfinite(graph.reports[0].candidate_values).all()
    assert graph.cancelled[0] == graph.policy.scorings[0].plan_id  # the slow one is told to stop


def test_a_lost_scorer_is_done_without_until_it_answers_again(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.score = lambda _: ScoreChunks.Response(status=ScoreChunks.Response.MODEL_ERROR, message="no memory")
    with graph.planner(scorers=["/policy", "/second_scorer"]):
        Running(commander, max_chunks=1).wait()
        graph.policy.score = graph.policy.score_well
        Running(commander, max_chunks=3).wait()
        until(lambda: len(graph.reports) == 4)
    crews = [{share.scorer for share in report.shares} for report in graph.reports]
    assert crews[1] == {"/second_scorer"}
    assert crews[-1] == {"/policy", "/second_scorer"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"checkpoint": "other@9"}, "it runs other@9, /policy/score_chunks runs fake@1"),
        ({"scale": "another"}, "scales joints otherwise"),
        ({"contract": ""}, "does not say which contract"),
    ],
)
def test_a_scorer_that_does_not_fit_is_done_without(
    graph: FakeGraph, commander: Commander, capfd: pytest.CaptureFixture[str], wrong: dict, message: str
) -> None:
    for name, value in wrong.items():
        setattr(graph.second_scorer, name, value)
    with graph.planner(scorers=["/policy", "/second_scorer"]):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
    assert {share.scorer for share in graph.reports[0].shares} == {"/policy"}
    assert message in capfd.readouterr().err


def test_a_world_model_of_another_contract_ends_the_task_before_anything_moves(
    graph: FakeGraph, commander: Commander
) -> None:
    graph.second_scorer.contract = graph.second_scorer.contract.replace("control_rate: 25.0", "control_rate: 50.0")
    with graph.planner(scorers=["/second_scorer"]):
        outcome = Running(commander).wait()
    assert outcome.termination == Result.SCORING_FAILED
    assert "/second_scorer/score_chunks: its contract differs from the planner's: control_rate" in outcome.message
    assert not graph.executor.goals


def answer_with(value: float, evaluated: bool = True) -> Callable[[ScoreChunks.Request], ScoreChunks.Response]:
    """Answer with one odd value in every chunk's table."""

    def answer(request: ScoreChunks.Request) -> ScoreChunks.Response:
        values = np.full((request.settings.futures, request.settings.values), 0.5)
        values[0, 1] = value
        known = np.full(values.shape, evaluated)
        scores = [scored_message(chunk, values, known) for chunk in request.chunks]
        return ScoreChunks.Response(scores=scores, threshold=0.05, checkpoint_id="fake@1")

    return answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (answer_with(float("nan")), "all 4 candidates failed"),
        (answer_with(1.5), "value 1.5 of candidate 0 is outside [0, 1]"),
        (answer_with(0.5, evaluated=False), "left values out that could change the choice"),
        (lambda request: ScoreChunks.Response(threshold=0.05), "0 chunk(s) instead of 4"),
    ],
)
def test_values_that_cannot_be_trusted_end_the_task_before_anything_moves(
    graph: FakeGraph, commander: Commander, answer: Callable, message: str
) -> None:
    graph.policy.score = answer
    with graph.planner():
        outcome = Running(commander).wait()
    assert outcome.termination == Result.SCORING_FAILED
    assert message in outcome.message
    assert not graph.executor.goals


def test_a_policy_that_proposes_nothing_ends_the_task(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.propose = lambda _: ProposeChunks.Response()
    with graph.planner():
        outcome = Running(commander).wait()
    assert outcome.termination == Result.POLICY_FAILED
    assert "0 chunk(s) instead of 4" in outcome.message


@pytest.mark.parametrize(
    ("field", "message"),
    [("seed", "candidate 1 of seed 7 for candidate 1 of seed 196"), ("candidate_id", "candidate 7 of seed 196")],
)
def test_chunks_that_were_not_asked_for_end_the_task(
    graph: FakeGraph, commander: Commander, field: str, message: str
) -> None:
    def propose(request: ProposeChunks.Request) -> ProposeChunks.Response:
        response = graph.policy.propose_well(request)
        setattr(response.chunks[1], field, 7)
        return response

    graph.policy.propose = propose
    with graph.planner(preset="reference"):
        outcome = Running(commander, seed=195).wait()
    assert outcome.termination == Result.POLICY_FAILED
    assert message in outcome.message
    assert not graph.executor.goals


def test_a_cancelled_plan_is_taken_from_the_devices(graph: FakeGraph, commander: Commander) -> None:
    answer = threading.Event()
    graph.policy.score = lambda request: (answer.wait(5.0), graph.policy.score_well(request))[1]
    with graph.planner():
        task = Running(commander)
        until(lambda: bool(graph.policy.scorings))
        commander.cancel()
        assert task.wait().termination == Result.CANCELLED
        until(lambda: bool(graph.cancelled))
        answer.set()
    assert graph.cancelled == [graph.policy.scorings[0].plan_id]


def test_out_of_time_the_policys_own_chunk_is_run(graph: FakeGraph, commander: Commander) -> None:
    answer = threading.Event()
    graph.policy.score = lambda request: (answer.wait(5.0), graph.policy.score_well(request))[1]
    with graph.planner(deadline=0.3):
        outcome = Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
        answer.set()
    report = graph.reports[0]
    assert outcome.chunks_executed == 1
    assert (report.completed, report.chosen) == (PlanReport.DIRECT_CHUNK, 0)
    assert report.time_limit == 0.3
    assert 0 < graph.policy.scorings[0].time_limit < 0.3
    assert (report.evaluations_spent, report.evaluations_saved) == (0, 60)


def test_out_of_time_the_best_of_the_answered_share_is_run(graph: FakeGraph, commander: Commander) -> None:
    answer = threading.Event()
    graph.policy.score = lambda request: (answer.wait(10.0), graph.policy.score_well(request))[1]
    known = iter([True])  # one answer: nobody is left to do the silent one's work

    def score_once(request: ScoreChunks.Request) -> ScoreChunks.Response:
        if not next(known, False):
            answer.wait(10.0)
        return graph.second_scorer.score_well(request)

    graph.second_scorer.score = score_once
    graph.second_scorer.values = lambda candidate: 0.9 if candidate == 3 else 0.2
    with graph.planner(scorers=["/policy", "/second_scorer"], deadline=1.0):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
        answer.set()
    assert (graph.reports[0].completed, graph.reports[0].chosen) == (PlanReport.PARTLY_VALUED, 3)


def test_the_candidates_that_time_allowed_are_compared(graph: FakeGraph, commander: Commander) -> None:
    def propose(request: ProposeChunks.Request) -> ProposeChunks.Response:
        response = graph.policy.propose_well(request)
        response.chunks = response.chunks[:2]
        return response

    graph.policy.propose = propose
    graph.policy.values = lambda candidate: 0.3 + 0.5 * candidate
    with graph.planner(deadline=5.0):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
    report = graph.reports[0]
    assert (len(report.candidates), report.chosen, report.completed) == (2, 1, PlanReport.PARTLY_VALUED)


def test_a_single_candidate_needs_no_values(graph: FakeGraph, commander: Commander) -> None:
    graph.policy.score = answer_with(0.5, evaluated=False)
    with graph.planner(candidates=1):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
    assert (graph.reports[0].completed, graph.reports[0].evaluations_saved) == (PlanReport.DECIDED, 15)


def test_what_is_known_in_time_decides(graph: FakeGraph, commander: Commander) -> None:
    def answer(request: ScoreChunks.Request) -> ScoreChunks.Response:
        response = graph.policy.score_well(request)
        for score in response.scores:
            score.evaluated = [index == 0 for index in range(15)]
        return response

    graph.policy.score = answer
    graph.policy.values = lambda candidate: 0.8 if candidate == 2 else 0.3
    with graph.planner(deadline=5.0, aggregation="average"):
        Running(commander, max_chunks=1).wait()
        until(lambda: bool(graph.reports))
    assert (graph.reports[0].completed, graph.reports[0].chosen) == (PlanReport.PARTLY_VALUED, 2)


def test_the_settings_of_a_plan_reach_the_scorer_and_the_report(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner(preset="reference", aggregation="lcb", q_values=True, threshold=0.2, imagined_images=True):
        Running(commander, max_chunks=1, seed=195).wait()
        until(lambda: bool(graph.reports))
    asked, report = graph.policy.scorings[0].settings, graph.reports[0]
    assert (asked.aggregation, asked.imagine, asked.threshold) == ("lcb", asked.NEVER, 0.2)
    assert (asked.proposal_steps, asked.future_steps, asked.value_steps) == (10, 5, 5)
    assert (asked.seeds, asked.pruning) == ("reference", False)
    assert list(graph.policy.proposals[0].seeds) == [195, 196, 197, 198]
    assert (report.preset, report.settings.aggregation, report.settings.threshold) == ("reference", "lcb", 0.05)
    assert len(report.imagined_images) == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "deadline"}, "deadline: 0"),
        ({"deadline": float("inf")}, "deadline: inf"),
        ({"aggregation": "lcb", "futures": 1, "values": 1}, "lcb"),
        ({"depth": 2, "q_values": True}, "depth"),
        ({"threshold": 1.0}, "threshold"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_the_start(wrong: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        PlannerSettings(**wrong)


def test_settings_of_another_version_are_refused() -> None:
    message = settings_message(PlannerSettings().planning)
    assert settings_of(message, 8) == PlannerSettings().planning
    message.imagine = 99
    with pytest.raises(ConfigurationError, match="imagine 99 is unknown"):
        settings_of(message, 8)


def test_an_executor_that_is_not_ready_yet_is_asked_again(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.termination, graph.executor.message = ExecuteChunk.Result.NOT_READY, "no joint states yet."
    graph.executor.refusals = 2
    with graph.planner():
        task = Running(commander, max_chunks=1)
        outcome = task.wait()
    assert outcome.chunks_executed == 1
    assert len(graph.executor.goals) == 3
    assert any("/execute_chunk: no joint states yet." in item.waiting_for for item in task.feedback)


def test_an_executor_that_never_gets_ready_ends_the_task(graph: FakeGraph, commander: Commander) -> None:
    graph.executor.termination, graph.executor.message = ExecuteChunk.Result.NOT_READY, "no joint states yet."
    with graph.planner(server_timeout=0.5):
        outcome = Running(commander, max_chunks=1).wait()
    assert outcome.termination == Result.EXECUTION_FAILED
    assert outcome.message == "/execute_chunk: no joint states yet."


@pytest.mark.parametrize(("mode", "deadline"), [("overlap", 0.0), ("deadline", 0.3)])
def test_the_next_plan_is_made_while_a_chunk_runs_and_takes_over(
    graph: FakeGraph, commander: Commander, mode: str, deadline: float
) -> None:
    graph.executor.chunk_seconds = 2.0  # as long as the contract says: the seam is where the feedback puts it
    slow = iter((0.2,))  # the first plan's time is what the second one begins before the seam

    def score(request: ScoreChunks.Request) -> ScoreChunks.Response:
        time.sleep(next(slow, 0.0))
        return graph.policy.score_well(request)

    graph.policy.score = score
    with graph.planner(mode=mode, deadline=deadline):
        outcome = Running(commander, max_chunks=2).wait()
        until(lambda: len(graph.reports) == 2)
    goals, wanted = graph.executor.goals, getattr(ExecuteChunk.Goal, mode.upper())
    assert [goal.mode for goal in goals] == [ExecuteChunk.Goal.HOLD, wanted]
    assert goals[1].policy == ExecuteChunk.Goal.REPLACE_NOW
    assert graph.executor.replaced == 1
    assert outcome.chunks_executed == 2
    assert [report.mode for report in graph.reports] == [PlanReport.HOLD, wanted]


def test_a_chunk_that_fails_ends_the_plan_that_is_made_meanwhile(graph: FakeGraph, commander: Commander) -> None:
    answer = threading.Event()
    with graph.planner(mode="overlap"):
        task = Running(commander)
        until(lambda: bool(graph.executor.goals))
        graph.policy.score = lambda request: (answer.wait(5.0), graph.policy.score_well(request))[1]
        graph.executor.fault = "right arm: overload."
        outcome = task.wait()
        answer.set()
    assert outcome.termination == Result.EXECUTION_FAILED
    assert outcome.message == "/execute_chunk: right arm: overload."


def test_a_defect_of_the_planner_leaves_the_arms_at_rest(
    graph: FakeGraph, commander: Commander, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.executor.chunk_seconds = 5.0
    report, sound = planning.plan_report, iter([True])

    def report_once(*given: Any) -> PlanReport:
        if not next(sound, False):
            raise RuntimeError("two and two are five")
        time.sleep(1.5)  # the second plan begins as long before the seam
        return report(*given)

    monkeypatch.setattr(planning, "plan_report", report_once)
    with graph.planner(mode="overlap"):
        outcome = Running(commander).wait()
        assert graph.executor.cancelled == 1
    assert outcome.termination == Result.EXECUTION_FAILED
    assert "the planner has a defect" in outcome.message


def test_a_plan_uses_only_images_acquired_after_the_arms_came_to_rest(graph: FakeGraph, commander: Commander) -> None:
    with graph.planner():
        Running(commander, max_chunks=2).wait()
        until(lambda: len(graph.reports) == 2)
    _, second = graph.policy.proposals
    decided = seconds(graph.reports[0].header.stamp)
    assert all(seconds(image.header.stamp) > decided for image in second.observation.images)
