"""The numbers of the fault table: how a trace is read, and how a row is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_policy.errors import GraphError
from cosmos_policy.faults.outcome import Outcome
from cosmos_policy.faults.table import BEGIN, END, table, write
from cosmos_policy.faults.traces import Stop, stop, torque

MOVES = {"waist": 0.5, "gripper": 0.0}
RESTS = {"waist": 0.01, "gripper": 0.0}


def trace(path: Path, *rows: tuple[float, dict[str, float], int]) -> Path:
    lines = [json.dumps({"t": t, "speed": speed, "goal": {"1": goal}, "torque": [1, 9]}) for t, speed, goal in rows]
    path.write_text("\n".join([*lines, '{"t": 99.0, "spe']))
    return path


def test_a_stop_is_timed_from_the_last_new_goal_and_the_last_motion(tmp_path: Path) -> None:
    path = trace(
        tmp_path / "trace",
        (10.00, MOVES, 1),
        (10.02, MOVES, 2),
        (10.05, MOVES, 3),
        (10.09, MOVES, 3),
        (10.20, RESTS, 3),
        (12.00, MOVES, 9),  # after the case
    )
    assert stop(path, 10.0, 11.0, grace=0.1) == Stop(pytest.approx(0.05), pytest.approx(0.09), 0, moved=True)
    assert stop(path, 10.0, 11.0, grace=0.03).late == 1
    assert torque(path) == (1, 9)


def test_an_arm_that_never_moved_stopped_at_once_and_a_limp_joint_does_not_count(tmp_path: Path) -> None:
    falling = {"waist": 0.0, "gripper": 0.9}
    path = trace(tmp_path / "trace", (10.0, RESTS, 1), (10.1, falling, 1), (10.2, falling, 1))
    assert stop(path, 10.0, 11.0, grace=0.1, limp=["gripper"]) == Stop(0.0, 0.0, 0, moved=False)


def test_a_row_says_what_happened_and_a_failure_is_shown_as_one() -> None:
    good = Outcome("cable", "hold", "FAULT", ["/tmp/x/ttyDXL_left: gone."], "plug", True, 0.0421, 0.13, 0)
    bad = Outcome("cable", "hold", recovered=True, problem="the arm moved on")
    lines = table([good, bad], 0.1).splitlines()
    assert "Goals later than 100 ms" in lines[0]
    assert lines[2] == "| cable | hold | 42 ms | 130 ms | 0 | `FAULT` /dev/ttyDXL_left: gone. | plug |"
    assert "**the arm moved on**" in lines[3]


def test_the_table_replaces_the_old_one_and_leaves_the_page_alone(tmp_path: Path) -> None:
    page = tmp_path / "safety.md"
    page.write_text(f"# Safety\n\n{BEGIN}\nold\n{END}\n\nMore.\n")
    write(page, "| new |")
    assert page.read_text() == f"# Safety\n\n{BEGIN}\n| new |\n{END}\n\nMore.\n"
    page.write_text("# Safety\n")
    with pytest.raises(GraphError, match="there is no place for the table"):
        write(page, "| new |")
