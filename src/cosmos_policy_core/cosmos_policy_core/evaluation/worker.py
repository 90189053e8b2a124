"""Trials of a campaign in several processes, and what one of them holds: its cell and its models, made once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from cosmos_policy_core.errors import CosmosPolicyError, SimulatorError
from cosmos_policy_core.evaluation.campaign import Campaign, Outcome
from cosmos_policy_core.workers import die_with_parent


def evaluate(campaign: Campaign, seeds: Sequence[int], workers: int, record: Path | None = None) -> Iterator[Outcome]:
    """Run the seeds in several processes; yields outcomes as they finish.

    Args:
        record: folder that gets every trial as an episode, failures included.
    """
    if workers <= 1 or len(seeds) <= 1:
        bench = TrialBench(campaign)
        try:
            yield from (bench.trial(seed, record) for seed in seeds)
        finally:
            bench.close()
        return
    context = multiprocessing.get_context("spawn")  # neither a renderer nor a thread pool survives a fork
    arguments = (campaign, record)
    with ProcessPoolExecutor(min(workers, len(seeds)), context, initializer=Worker.start, initargs=arguments) as pool:
        futures = [pool.submit(Worker.run, seed) for seed in seeds]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise SimulatorError(
                "a process of the evaluation was killed or crashed. Run the same command again; with --log, finished "
                "trials are kept. Use fewer --workers where memory is short."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Worker:
    """Runs trials of one campaign; state of a process, because a pool hands over nothing else."""

    bench: Any = None
    record: Path | None = None
    problem: CosmosPolicyError | None = None

    @classmethod
    def start(cls, campaign: Campaign, record: Path | None) -> None:
        """Load everything; a user's mistake is kept for `run`, because a pool hides what its initialiser raises."""
        die_with_parent()
        cls.record = record
        try:
            cls.bench = TrialBench(campaign)
        except CosmosPolicyError as error:
            cls.problem = error

    @classmethod
    def run(cls, seed: int) -> Outcome:
        """Run one trial."""
        if cls.problem is not None:
            raise cls.problem
        return cls.bench.trial(seed, cls.record)


class TrialBench:
    """A cell, a planner and how trials are run.

    Raises:
        CosmosPolicyError: checkpoint, contract, task or planner settings that cannot be used.
    """

    def __init__(self, campaign: Campaign, threads: int = 1) -> None:
        os.environ.setdefault("LP_NUM_THREADS", "1")
        import torch

        from cosmos_policy_core.embodiment import Embodiment
        from cosmos_policy_core.evaluation.rollout import RolloutOptions
        from cosmos_policy_core.model.policy import CosmosPolicy
        from cosmos_policy_core.simulated_cell import make_cell

        torch.set_num_threads(threads)
        self.campaign = campaign
        self.contract = Embodiment.load(campaign.embodiment)
        self.policy = CosmosPolicy.from_pretrained(campaign.checkpoint)
        self.policy.check(self.contract)
        self.world = self.policy
        if campaign.planning_checkpoint is not None:
            self.world = CosmosPolicy.from_pretrained(campaign.planning_checkpoint)
            self.world.check(self.contract)
        self.planner = self._planner()
        self.environment = make_cell(
            self.contract, campaign.task, render=False, max_episode_steps=1_000_000, **campaign.changes
        )
        cell = self.environment.unwrapped.cell
        self.instruction, self.stages = cell.settings.instruction, tuple(cell.task.stages)
        max_steps = campaign.max_steps or cell.task.max_steps
        self.options = RolloutOptions(max_steps, self.contract.executed_steps, campaign.thinking)

    def _planner(self) -> Any:
        from dataclasses import replace

        from cosmos_policy_core.planning.planner import BestOfN, Direct
        from cosmos_policy_core.planning.presets import preset

        campaign = self.campaign
        base = preset(campaign.preset)
        if campaign.planner == "direct":
            return Direct(self.policy, campaign.steps, base.seeds)
        given: dict[str, Any] = {
            "n": campaign.candidates,
            "futures": campaign.futures,
            "values": campaign.values,
            "aggregate": campaign.aggregation,
            "action_steps": campaign.steps,
            "imagine": campaign.imagine,
            "depth": campaign.depth,
        }
        settings = replace(base, **{key: value for key, value in given.items() if value is not None})
        return BestOfN(self.policy, self.world, settings=settings)

    def trial(self, seed: int, record: Path | None) -> Outcome:
        """Run one trial; with a folder, write it there as an episode, failures included."""
        if record is None:
            return self.run(seed)
        from cosmos_policy_core.data.hdf5 import episode_path, write_episode

        outcome, episode = self.film(seed)
        record.mkdir(parents=True, exist_ok=True)
        write_episode(episode_path(record, seed), episode, self.contract)
        return outcome

    def film(self, seed: int) -> tuple[Outcome, Any]:
        """Run one trial and return its outcome and its episode."""
        from cosmos_policy_core.evaluation.recording import TrialRecorder, domain_text

        recorder = TrialRecorder(self.contract)
        outcome = self.run(seed, recorder.before_step)
        names = {"policy_name": self.policy.identity, "planner": self.campaign.planner, "task": self.campaign.task}
        if self.world is not self.policy:
            names["planning_name"] = self.world.identity
        if self.campaign.changes:
            names["domain"] = domain_text(self.campaign)
        recorder.finish(self.environment.unwrapped)
        return outcome, recorder.episode(self.instruction, outcome, names)

    def run(self, seed: int, before_step: Any = None) -> Outcome:
        """Run one trial."""
        from cosmos_policy_core.evaluation.rollout import run_trial

        trial = run_trial(self.environment, self.planner, self.instruction, seed, self.options, before_step)
        return Outcome(
            seed=seed,
            success=trial.success,
            best_stage=trial.best_stage,
            steps=trial.steps,
            plans=len(trial.plans),
            plan_seconds=round(sum(sum(plan.stages.values()) for plan in trial.plans), 4),
            success_score=trial.success_score,
            ended="" if trial.success else self.stages[trial.best_stage],
        )

    def close(self) -> None:
        """Free the cell's renderer while what it needs is still there."""
        self.environment.close()
