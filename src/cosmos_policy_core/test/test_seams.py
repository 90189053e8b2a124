"""Trials with time spent on planning: what each mode does at the seams, and the picture of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos_policy_core import cli
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.seam_pictures import draw
from cosmos_policy_core.evaluation.seams import Thinking, TimedRollout, TimedTrial, summarise
from cosmos_policy_core.execution import ExecutorSettings, Mode
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.planner import Plan
from cosmos_policy_core.simulated_cell import make_cell

CONTRACT = Embodiment.load("aloha_sim")
SETTINGS = ExecutorSettings.from_contract(CONTRACT)


class Waving:
    """A planner that turns both waists on from where they are, in four steps; out of time its first candidate stays."""

    def __init__(self) -> None:
        self.stopped_after: list[int] = []

    def decide(self, observation: Observation, seed: int, plan: int = 0, *, budget: Budget | None = None) -> Plan:
        assert budget is not None
        over = next((steps for steps in range(4) if budget.is_over()), None)
        still = np.tile(CONTRACT.start_action, (CONTRACT.chunk_horizon, 1))
        still[:, [0, 7]] = observation.proprio[[0, 7]]
        actions = still.copy()
        travel = 0.25 * np.arange(1, CONTRACT.chunk_horizon + 1) * CONTRACT.period
        actions[:, [0, 7]] += travel[:, None]
        if over is not None:
            self.stopped_after.append(over)
        chosen = 1 if over is None else 0
        candidates = np.stack([still, actions])
        return Plan(candidates[chosen], chosen, candidates, np.zeros(2), np.zeros(0), (0, 1))


@pytest.fixture(scope="module")
def cell() -> Iterator[Any]:
    made: Any = make_cell(CONTRACT, render=False, control_rate=CONTRACT.command_rate, max_episode_steps=100_000)
    yield made
    made.close()


@pytest.fixture(scope="module")
def trials(cell: Any) -> dict[Mode, TimedTrial]:
    thinking = Thinking(median=0.8, spread=0.0, lead=1.2)
    return {mode: TimedRollout(cell, CONTRACT, Waving(), mode, thinking, 6.0).run(5000) for mode in Mode}


def test_arms_that_hold_rest_at_every_seam_and_drop_nothing(trials: dict[Mode, TimedTrial]) -> None:
    trial = trials[Mode.HOLD]
    assert len(trial.seams) == 2 and trial.idle > 1.5
    assert all(seam.run.mode is Mode.HOLD and seam.run.steps_dropped == 0 for seam in trial.seams)


@pytest.mark.parametrize("mode", [Mode.OVERLAP, Mode.DEADLINE])
def test_arms_that_plan_ahead_never_rest_and_drop_what_has_passed(mode: Mode, trials: dict[Mode, TimedTrial]) -> None:
    trial = trials[mode]
    assert trial.idle == 0.0 and trial.fallbacks == 0 and trial.refusals == []
    assert all((seam.run.mode, seam.run.steps_dropped) == (mode, 20) for seam in trial.seams)
    assert all(seam.run.steps_blended > 0 for seam in trial.seams)


def test_a_plan_out_of_time_gives_the_best_choice_so_far_before_the_seam(cell: Any) -> None:
    slow = Thinking(median=1.6, spread=0.0, lead=1.2)
    late = TimedRollout(cell, CONTRACT, Waving(), Mode.OVERLAP, slow, 4.0).run(5000)
    cut = TimedRollout(cell, CONTRACT, planner := Waving(), Mode.DEADLINE, slow, 4.0).run(5000)
    assert late.idle > 0.2 and late.fallbacks == 0
    assert cut.idle == 0.0 and cut.fallbacks == cut.plans - 1
    assert planner.stopped_after[0] == 2  # 1.08 s of 1.6 s: two of four steps
    assert len(planner.stopped_after) == cut.fallbacks  # later plans begin closer to the seam


def test_numbers_and_picture_of_the_modes(trials: dict[Mode, TimedTrial], tmp_path: Path) -> None:
    numbers = {mode: summarise([trial], SETTINGS) for mode, trial in trials.items()}
    assert numbers[Mode.HOLD]["idle_share"] > 0.2 and numbers[Mode.OVERLAP]["idle_share"] == 0.0
    for summary in numbers.values():
        assert 0.0 < summary["seam_acceleration_max"] < 60.0
        json.dumps(summary)
    draw({mode.name.lower(): trial for mode, trial in trials.items()}, SETTINGS, tmp_path / "seams.png")
    assert (tmp_path / "seams.png").stat().st_size > 10_000


def test_a_comparison_of_no_trials_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "seams", "--episodes", "0"]) == 2
    assert "--episodes" in capsys.readouterr().err
