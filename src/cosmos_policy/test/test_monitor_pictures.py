"""What the monitor draws and writes, from values alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from visualization_msgs.msg import Marker

from cosmos_policy.executor_diagnostics import NAME
from cosmos_policy.monitor.account import SILENCE, Account
from cosmos_policy.monitor.colours import UNKNOWN, ranked_colours
from cosmos_policy.monitor.markers import GREY, STOP_AT, candidate_markers, plan_markers, status_markers
from cosmos_policy.monitor.mosaic import mosaic
from cosmos_policy.monitor.paths import GripperPaths
from cosmos_policy.monitor.words import status_lines, stop_words, text
from cosmos_policy.robot_descriptions import read_description
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.plans import PlanRecord
from cosmos_policy_core.evaluation.report.tiles import CAPTION, TILE
from cosmos_policy_msgs.action import RunTask

CONTRACT = Embodiment.load("aloha_sim")


@pytest.fixture(scope="module")
def paths() -> GripperPaths:
    return GripperPaths.of(CONTRACT, read_description("", CONTRACT), "ee_gripper_link")


@pytest.fixture
def plan() -> PlanRecord:
    """Three candidates; the second one turns the left waist by half a radian and was chosen."""
    candidates = np.tile(CONTRACT.start_action, (3, CONTRACT.chunk_horizon, 1))
    candidates[1, :, CONTRACT.joint_names.index("follower_left/waist")] = np.linspace(0, 0.5, CONTRACT.chunk_horizon)
    return PlanRecord(
        index=4,
        made=20.0,
        observed=19.0,
        instruction="transfer the cube",
        planner="best_of_n",
        mode="hold",
        values=np.array([0.911, 0.913, np.nan]),
        members=np.full((3, 15), 0.9),
        candidates=candidates,
        chosen=1,
        stages={"propose": 0.25, "evaluate": 0.5},
        imagined=(),
    )


def by_namespace(markers: list[Marker], namespace: str) -> list[Marker]:
    return [marker for marker in markers if marker.ns == namespace]


def test_every_candidate_is_a_path_of_both_grippers_in_the_root_frame(plan: PlanRecord, paths: GripperPaths) -> None:
    markers = candidate_markers(plan, paths, "world").markers
    assert markers[0].action == Marker.DELETEALL
    for arm in ("follower_left", "follower_right"):
        lines = by_namespace(markers, arm)
        assert [line.type for line in lines] == [Marker.LINE_STRIP] * 3
        assert {line.header.frame_id for line in lines} == {"world"}
        assert all(len(line.points) == CONTRACT.chunk_horizon for line in lines)


def test_a_turn_of_the_waist_is_an_arc_about_the_base(plan: PlanRecord, paths: GripperPaths) -> None:
    points = paths.of_actions(plan.actions)["follower_left"]
    base = np.array([-0.469, 0.5])
    radii = np.linalg.norm(points[:, :2] - base, axis=1)
    np.testing.assert_allclose(radii, radii[0], atol=1e-9)
    angles = np.arctan2(*(points[:, :2] - base).T[::-1])
    assert angles[-1] - angles[0] == pytest.approx(0.5)


def test_the_chosen_path_is_thick_where_it_will_be_executed(plan: PlanRecord, paths: GripperPaths) -> None:
    thin = by_namespace(candidate_markers(plan, paths, "world").markers, "follower_left")[0]
    executed, rest, end = by_namespace(plan_markers(plan, paths, "world", executed=20).markers, "follower_left")
    assert executed.scale.x > 3 * thin.scale.x
    assert (len(executed.points), len(rest.points)) == (20, CONTRACT.chunk_horizon - 19)
    assert end.pose.position == executed.points[-1]


def test_values_that_differ_little_still_get_colours_that_differ_much(plan: PlanRecord) -> None:
    worst, best, unknown = ranked_colours(plan.values)
    assert np.abs(np.subtract(worst, best)).max() > 0.5
    assert unknown == UNKNOWN


@pytest.mark.parametrize("values", [[0.5, 0.5], [np.nan, np.nan], [1.0]])
def test_values_that_do_not_differ_have_a_colour_too(values: list[float]) -> None:
    assert np.isfinite(ranked_colours(np.array(values))).all()


def test_the_state_is_written_and_a_raised_stop_is_red_and_large(paths: GripperPaths) -> None:
    account = Account()
    small = {}
    for stopped in (None, False, True):
        if stopped is not None:
            account.take_stop(stopped)
        words, ball = status_markers(account, "world").markers
        assert words.type == Marker.TEXT_VIEW_FACING
        assert ball.pose.position.x == STOP_AT[0]
        small[stopped] = (ball.scale.x, ball.color.r, ball.color.g)
    assert small[True][0] > small[False][0]
    assert small[True][1] > 0.8 > small[False][1]
    assert "emergency stop: RAISED" in words.text


def test_the_words_name_task_phase_plan_and_reasons(plan: PlanRecord) -> None:
    account = Account()
    account.take_plan(plan, 0.911, 0.913)
    account.begin_task()
    account.feedback = RunTask.Feedback(phase=RunTask.Feedback.EXECUTING, plan_index=4, step=11, steps=50)
    status = DiagnosticStatus(name="policy", level=DiagnosticStatus.WARN, message="slow")
    account.take_diagnostics(DiagnosticArray(status=[status]))
    words = text(status_lines(account))
    assert "task: transfer the cube" in words
    assert "executing, plan 4, step 12 of 50" in words
    assert "4: best_of_n, 0.75 s, value 0.913, candidate 1 of 3" in words
    assert "reason: policy: slow" in words


def test_the_stop_is_known_from_the_first_report_of_its_owner() -> None:
    account = Account()
    status = DiagnosticStatus(name=NAME, values=[KeyValue(key="emergency_stop", value="false")])
    account.take_diagnostics(DiagnosticArray(status=[status]))
    assert account.stopped is False


class FakeClock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("raised", [False, True])
def test_a_stop_of_which_nobody_speaks_any_more_is_unknown(raised: bool) -> None:
    clock = FakeClock()
    account = Account(clock=clock)
    account.take_stop(raised)
    clock.now += SILENCE + 2.0
    assert stop_words(account).startswith("unknown: nobody has spoken for 5 s")
    _, ball = status_markers(account, "world").markers
    assert (ball.color.r, ball.color.g, ball.color.b) == pytest.approx(GREY)
    account.take_stop(raised)
    assert stop_words(account) == ("RAISED: the arms hold" if raised else "not raised")


def test_a_phase_says_how_old_it_is_when_the_planner_falls_silent() -> None:
    clock = FakeClock()
    account = Account(clock=clock)
    account.take_feedback(RunTask.Feedback(phase=RunTask.Feedback.SCORING, plan_index=2))
    assert ("phase", "scoring, plan 2") in status_lines(account)
    clock.now += SILENCE + 6.0
    assert ("phase", "scoring, plan 2, last heard 9 s ago") in status_lines(account)


def test_a_task_whose_planner_is_gone_is_over() -> None:
    account = Account()
    account.begin_task()
    account.lose_task("the planner is gone")
    assert account.phase == "idle"
    assert ("reason", "the planner is gone") in status_lines(account)


def test_the_end_of_a_task_is_told_with_its_reason() -> None:
    account = Account()
    account.begin_task()
    account.end_task(RunTask.Result(termination=RunTask.Result.BUDGET_SPENT, message="2 chunk(s) without success."))
    assert account.phase == "idle"
    assert ("reason", "budget spent: 2 chunk(s) without success.") in status_lines(account)


def test_a_clock_that_begins_anew_begins_a_new_timeline(plan: PlanRecord) -> None:
    account = Account()
    for made in (20.0, 23.0, 1.0):
        account.take_plan(dataclasses.replace(plan, made=made), 0.0, 1.0)
    assert [point.made for point in account.timeline] == [1.0]


def test_the_mosaic_shows_what_was_seen_above_what_was_imagined() -> None:
    seen = {"a": np.full((30, 40, 3), 200, np.uint8)}
    picture = mosaic(("a", "b"), seen, [np.full((64, 64, 3), 50, np.uint8)], "title")
    assert picture.shape == (2 * (TILE + CAPTION) + CAPTION, 2 * TILE, 3)
    assert picture[2 * CAPTION + 60, 100].tolist() == [200, 200, 200]
    assert picture[3 * CAPTION + TILE + 100, 100].tolist() == [50, 50, 50]
    assert picture[2 * CAPTION + 60, TILE + 100].max() < 60  # nothing came from b


def test_a_robot_without_the_link_has_no_path_and_no_error(plan: PlanRecord) -> None:
    nothing = GripperPaths.of(CONTRACT, read_description("", CONTRACT), "no_such_link")
    assert len(candidate_markers(plan, nothing, "world").markers) == 1
