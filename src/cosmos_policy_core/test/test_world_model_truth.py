"""Predictions are held against what the simulator makes of every candidate."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos_policy_core.cli import main as cosmos_policy
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.evaluation.report.page import write_figures
from cosmos_policy_core.evaluation.report.truth import truth_figures
from cosmos_policy_core.evaluation.truth import (
    Fate,
    TruthCheck,
    TruthOptions,
    calibration,
    pairwise_accuracy,
    rank_correlation,
    summarise,
)
from cosmos_policy_core.evaluation.truth_log import TruthLog
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.simulated_cell import make_cell


def fate(predicted: float, remaining: int | None, plan: int = 0, candidate: int = 0) -> Fate:
    return Fate(
        seed=1,
        plan=plan,
        candidate=candidate,
        predicted=predicted,
        spread=0.0,
        success=remaining is not None,
        remaining=remaining,
        true_value=0.0 if remaining is None else 0.99**remaining,
        image_error=(0.02,),
        image_still=(0.1,),
        image_floor=(0.01,),
        proprio_error=0.01,
        proprio_still=0.5,
    )


def test_a_value_that_ranks_every_success_above_every_failure_has_accuracy_one() -> None:
    assert pairwise_accuracy([fate(0.9, 10), fate(0.2, None), fate(0.8, 50)]) == 1.0
    assert pairwise_accuracy([fate(0.1, 10), fate(0.2, None)]) == 0.0
    assert pairwise_accuracy([fate(0.2, 10), fate(0.2, None)]) == 0.5


def test_where_all_candidates_end_alike_there_is_nothing_to_rank() -> None:
    assert pairwise_accuracy([fate(0.9, 10), fate(0.2, 20)]) is None
    assert rank_correlation([fate(0.9, None), fate(0.2, None)]) is None


def test_the_rank_correlation_sees_order_alone() -> None:
    fates = [fate(0.01, None), fate(0.02, 90), fate(0.9, 80), fate(0.91, 3)]
    assert rank_correlation(fates) == pytest.approx(1.0)


def test_the_summary_compares_choosing_by_value_with_chance_and_with_a_perfect_choice() -> None:
    good = [fate(0.9, 10, plan=0), fate(0.1, None, plan=0)]
    misled = [fate(0.9, None, plan=1), fate(0.1, 10, plan=1)]
    hopeless = [fate(0.4, None, plan=2), fate(0.3, None, plan=2)]
    summary = summarise(good + misled + hopeless)
    assert (summary["plans"], summary["plans_with_mixed_outcomes"]) == (3, 2)
    assert summary["success_of_all_candidates"] == pytest.approx(2 / 6, abs=1e-4)
    assert summary["success_of_valued_best"] == pytest.approx(1 / 3, abs=1e-4)
    assert summary["success_of_oracle"] == pytest.approx(2 / 3, abs=1e-4)
    assert summary["pairwise_accuracy_within_plans"] == 0.5


def test_candidates_are_executed_from_the_same_instant_and_repeatably(tmp_path_factory: pytest.TempPathFactory) -> None:
    contract = Embodiment.load("aloha_sim")
    policy = CosmosPolicy.from_pretrained("nano_transfer_cube")
    options = TruthOptions(candidates=2, futures=1, values=1, max_steps=100)
    with closing(make_cell(contract, "transfer_cube", render=False, max_episode_steps=10**6)) as environment:
        check = TruthCheck(environment, policy, policy, options)
        runs = [list(check.follow(6001)) for _ in range(2)]
    fates, again = ([fate for fates, _ in run for fate in fates] for run in runs)
    assert [f.candidate for f in fates] == [0, 1, 0, 1]
    assert fates == again
    assert all(f.image_floor < f.image_still and f.proprio_error < f.proprio_still for f in fates[:2])
    sights = [sight for _, sights in runs[0] for sight in sights]
    assert np.array_equal(sights[0].seen, sights[1].seen) and not np.array_equal(sights[0].came, sights[0].seen)
    files = write_figures(tmp_path_factory.mktemp("truth"), truth_figures(fates, sights, contract.camera_names))
    assert all(file.stat().st_size > 10_000 for file in files.values())


def test_values_are_held_against_the_truth_in_bins() -> None:
    low, high = calibration([fate(0.05, None), fate(0.97, 10), fate(1.2, None)])
    assert (low["from"], low["to"], low["candidates"], low["true_value"]) == (0.0, 0.1, 1, 0.0)
    assert (high["candidates"], high["success_rate"]) == (2, 0.5)


def test_chunks_that_the_budget_cut_do_not_count_among_the_errors_of_imagination() -> None:
    cut = replace(fate(0.5, None), image_error=(0.9,), proprio_error=0.9, whole=False)
    summary = summarise([fate(0.5, 10), cut])
    assert (summary["image_error"], summary["proprio_error"], summary["candidates"]) == ([0.02], 0.01, 2)
    assert summarise([cut])["proprio_error"] is None


def test_a_log_gives_back_plans_of_the_same_check_up_to_the_first_damaged_line(tmp_path: Path) -> None:
    path = tmp_path / "plans.jsonl"
    log = TruthLog(path, {"policy_identity": "a@1"})
    for plan in range(3):
        log.append([fate(0.5, 10, plan, 0), fate(0.4, None, plan, 1)])
    log.finish(1)
    assert log.read()[1].whole and len(log.read()[1].fates) == 6
    assert TruthLog(path, {"policy_identity": "a@2"}).read() == {}
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]) + "\n")
    known = log.read()[1]
    assert not known.whole
    assert known.fates == [fate(0.5, 10, 0, 0), fate(0.4, None, 0, 1)]


def test_a_check_that_was_interrupted_continues_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "plans.jsonl"
    words = "--episodes 1 --candidates 1 --futures 1 --values 1 --max-steps 60 --seed 6001 --json --log"
    run = ["eval", "world-model", *words.split(), str(log)]

    def summary() -> dict[str, Any]:
        assert cosmos_policy(run) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return {name: value for name, value in found.items() if name != "seconds"}

    whole, lines = summary(), log.read_text().splitlines()
    assert (whole["plans"], len(lines)) == (2, 3)
    assert summary() == whole and log.read_text().splitlines() == lines
    log.write_text(lines[0] + "\n")
    assert summary() == whole
    assert log.read_text().splitlines() == lines


@pytest.mark.parametrize(("option", "value"), [("--futures", "0"), ("--max-steps", "0"), ("--seed", "-1")])
def test_a_number_that_cannot_be_is_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cosmos_policy(["eval", "world-model", option, value]) == 2
    assert f"{option} is {value}" in capsys.readouterr().err
