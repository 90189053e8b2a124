"""Success rates come with honest intervals."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_policy_core.errors import CheckpointError
from cosmos_policy_core.evaluation.campaign import Campaign, Log, Outcome, evaluate, summarise
from cosmos_policy_core.evaluation.intervals import wilson


def test_the_wilson_interval_matches_published_values() -> None:
    assert wilson(88, 100) == pytest.approx((0.8019, 0.9300), abs=1e-3)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == pytest.approx(1)


def test_an_interval_without_trials_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        wilson(0, 0)


def test_a_summary_counts_failures_by_the_stage_they_reached() -> None:
    outcomes = [
        Outcome(5000, True, 4, 100, 2, 0.2),
        Outcome(5001, False, 2, 200, 4, 0.4),
        Outcome(5002, False, 2, 200, 4, 0.4),
    ]
    summary = summarise(Campaign("c"), "transfer_cube", outcomes, 1.0)
    assert summary["successes"] == 1
    assert summary["failed_at_stage"] == {"2": 2}
    assert summary["failed_seeds"] == [5001, 5002]


def test_a_log_gives_back_the_trials_of_its_own_campaign_only(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    outcome = Outcome(5000, True, 4, 100, 2, 0.2)
    Log(path, Campaign("a")).append(outcome)
    with path.open("a") as file:
        file.write('{"campaign": {"checkpoint": "a"')  # a run that was killed while writing
    assert Log(path, Campaign("a")).read() == {5000: outcome}
    assert Log(path, Campaign("b")).read() == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_checkpoint_that_cannot_be_loaded_is_one_sentence_in_every_process(tmp_path: Path, workers: int) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint folder"):
        list(evaluate(Campaign(str(tmp_path)), [5000, 5001], workers))
