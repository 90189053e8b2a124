"""Trials of an evaluation through the running graph: the same scenes, seeds and budgets, in real processes."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aloha_nodes.qos import REPORTS
from cosmos_policy.demo.graph_process import GraphProcess
from cosmos_policy.errors import DemoError, NoAnswer
from cosmos_policy.run_task import Commander
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.evaluation.campaign import UNWATCHED, Campaign, Outcome
from cosmos_policy_msgs.msg import PlanReport

BRING_UP = 120.0  # [s] wall time; a checkpoint takes longest
TRIAL = 300.0  # [s] wall time
READY_SEED = 4999  # a scene nobody evaluates, for the first plan: it waits for everything


def run(campaign: Campaign, seeds: Sequence[int]) -> Iterator[Outcome]:
    """Bring a graph up, run the seeds one after the other, take it down.

    Raises:
        ConfigurationError: a setting of the campaign that the graph's launch arguments do not have.
        DemoError, NoAnswer: the graph ended, does not answer, or another one runs in this ROS domain.
    """
    arguments = graph_arguments(campaign)
    contract = Embodiment.load(campaign.embodiment)
    steps = campaign.max_steps or _time_limit(contract, campaign.task)
    chunks = math.ceil(steps / contract.executed_steps)
    with tempfile.TemporaryDirectory(prefix="cosmos_policy_eval_") as folder, Commander("evaluation") as commander:
        reports: list[PlanReport] = []
        commander.node.create_subscription(PlanReport, "/plan_report", reports.append, REPORTS)
        _be_alone(commander)
        with GraphProcess(arguments, Path(folder) / "graph.log") as graph:
            _wait(commander, graph)
            instruction = commander.reset_cell(READY_SEED).instruction
            commander.run_task(instruction, max_chunks=1, timeout=TRIAL, check=graph.check)
            for seed in seeds:
                reports.clear()
                commander.reset_cell(seed)
                outcome = commander.run_task(
                    instruction, max_chunks=chunks, seed=seed, timeout=TRIAL, check=graph.check
                )
                planning = sum(sum(stage.seconds for stage in report.stages) for report in reports)
                yield Outcome(
                    seed=seed,
                    success=outcome.succeeded,
                    best_stage=UNWATCHED,  # the graph only says whether the task succeeded
                    steps=outcome.chunks_executed * contract.executed_steps,
                    plans=len(reports),
                    plan_seconds=round(planning, 4),
                    success_score=float(outcome.succeeded),
                    ended="" if outcome.succeeded else outcome.reason.lower().replace("_", " "),
                )


def graph_arguments(campaign: Campaign) -> Mapping[str, str]:
    """Say a campaign in launch arguments of aloha_bringup, as typed.

    Raises:
        ConfigurationError: a setting that the graph has no argument for.
    """
    unsupported = [name for name in ("imagine", "steps") if getattr(campaign, name) is not None]
    unsupported += campaign.changes
    if unsupported:
        option = unsupported[0].replace("_", "-")
        raise ConfigurationError(f"eval --ros: --{option} is not an argument of the graph. Leave it or --ros out.")
    given: dict[str, Any] = {
        "robot": "sim",
        "embodiment": campaign.embodiment,
        "task": campaign.task,
        "planner": campaign.planner,
        "checkpoint": campaign.checkpoint,
        "planning_checkpoint": campaign.planning_checkpoint,
        "preset": campaign.preset,
        "candidates": campaign.candidates,
        "futures": campaign.futures,
        "values": campaign.values,
        "aggregation": campaign.aggregation,
        "depth": campaign.depth,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def _time_limit(contract: Embodiment, task: str) -> int:
    from cosmos_policy_core.simulated_cell import make_cell

    cell = make_cell(contract, task, render=False)
    try:
        return int(cell.unwrapped.cell.task.max_steps)
    finally:
        cell.close()


def _be_alone(commander: Commander) -> None:
    time.sleep(0.5)  # discovery
    if commander.planner_is_there:
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        raise DemoError(f"a graph already runs in ROS domain {domain}. End it, or set ROS_DOMAIN_ID to another one.")


def _wait(commander: Commander, graph: GraphProcess) -> None:
    """Wait for planner and cell; what else is missing the first task waits for."""
    deadline = time.monotonic() + BRING_UP
    while not (commander.planner_is_there and commander.cell_is_there):
        graph.check()
        if time.monotonic() > deadline:
            raise NoAnswer(f"the graph is not up within {BRING_UP:.0f} s. It says:\n{graph.tail()}")
        time.sleep(0.2)
    time.sleep(0.5)  # those who just appeared get a moment to know us
