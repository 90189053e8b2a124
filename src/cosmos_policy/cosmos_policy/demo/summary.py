"""What a demonstration came to: one screen for people, one line for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.panel import Panel
from rich.table import Table

from cosmos_policy.demo.display import WIDTH
from cosmos_policy.demo.history import History
from cosmos_policy.run_task import TaskOutcome


@dataclass(frozen=True)
class Summary:
    """The result of one demonstration. Seconds are wall time unless named otherwise."""

    task: str
    planner: str
    seed: int
    succeeded: bool
    termination: str
    message: str
    chunks_executed: int
    task_node_seconds: float
    bringup_to_first_chunk_seconds: float | None
    total_seconds: float
    plans: int
    mean_plan_seconds: float | None
    chosen_values: tuple[float, ...]
    files: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        return asdict(self)


def summarise(
    outcome: TaskOutcome,
    history: History,
    *,
    task: str,
    planner: str,
    seed: int,
    began: float,
    ended: float,
    files: Mapping[str, Path],
) -> Summary:
    """Put the numbers of a demonstration together; `began` and `ended` are monotonic times [s]."""
    plan_seconds = [sum(plan.stages.values()) for plan in history.plans]
    first = history.first_execution
    return Summary(
        task=task,
        planner=planner,
        seed=seed,
        succeeded=outcome.succeeded,
        termination=outcome.reason,
        message=outcome.message,
        chunks_executed=outcome.chunks_executed,
        task_node_seconds=round(outcome.duration, 2),
        bringup_to_first_chunk_seconds=None if first is None else round(first - began, 2),
        total_seconds=round(ended - began, 2),
        plans=len(history.plans),
        mean_plan_seconds=round(float(np.mean(plan_seconds)), 3) if plan_seconds else None,
        chosen_values=tuple(round(float(plan.values[plan.chosen]), 4) for plan in history.plans),
        files={name: str(path) for name, path in files.items()},
    )


def screen(summary: Summary) -> Panel:
    """Lay a summary out on one screen."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    verdict = "[bold green]SUCCESS" if summary.succeeded else f"[bold red]FAILED[/] ({summary.termination})"
    table.add_row("task", f"{summary.task}, scene {summary.seed}")
    table.add_row("result", verdict)
    if summary.message:
        table.add_row("reason", summary.message)
    table.add_row("planner", f"{summary.planner}, {summary.plans} plan(s), {summary.chunks_executed} chunk(s) executed")
    if summary.mean_plan_seconds is not None:
        values = ", ".join(f"{value:.3f}" for value in summary.chosen_values)
        table.add_row("plans", f"{summary.mean_plan_seconds:.2f} s each; value of the choices: {values}")
    if summary.bringup_to_first_chunk_seconds is not None:
        table.add_row("first motion", f"{summary.bringup_to_first_chunk_seconds:.1f} s after the start")
    table.add_row("time", f"task {summary.task_node_seconds:.1f} s of robot time, {summary.total_seconds:.1f} s in all")
    for name, path in summary.files.items():
        table.add_row(name, path)
    return Panel(table, title="demo", width=WIDTH, border_style="green" if summary.succeeded else "red")
