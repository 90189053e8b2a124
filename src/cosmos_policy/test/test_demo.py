"""Behaviour of the demonstration's parts; the whole of it runs in the whole-graph test."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cosmos_policy.demo import main as demo
from cosmos_policy.demo.display import Display
from cosmos_policy.demo.frames import SIZE, compose
from cosmos_policy.demo.graph_process import GraphProcess
from cosmos_policy.demo.history import History
from cosmos_policy.demo.summary import screen, summarise
from cosmos_policy.demo.timeline import draw_timeline
from cosmos_policy.errors import DemoError
from cosmos_policy.messages import chunk_message, stage_message
from cosmos_policy.plan_messages import jpeg_message, scored_message
from cosmos_policy.run_task import TaskOutcome
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_msgs.action import RunTask
from cosmos_policy_msgs.msg import PlanReport, StageTime

CONTRACT = Embodiment.load("aloha_sim")


def report(index: int = 0, chosen: int = 1) -> PlanReport:
    """A decision among three candidates, the last one without values."""
    message = PlanReport(plan_index=index, chosen=chosen, candidate_values=[0.2, 0.7, float("nan")])
    message.header.stamp.sec = 10 + 3 * index
    actions = np.tile(CONTRACT.start_action, (CONTRACT.chunk_horizon, 1))
    stamp = message.header.stamp
    message.candidates = [
        chunk_message(actions, CONTRACT, observation_stamp=stamp, stamp=stamp, candidate_id=k) for k in range(3)
    ]
    message.scores = [scored_message(chunk, np.full((3, 5), 0.2)) for chunk in message.candidates]
    message.stages = [stage_message(StageTime.PROPOSE, 0.5), stage_message(StageTime.EVALUATE, 0.25)]
    message.imagined_images = [jpeg_message(np.zeros((64, 64, 3), np.uint8), name) for name in CONTRACT.camera_names]
    return message


@pytest.fixture
def history() -> History:
    history = History()
    history.take_report(report(0))
    history.take_report(report(1))
    history.states = [(9.0 + 0.02 * k, CONTRACT.start_action) for k in range(200)]
    return history


def test_a_report_becomes_a_plan() -> None:
    plan = PlanRecord.from_report(report(chosen=2))
    assert plan.chosen == 2
    assert plan.stages == {"propose": 0.5, "evaluate": 0.25}
    assert plan.actions.shape == (50, 14)
    assert len(plan.imagined) == 3


def test_a_picture_is_composed_with_and_without_cameras_and_plan(history: History) -> None:
    images = {name: np.full((256, 256, 3), 200, np.uint8) for name in CONTRACT.camera_names}
    full = compose(images, history.plan, 2, "title", "status")
    empty = compose({}, None, 2, "title", "status")
    assert full.shape == empty.shape == (SIZE[1], SIZE[0], 3)
    assert full[300, 100].tolist() == [200, 200, 200]
    assert empty[300, 100].tolist() != [200, 200, 200]


@pytest.mark.parametrize("empty", [True, False])
def test_a_timeline_is_drawn_of_any_history(history: History, tmp_path: Path, empty: bool) -> None:
    path = tmp_path / "timeline.png"
    draw_timeline(History() if empty else history, CONTRACT, path, "title")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_console_that_cannot_redraw_gets_a_line_per_change(history: History) -> None:
    text = io.StringIO()
    with Display(history, "demo", Console(file=text, force_terminal=False)) as display:
        display.say("running")
        for _ in range(3):
            history.take_feedback(RunTask.Feedback(phase=RunTask.Feedback.EXECUTING, plan_index=1, step=4, steps=50))
            display.tell()
    lines = text.getvalue().splitlines()
    assert len(lines) == 2
    assert "plan 1: executing candidate 1 of 3" in lines[-1]


def test_a_terminal_shows_values_times_and_progress(history: History) -> None:
    text = io.StringIO()
    history.take_feedback(RunTask.Feedback(phase=RunTask.Feedback.EXECUTING, plan_index=1, step=4, steps=50))
    display = Display(history, "demo", Console(file=text, force_terminal=True, width=100))
    Console(file=text, width=100).print(display.render())
    assert "action  5 of 50" in text.getvalue()
    assert "0.700" in text.getvalue()
    assert "not valued" in text.getvalue()
    assert "evaluate" in text.getvalue()


def test_a_failure_is_summarised_with_its_reason(history: History) -> None:
    outcome = TaskOutcome(RunTask.Result.BUDGET_SPENT, "BUDGET_SPENT", "2 chunk(s) executed without success.", 2, 6.0)
    summary = summarise(
        outcome,
        history,
        task="transfer",
        planner="best_of_n",
        seed=7,
        began=0.0,
        ended=20.0,
        files={"video": Path("a.mp4")},
    )
    text = io.StringIO()
    Console(file=text, width=100).print(screen(summary))
    assert "FAILED (BUDGET_SPENT)" in text.getvalue()
    assert "2 chunk(s) executed without success." in text.getvalue()
    parsed = json.loads(json.dumps(summary.as_dict()))
    assert (parsed["seed"], parsed["succeeded"], parsed["chosen_values"]) == (7, False, [0.7, 0.7])
    assert parsed["mean_plan_seconds"] == 0.75


def test_the_seed_comes_from_the_environment_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", "41")
    assert demo.parse([]).seed == 41
    assert demo.parse(["--seed", "5"]).seed == 5
    monkeypatch.setenv("SEED", "")
    assert demo.parse([]).seed == demo.DEFAULT_SEED


def test_a_graph_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with GraphProcess({"robot": "no_such_robot"}, tmp_path / "graph.log") as graph:
        graph._process.wait(30.0)
        with pytest.raises(DemoError, match=r"(?s)ended with code 2.*graph\.log.*no_such_robot"):
            graph.check()
