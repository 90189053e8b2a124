"""`cosmos-policy eval`: closed-loop success rate of a checkpoint in the simulated cell."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cosmos_policy_core.data.seeds import check_recorded, compact, evaluation_sentence, learned_seeds
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.evaluation.campaign import Campaign, Log, Outcome, summarise
from cosmos_policy_core.evaluation.paired import Paired
from cosmos_policy_core.simulated_cell import Domain

PlannerName = Literal["direct", "best_of_n"]


@dataclass(frozen=True)
class Options:
    """Measure how often a checkpoint succeeds in closed loop, headless and faster than real time.

    Examples:
        cosmos-policy eval --checkpoint nano_transfer_cube --planner best_of_n --episodes 50 --seed 5000
        cosmos-policy eval --task candies_in_bowl --planner best_of_n --against direct --report evaluation
        cosmos-policy eval --episodes 300 --seed 20000 --record rollouts     (what the planning model learns from)
    """

    checkpoint: str = "nano_transfer_cube"
    """Checkpoint folder, or the name of a shipped one."""
    planning_checkpoint: str | None = None
    """Checkpoint that imagines and values; the policy itself when left out."""
    task: str = "transfer_cube"
    """Task of the simulated cell: transfer_cube, hurried_transfer, insertion, candies_in_bowl."""
    planner: PlannerName = "direct"
    """Run the policy's own chunk, or the best of several imagined ones."""
    against: PlannerName | None = None
    """Also evaluate this planner on the same seeds, and compare the two in pairs."""
    episodes: int = 50
    """Number of trials."""
    seed: int = 5000
    """Seed of the first trial; the others follow. 5000..9999 are never learned from; record rollouts from 20000 on."""
    preset: Literal["default", "reference"] = "default"
    """Settings of the planner; the options below replace its own (best_of_n)."""
    candidates: int | None = None
    """Chunks per plan (best_of_n); 8 in both presets."""
    futures: int | None = None
    """Imagined futures per chunk (best_of_n); 3 in both presets."""
    values: int | None = None
    """Value predictions per future (best_of_n); 5 in both presets."""
    aggregation: Literal["average", "lcb", "success_vote", "majority_mean"] | None = None
    """How values become one score (best_of_n)."""
    imagine: bool = True
    """--no-imagine values chunks directly, Q(s, a), without imagining where they lead (best_of_n)."""
    depth: int | None = None
    """Chunks looked ahead (best_of_n)."""
    steps: int | None = None
    """Denoising steps of the action query; the checkpoint's default when left out."""
    max_steps: int | None = None
    """Budget of a trial [control steps]; the task's own time limit when left out."""
    thinking: float = 0.4
    """Time the arms rest in the cell while a plan is made [s]."""
    domain: Annotated[Domain, tyro.conf.arg(name="")] = field(default_factory=Domain)
    embodiment: str = "aloha_sim"
    """Contract: a name or a YAML file."""
    workers: int = 0
    """Processes; 0: one per core."""
    ros: bool = False
    """Run the trials through the whole ROS graph, one after the other, in real processes."""
    log: Path | None = None
    """File of finished trials, one JSON line each; given again, the campaign continues if its weights are the same."""
    record: Path | None = None
    """Folder that gets every trial as an episode, failures included, to learn from; of one planner and its weights."""
    report: Path | None = None
    """Folder for a page with figures, and films and a sheet of failures."""
    films: int = 6
    """Failures that are filmed for the report."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Evaluate, summarise, print."""
    _check(options)
    console = Console(stderr=True)
    campaign = _campaign(options)
    trained = _trained_on(campaign, options, console)
    if options.record is not None and (sentence := evaluation_sentence(_seeds(options))):
        console.print(sentence, style="yellow", soft_wrap=True)
    if options.log is not None or options.record is not None:
        campaign = _identified(campaign)
    started = time.monotonic()
    outcomes = _run(campaign, options, console)
    summary = summarise(campaign, outcomes, time.monotonic() - started) | {"trained_on_seeds": trained}
    _tell(summary, console)
    evaluations = {campaign.planner: (campaign, outcomes)}
    if options.against is not None:
        other = replace(campaign, planner=options.against)
        started = time.monotonic()
        others = _run(other, options, console)
        summary["against"] = summarise(other, others, time.monotonic() - started)
        _tell(summary["against"], console)
        paired = Paired.of(_successes(others), _successes(outcomes))
        summary["paired"] = paired.summary()
        evaluations[other.planner] = (other, others)
        low, high = paired.interval()
        console.print(
            f"{campaign.planner} against {other.planner} on {paired.trials} shared seeds: {paired.difference:+.1%} "
            f"(95 % interval {low:+.1%} to {high:+.1%}, exact McNemar p {paired.p_value:.2g}); "
            f"only {campaign.planner} succeeded {paired.only_second} times, only {other.planner} {paired.only_first}"
        )
    if options.report is not None:
        from cosmos_policy_core.evaluation.report.evaluation_report import write_report

        console.print(f"report: {write_report(options.report, evaluations, summary, options.films)}", soft_wrap=True)
    if options.json:
        print(json.dumps(summary))
    return 0


_AT_LEAST_ONE = ("episodes", "candidates", "futures", "values", "depth", "steps", "max_steps")
_NOT_NEGATIVE = ("workers", "seed", "films", "thinking")


def _check(options: Options) -> None:
    check_least(options, _AT_LEAST_ONE, 1)
    check_least(options, _NOT_NEGATIVE, 0)
    if options.against == options.planner:
        raise ConfigurationError(f"--against {options.against}: is what --planner says. Name the other planner.")
    if options.record is not None and (options.against is not None or options.ros):
        raise ConfigurationError(
            "--record keeps the trials of one planner, run in this process. Leave --against and --ros out."
        )
    if options.record is not None:
        check_recorded(_seeds(options))


def check_least(options: Any, names: Sequence[str], least: int) -> None:
    """Refuse options below a bound; those that were left out are as they should be.

    Raises:
        ConfigurationError: naming the option, its value and the bound.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and not value >= least:
            raise ConfigurationError(f"--{name.replace('_', '-')} is {value}. Use at least {least}.")


def _seeds(options: Options) -> range:
    return range(options.seed, options.seed + options.episodes)


def _trained_on(campaign: Campaign, options: Options, console: Console) -> int:
    """Count the trials whose scenes the checkpoints learned from, and warn of them."""
    learned = learned_seeds(campaign.checkpoint)
    if campaign.planner != "direct" or options.against not in (None, "direct"):
        learned = learned | learned_seeds(campaign.planning_checkpoint or campaign.checkpoint)
    found = learned.intersection(_seeds(options))
    if found:
        console.print(
            f"{len(found)} of {options.episodes} seeds were trained on ({compact(found)}): what succeeds there proves "
            "nothing. Evaluate on others.",
            style="yellow",
            soft_wrap=True,
        )
    return len(found)


def _campaign(options: Options) -> Campaign:
    return Campaign(
        checkpoint=options.checkpoint,
        planner=options.planner,
        planning_checkpoint=options.planning_checkpoint,
        task=options.task,
        preset=options.preset,
        candidates=options.candidates,
        futures=options.futures,
        values=options.values,
        aggregation=options.aggregation,
        imagine=None if options.imagine else False,
        depth=options.depth,
        embodiment=options.embodiment,
        max_steps=options.max_steps,
        thinking=options.thinking,
        steps=options.steps,
        ros=options.ros,
        **asdict(options.domain),
    )


def _identified(campaign: Campaign) -> Campaign:
    from cosmos_policy_core.model.checkpoint import identify

    return replace(
        campaign,
        policy_identity=identify(campaign.checkpoint),
        planning_identity=identify(campaign.planning_checkpoint) if campaign.planning_checkpoint else "",
    )


def _run(campaign: Campaign, options: Options, console: Console) -> list[Outcome]:
    """Run what the log does not already have; outcomes in the order of their seeds."""
    seeds = _seeds(options)
    log = Log(options.log, campaign) if options.log else None
    done = {seed: outcome for seed, outcome in (log.read() if log else {}).items() if seed in seeds}
    if options.record is not None:
        from cosmos_policy_core.evaluation.recording import recorded

        kept = recorded(options.record, seeds, campaign)
        done = {seed: outcome for seed, outcome in done.items() if seed in kept}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(campaign.planner, total=len(seeds), completed=len(done))
        for outcome in _trials(campaign, [seed for seed in seeds if seed not in done], options):
            done[outcome.seed] = outcome
            if log:
                log.append(outcome)
            successes = sum(each.success for each in done.values())
            progress.update(task, completed=len(done), description=f"{campaign.planner}: {successes} of {len(done)}")
    return [done[seed] for seed in sorted(done)]


def _trials(campaign: Campaign, seeds: Sequence[int], options: Options) -> Iterator[Outcome]:
    if not options.ros:
        from cosmos_policy_core.evaluation.worker import evaluate

        return evaluate(campaign, seeds, options.workers or os.cpu_count() or 1, options.record)
    from cosmos_policy_core.commands.with_ros import nodes_module

    return nodes_module("cosmos_policy.graph_trials", "eval --ros runs").run(campaign, seeds)


def _successes(outcomes: Sequence[Outcome]) -> dict[int, bool]:
    return {outcome.seed: outcome.success for outcome in outcomes}


def _tell(summary: dict[str, Any], console: Console) -> None:
    low, high = summary["interval_95"]
    console.print(
        f"{summary['planner']}: {summary['successes']} of {summary['episodes']} succeeded "
        f"({summary['success_rate']:.0%}, 95 % interval {low:.0%} to {high:.0%}); "
        f"failures: {_counts(summary['failures'])}; "
        f"plan {summary['plan_seconds_median']:.2f} s median"
    )


def _counts(failures: dict[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in failures.items()) or "none"
