"""The benchmark of the graph: what it runs, what it refuses, and one short run of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cosmos_policy.bench import control
from cosmos_policy.bench.jitter import measure
from cosmos_policy.bench.processes import processor_seconds
from cosmos_policy_core import cli
from cosmos_policy_core.embodiment import Embodiment

SETUP = control.Setup(5.0, "best_of_n", 8, 0.0, 20, True)
NUMBERS = {"p50_ms", "p99_ms", "max_ms"}


def test_it_runs_drivers_cameras_and_planner_at_the_rates_of_the_real_cell(tmp_path: Path) -> None:
    contract, real = control.robot(SETUP), Embodiment.load("aloha")
    assert {(camera.width, camera.height, camera.rate) for camera in contract.cameras} == {(640, 480, 60.0)}
    assert (contract.state_rate, contract.command_rate) == (real.state_rate, real.command_rate)
    (tmp_path / "contract.yaml").write_text(contract.to_yaml())
    specs = control.nodes(SETUP, contract, tmp_path)
    assert sorted({spec.name for spec in specs}) == [
        "arm_driver",
        "camera",
        "chunk_executor",
        "emergency_stop",
        "motors",
        "planner",
        "policy",
    ]
    assert {spec.parameters["rate"] for spec in specs if spec.name == "camera"} == {60.0}
    assert {spec.parameters["rate"] for spec in specs if spec.name == "arm_driver"} == {100.0}
    commanding = [spec for spec in specs if spec.name in ("arm_driver", "chunk_executor")]
    assert {spec.parameters["realtime_priority"] for spec in commanding} == {20}


def test_without_a_planner_only_arms_cameras_and_executor_run(tmp_path: Path) -> None:
    alone = control.Setup(5.0, "none", 8, 10.0, 0, True)
    contract = control.robot(alone)
    (tmp_path / "contract.yaml").write_text(contract.to_yaml())
    names = {spec.name for spec in control.nodes(alone, contract, tmp_path)}
    assert names == {"motors", "arm_driver", "camera", "chunk_executor", "emergency_stop"}


def test_processor_time_is_that_of_the_process() -> None:
    import os

    before, end = processor_seconds(os.getpid()), time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert processor_seconds(os.getpid()) - before >= 0.05
    assert processor_seconds(2**22 + 1) == 0.0


def test_an_empty_loop_is_measured_beside_the_graph() -> None:
    assert set(measure(0.01, 0.1)) == NUMBERS


@pytest.mark.parametrize("words", [["--seconds", "1"], ["--candidates", "0"]])
def test_numbers_that_measure_nothing_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "control", *words]) == 2
    assert "at least" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_short_run_reports_periods_ages_and_processor_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(control, "WARM_UP", 0.5)
    assert cli.main(["bench", "control", "--planner", "none", "--camera-rate", "10", "--seconds", "5", "--json"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(report["drivers"]) == {"follower_left", "follower_right"}
    for numbers in (report["executor"], *report["drivers"].values(), report["state_age"], report["image_age"]):
        assert set(numbers) >= NUMBERS
    assert report["cpu"]["chunk_executor"] > 0.0
