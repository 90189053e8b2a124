"""What is evaluated, what came of each trial, and what all of them say; on disk, so that a campaign continues."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosmos_policy_core.evaluation import json_lines
from cosmos_policy_core.evaluation.intervals import wilson
from cosmos_policy_core.simulated_cell import Domain

LAST_STAGE = 4  # of every task of the cell: it is accomplished now, if only for a moment
UNWATCHED = -1  # stage of a trial that was only seen to succeed or fail


@dataclass(frozen=True)
class Campaign(Domain):
    """What is evaluated; the same campaign with the same seeds gives the same trials.

    planner: direct or best_of_n. planning_checkpoint: imagines and values; the policy itself when None.
    preset: of the planner; the fields after it replace its own where given. imagine False: Q(s, a).
    max_steps: budget of a trial in control steps; the task's own when None.
    """

    checkpoint: str
    planner: str = "direct"
    planning_checkpoint: str | None = None
    task: str = "transfer_cube"
    preset: str = "default"
    candidates: int | None = None
    futures: int | None = None
    values: int | None = None
    aggregation: str | None = None
    imagine: bool | None = None
    depth: int | None = None
    embodiment: str = "aloha_sim"
    max_steps: int | None = None
    thinking: float = 0.4
    steps: int | None = None
    """Denoising steps of the action query; the checkpoint's default when None."""
    ros: bool = False
    """Through the graph, in real processes, whose plans take their own time instead of `thinking`."""
    policy_identity: str = ""
    planning_identity: str = ""
    """Which weights the checkpoints held, because a path stays the same when they change; empty where nobody asks."""


@dataclass(frozen=True)
class Outcome:
    """One trial in numbers.

    best_stage: UNWATCHED where nobody watched the stages. ended: how a failure ended, the name of the best stage or a
    reason.
    """

    seed: int
    success: bool
    best_stage: int
    steps: int
    plans: int
    plan_seconds: float
    success_score: float = 0.0
    ended: str = ""


def summarise(campaign: Campaign, outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Success rate with its 95 % Wilson interval, and how far the failures got; None where nobody watched that."""
    successes = sum(outcome.success for outcome in outcomes)
    low, high = wilson(successes, len(outcomes))
    failed = [outcome for outcome in outcomes if not outcome.success]
    stages = sorted(outcome.best_stage for outcome in failed)
    endings = [outcome.ended for outcome in sorted(failed, key=lambda outcome: outcome.best_stage)]
    watched = all(outcome.best_stage != UNWATCHED for outcome in outcomes)
    times = sorted(outcome.plan_seconds / max(outcome.plans, 1) for outcome in outcomes)
    return {
        "task": campaign.task,
        "planner": campaign.planner,
        "checkpoint": campaign.checkpoint,
        "planning_checkpoint": campaign.planning_checkpoint,
        "domain": campaign.changes,
        "episodes": len(outcomes),
        "successes": successes,
        "success_rate": round(successes / len(outcomes), 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "mean_score": round(sum(outcome.success_score for outcome in outcomes) / len(outcomes), 4),
        "published_criterion": sum(outcome.best_stage >= LAST_STAGE for outcome in outcomes) if watched else None,
        "failed_at_stage": {str(stage): stages.count(stage) for stage in dict.fromkeys(stages)} if watched else None,
        "failures": {ended: endings.count(ended) for ended in dict.fromkeys(endings)},
        "failed_seeds": sorted(outcome.seed for outcome in failed),
        "plan_seconds_median": round(times[len(times) // 2], 4),
        "seconds": round(seconds, 1),
    }


class Log:
    """Outcomes on disk, one JSON line each, so that an interrupted campaign continues."""

    def __init__(self, path: Path, campaign: Campaign) -> None:
        self._path, self._campaign = path, campaign

    def read(self) -> dict[int, Outcome]:
        """Outcomes of this very campaign, by seed; lines of other settings are passed over."""
        found = {}
        for row in json_lines.rows(self._path):
            try:
                outcome = Outcome(**row["outcome"])
                same = _same(row["campaign"], self._campaign)
            except (ValueError, KeyError, TypeError):  # not a line of ours
                continue
            if same:
                found[outcome.seed] = outcome
        return found

    def append(self, outcome: Outcome) -> None:
        """Add a line, and bring it to the disk."""
        json_lines.append(self._path, {"campaign": asdict(self._campaign), "outcome": asdict(outcome)})


def _same(row: dict[str, Any], campaign: Campaign) -> bool:
    """Compare with a logged campaign; settings that it did not know yet had their defaults."""
    return {**_plain(Campaign("")), **row} == _plain(campaign)


def _plain(campaign: Campaign) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(campaign)))  # a range is a list in a line of JSON
    return plain
