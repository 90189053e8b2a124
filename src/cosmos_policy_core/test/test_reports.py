"""Reports as pure functions of data: what figures and pages say, also of runs in which little happened."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosmos_policy_core.cli import main as cosmos_policy
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.figures import new_figure, run_figures
from cosmos_policy_core.evaluation.report.page import page, png
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_core.evaluation.report.run import (
    Comparison,
    RunRecord,
    Trace,
    execution_end,
    execution_start,
    no_trace,
)
from cosmos_policy_core.evaluation.report.trials import TrialRow, draw_success, trial_table

CONTRACT = Embodiment.load("aloha_sim")
JOINTS = CONTRACT.action_dim


def plan(index: int, values: list[float], mode: str = "hold") -> PlanRecord:
    known = np.asarray(values)
    return PlanRecord(
        index=index,
        made=3.0 * index + 1.0,
        observed=3.0 * index,
        instruction="transfer",
        planner="best_of_n",
        mode=mode,
        values=known,
        members=known[:, None] + np.linspace(-0.05, 0.05, 5),
        candidates=np.tile(CONTRACT.start_action, (len(values), CONTRACT.chunk_horizon, 1)),
        chosen=int(np.nanargmax(np.nan_to_num(known, nan=-1.0))),
        stages={"propose": 0.4, "evaluate": 0.6},
        imagined=(),
    )


@pytest.fixture
def run() -> RunRecord:
    times = np.arange(0.0, 6.0, 0.02)
    commands = np.tile(CONTRACT.start_action, (len(times), 1))
    states = commands.copy()
    states[:, 1] += 0.05
    states[:, 6] += 0.5  # a gripper: another quantity than its command
    pictures = [np.full((32, 32, 3), level, np.uint8) for level in (0, 100, 120)]
    return RunRecord(
        title="a run",
        contract=CONTRACT,
        plans=(plan(0, [0.2, 0.6, np.nan]), plan(1, [0.7, 0.8, 0.9])),
        states=Trace(times, states),
        commands=Trace(times, commands),
        comparisons=(Comparison(0, "cam_high", *pictures),),
    )


@pytest.fixture
def nothing() -> RunRecord:
    return RunRecord("nothing", CONTRACT, (), no_trace(JOINTS), no_trace(JOINTS))


def words_of(figure: object) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))  # type: ignore[attr-defined]


def test_every_panel_of_a_run_is_drawn(run: RunRecord) -> None:
    figures = run_figures(run)
    assert list(figures) == ["imagined", "value_over_time", "candidates", "latency", "joints", "tracking_error"]
    assert all(png(figure).startswith(b"\x89PNG") for figure in figures.values())


def test_a_run_in_which_nothing_happened_says_so_in_every_panel(nothing: RunRecord) -> None:
    said = {name: words_of(figure) for name, figure in run_figures(nothing).items()}
    assert "nothing was imagined" in said["imagined"]
    assert "nothing was valued" in said["value_over_time"]
    assert "no plan was made" in said["candidates"]
    assert "no joint state" in said["joints"]
    assert "no commands and states" in said["tracking_error"]


def test_candidates_without_any_value_do_not_stop_a_report(run: RunRecord) -> None:
    direct = replace(run, plans=(replace(plan(0, [np.nan]), members=np.zeros((1, 0))),), comparisons=())
    assert len(run_figures(direct)) == 6


def test_the_tracking_error_leaves_grippers_out(run: RunRecord) -> None:
    error = run.tracking_error().values
    assert error.shape[1] == JOINTS - 2
    assert error.max() == pytest.approx(0.05)


def test_an_imagination_is_judged_by_what_came_true_and_against_no_imagination(run: RunRecord) -> None:
    (comparison,) = run.comparisons
    assert comparison.error == pytest.approx(20 / 255)
    assert comparison.change == pytest.approx(120 / 255)


def test_pictures_of_different_sizes_are_compared_at_the_size_of_the_imagined_one() -> None:
    came = np.kron(np.array([[0, 200], [200, 0]], np.uint8)[..., None], np.ones((8, 8, 3), np.uint8))
    imagined = np.array([[0, 200], [200, 0]], np.uint8)[..., None] * np.ones(3, np.uint8)
    assert Comparison(0, "cam", came, imagined, came).error == 0.0


def test_a_chunk_made_while_the_arms_move_counts_from_its_observation() -> None:
    assert execution_start(plan(1, [0.5])) == 4.0
    assert execution_start(plan(1, [0.5], mode="overlap")) == 3.0
    assert execution_start(replace(plan(1, [0.5]), started=4.25)) == 4.25
    assert execution_end(plan(1, [0.5]), CONTRACT) == pytest.approx(4.0 + 50 / 25)


def test_a_page_holds_everything_and_loads_nothing(run: RunRecord) -> None:
    pictures = {name: png(figure) for name, figure in run_figures(run).items()}
    text = page("<b>& a run", {"task": "a < b"}, pictures, video="run.mp4")
    assert not re.search(r"(src|href)=\"(?!data:|run\.mp4)", text)
    assert "&lt;b&gt;&amp; a run" in text
    assert text.count("data:image/png;base64,") == 6


def log_lines(planner: str, successes: int, count: int) -> str:
    rows = [
        {
            "seed": seed,
            "success": seed < successes,
            "best_stage": 4,
            "steps": 90 + seed,
            "plans": 2,
            "plan_seconds": 1.0,
        }
        for seed in range(count)
    ]
    return "".join(json.dumps({"campaign": {"planner": planner}, "outcome": row}) + "\n" for row in rows)


def test_evaluations_are_compared_with_their_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "direct.jsonl").write_text(log_lines("direct", 6, 10) + '{"campaign": {"pla')
    (tmp_path / "best.jsonl").write_text(log_lines("best_of_n", 10, 10))
    names = [str(tmp_path / name) for name in ("direct.jsonl", "best.jsonl")]
    assert cosmos_policy(["report", *names, "--out", str(tmp_path / "report"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    text = Path(summary["page"]).read_text()
    assert "6 of 10" in text
    assert "31% to 83%" in text
    assert "6, 7, 8, 9" in text
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "lengths.png",
        "report.html",
        "success.png",
        "thinking.png",
    ]


def test_success_rates_are_bars_with_error_bars() -> None:
    rows = [TrialRow(seed, seed > 0, 100, 2, 1.0, 4) for seed in range(4)]
    axes = new_figure(4, 2).subplots()
    draw_success(axes, {"direct": rows, "best": rows[1:]})
    assert [bar.get_width() for bar in axes.patches] == [0.75, 1.0]
    assert trial_table({"direct": rows})[1][1] == "3 of 4"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        ([], "Give a bag"),
        (["{folder}"], "a report is about one bag"),
        (["{folder}/empty.jsonl"], "holds no finished trial"),
    ],
)
def test_what_cannot_be_reported_on_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert cosmos_policy(["report", *(word.format(folder=tmp_path) for word in words)]) == 2
    assert sentence in capsys.readouterr().err
