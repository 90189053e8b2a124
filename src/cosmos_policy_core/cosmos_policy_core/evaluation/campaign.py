"""Many trials over several processes, resumable, summarised honestly."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosmos_policy_core.errors import CosmosPolicyError
from cosmos_policy_core.evaluation.intervals import wilson


@dataclass(frozen=True)
class Campaign:
    """What is evaluated; the same campaign with the same seeds gives the same trials.

    planner: direct or best_of_n. planning_checkpoint: imagines and values; the policy itself when None.
    """

    checkpoint: str
    planner: str = "direct"
    planning_checkpoint: str | None = None
    candidates: int = 8
    futures: int = 3
    values: int = 5
    aggregation: str = "majority_mean"
    embodiment: str = "aloha_sim"
    max_steps: int = 200
    thinking: float = 0.4
    steps: int | None = None
    """Denoising steps of the action query; the checkpoint's default when None."""


@dataclass(frozen=True)
class Outcome:
    """One trial in numbers."""

    seed: int
    success: bool
    best_stage: int
    steps: int
    plans: int
    plan_seconds: float


def evaluate(campaign: Campaign, seeds: Sequence[int], workers: int) -> Iterator[Outcome]:
    """Run the seeds in several processes; yields outcomes as they finish."""
    if workers <= 1 or len(seeds) <= 1:
        _Worker.start(campaign)
        yield from map(_Worker.run, seeds)
        return
    context = multiprocessing.get_context("spawn")  # neither a renderer nor a thread pool survives a fork
    with ProcessPoolExecutor(
        min(workers, len(seeds)), context, initializer=_Worker.start, initargs=(campaign,)
    ) as pool:
        futures = [pool.submit(_Worker.run, seed) for seed in seeds]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def summarise(campaign: Campaign, task: str, outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Success rate with its 95 % Wilson interval, and how far the failures got."""
    successes = sum(outcome.success for outcome in outcomes)
    reached = sum(outcome.best_stage >= 4 for outcome in outcomes)
    low, high = wilson(successes, len(outcomes))
    stages = [outcome.best_stage for outcome in outcomes if not outcome.success]
    times = sorted(outcome.plan_seconds / max(outcome.plans, 1) for outcome in outcomes)
    return {
        "task": task,
        "planner": campaign.planner,
        "checkpoint": campaign.checkpoint,
        "episodes": len(outcomes),
        "successes": successes,
        "success_rate": round(successes / len(outcomes), 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "published_criterion": reached,
        "failed_at_stage": {str(stage): stages.count(stage) for stage in sorted(set(stages))},
        "failed_seeds": sorted(outcome.seed for outcome in outcomes if not outcome.success),
        "plan_seconds_median": round(times[len(times) // 2], 4),
        "seconds": round(seconds, 1),
    }


class Log:
    """Outcomes on disk, one JSON line each, so that an interrupted campaign continues."""

    def __init__(self, path: Path, campaign: Campaign) -> None:
        self._path, self._key = path, asdict(campaign)

    def read(self) -> dict[int, Outcome]:
        """Outcomes of this very campaign, by seed; lines of other settings are passed over."""
        if not self._path.exists():
            return {}
        rows = [json.loads(line) for line in self._path.read_text().splitlines() if line.endswith("}")]
        return {row["outcome"]["seed"]: Outcome(**row["outcome"]) for row in rows if row["campaign"] == self._key}

    def append(self, outcome: Outcome) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"campaign": self._key, "outcome": asdict(outcome)}) + "\n")


class _Worker:
    """What one process holds: its cell and its models, made once."""

    environment: Any
    planner: Any
    instruction: str
    options: Any
    problem: CosmosPolicyError | None = None

    @classmethod
    def start(cls, campaign: Campaign) -> None:
        """Load everything; a user's mistake is kept for `run`, because a pool hides what its initialiser raises."""
        cls.problem = None
        try:
            cls._load(campaign)
        except CosmosPolicyError as error:
            cls.problem = error

    @classmethod
    def _load(cls, campaign: Campaign) -> None:
        os.environ.setdefault("LP_NUM_THREADS", "1")
        import torch

        from cosmos_policy_core.data.collection import make_cell
        from cosmos_policy_core.embodiment import Embodiment
        from cosmos_policy_core.evaluation.rollout import RolloutOptions
        from cosmos_policy_core.model.policy import CosmosPolicy
        from cosmos_policy_core.planning.planner import BestOfN, Direct

        torch.set_num_threads(1)
        contract = Embodiment.load(campaign.embodiment)
        policy = CosmosPolicy.from_pretrained(campaign.checkpoint)
        policy.check(contract)
        if campaign.planner == "direct":
            cls.planner = Direct(policy, campaign.steps)
        else:
            world = (
                policy
                if campaign.planning_checkpoint is None
                else CosmosPolicy.from_pretrained(campaign.planning_checkpoint)
            )
            world.check(contract)
            cls.planner = BestOfN(
                policy,
                world,
                campaign.candidates,
                campaign.futures,
                campaign.values,
                campaign.aggregation,
                campaign.steps,
            )
        cls.environment = make_cell(contract, render=False, max_episode_steps=10 * campaign.max_steps)
        cls.instruction = cls.environment.unwrapped.cell.settings.instruction
        cls.options = RolloutOptions(campaign.max_steps, contract.executed_steps, campaign.thinking)

    @classmethod
    def run(cls, seed: int) -> Outcome:
        from cosmos_policy_core.evaluation.rollout import run_trial

        if cls.problem is not None:
            raise cls.problem
        trial = run_trial(cls.environment, cls.planner, cls.instruction, seed, cls.options)
        return Outcome(
            seed=seed,
            success=trial.success,
            best_stage=trial.best_stage,
            steps=trial.steps,
            plans=len(trial.plans),
            plan_seconds=round(sum(sum(plan.stages.values()) for plan in trial.plans), 4),
        )
