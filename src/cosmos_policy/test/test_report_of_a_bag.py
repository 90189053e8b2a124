"""A recorded run becomes a page: plans of the running graph's own messages, read back without ROS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bag_files import CATALOG as TYPES
from bag_files import START, Event, small_contract, write_bag
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from cosmos_policy.messages import chunk_message, stage_message
from cosmos_policy_core.cli import main as cosmos_policy
from cosmos_policy_core.data import jpeg
from cosmos_policy_core.evaluation.report.from_bag import run_from_bag
from cosmos_policy_core.evaluation.report.plans import MODES, PLANNERS, STAGES
from cosmos_policy_msgs.action import ExecuteChunk
from cosmos_policy_msgs.msg import PlanReport, ScoredChunk, StageTime

CONTRACT = small_contract()


def report(index: int, seconds: float) -> PlanReport:
    """A plan made so many seconds into the recording, with a grey future of every camera."""
    made = START + round(seconds * 1e9)
    stamp = Time(sec=made // 10**9, nanosec=made % 10**9)
    actions = np.tile(CONTRACT.start_action, (CONTRACT.chunk_horizon, 1))
    message = PlanReport(
        planner=PlanReport.BEST_OF_N, plan_index=index, chosen=1, instruction="transfer", observation_stamp=stamp
    )
    message.header.stamp = stamp
    message.candidate_values = [0.25, 0.75]
    message.candidates = [
        chunk_message(actions, CONTRACT, observation_stamp=stamp, stamp=stamp, candidate_id=k) for k in range(2)
    ]
    message.scores = [
        ScoredChunk(candidate_id=k, futures=3, members=5, values=[0.5] * 15, evaluated=[True] * 15) for k in range(2)
    ]
    message.stages = [stage_message(StageTime.PROPOSE, 0.5)]
    grey = jpeg.encode(np.full((24, 32, 3), 128, np.uint8))
    message.imagined_images = [CompressedImage(format="jpeg", data=grey) for _ in CONTRACT.cameras]
    return message


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def with_plans(events: list[Event]) -> list[Event]:
        kind, made = "cosmos_policy_msgs/msg/PlanReport", []
        for number in range(2):
            seconds = 0.2 + 0.5 * number
            data = serialize_message(report(number, seconds))
            made.append(("/plan_report", START + round(seconds * 1e9), TYPES._store.deserialize_cdr(data, kind)))
        return sorted([*events, *made], key=lambda event: event[1])

    return write_bag(tmp_path_factory.mktemp("bags"), CONTRACT, seconds=1.5, spoil=with_plans)


def test_plans_joints_and_comparisons_are_read_from_a_bag(bag: Path) -> None:
    run = run_from_bag(bag)
    assert [plan.index for plan in run.plans] == [0, 1]
    assert run.plans[0].value == 0.75
    assert run.plans[0].members.shape == (2, 15)
    assert run.tracking_error().values.max() < 0.02
    assert [(each.plan, each.camera) for each in run.comparisons] == [
        (plan, camera.name) for camera in CONTRACT.cameras for plan in (0, 1)
    ]
    assert int(run.comparisons[0].imagined[0, 0, 0]) == 128


def test_the_command_writes_page_figures_and_film(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cosmos_policy(["report", str(bag), "--out", str(tmp_path / "out"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["plans"] == 2
    assert (tmp_path / "out" / "run.mp4").stat().st_size > 1000
    text = (tmp_path / "out" / "report.html").read_text()
    assert "success (operator)" in text
    assert 'src="run.mp4"' in text


def test_names_in_reports_are_those_of_the_messages() -> None:
    for names, kind in ((PLANNERS, PlanReport), (MODES, PlanReport), (MODES, ExecuteChunk.Goal), (STAGES, StageTime)):
        assert [getattr(kind, name.upper()) for name in names] == list(range(len(names)))
