"""`cosmos-policy statistics`: the numbers that actions and proprioception are normalised with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from cosmos_policy_core.data.layouts import Split, read_folder
from cosmos_policy_core.data.statistics import FILE_NAME, Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DatasetError


@dataclass(frozen=True)
class Options:
    """Summarise the demonstrations below a folder, all tasks pooled; failed episodes do not count.

    Example:
        cosmos-policy statistics demos --embodiment aloha --split train
    """

    folder: tyro.conf.Positional[Path]
    """Folder with episodes, searched to its depths."""
    embodiment: str = "aloha_sim"
    """Contract the episodes belong to: a name or a YAML file."""
    out: Path | None = None
    """File to write; dataset_statistics.json in the folder when left out."""
    split: Split | None = None
    """Only files below a folder of this name."""
    smallest_range: float = 0.0
    """Range given to dimensions that move less [robot units]; 0 refuses those that never move."""
    instruction: str | None = None
    """Task of files that do not say it."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Compute and write the statistics file.

    Raises:
        DatasetError: no episode succeeded.
        StatisticsError: dimensions that never change, by name.
    """
    contract = Embodiment.load(options.embodiment)
    episodes, left_out = read_folder(options.folder, contract, options.split, options.instruction)
    demos = [episode for episode in episodes if episode.success]
    if not demos:
        raise DatasetError(f"{options.folder}: none of {len(episodes)} episodes succeeded. Add demonstrations.")
    actions, proprio = (np.concatenate([getattr(demo, name) for demo in demos]) for name in ("actions", "proprio"))
    statistics = Statistics.of(actions, proprio).widened(options.smallest_range)
    statistics.require_spread(contract.action_names, proprio_names=contract.proprio_names)
    out = options.out or (options.folder if options.folder.is_dir() else options.folder.parent) / FILE_NAME
    out.parent.mkdir(parents=True, exist_ok=True)
    statistics.save(out)
    console = Console(stderr=True)
    for item in left_out:
        console.print(f"left out: {item.reason}", style="red", markup=False, highlight=False)
    console.print(_table(statistics, contract))
    console.print(f"{len(actions)} steps of {len(demos)} demonstrations; {len(left_out)} left out. Wrote {out}.")
    if options.json:
        lists = {key: value.tolist() for key, value in asdict(statistics).items()}
        counts = {"demonstrations": len(demos), "steps": len(actions), "left_out": len(left_out)}
        print(json.dumps({"out": str(out), **counts, **lists}))
    return 0


def _table(statistics: Statistics, contract: Embodiment) -> Table:
    table = Table("", "min", "max", "mean", "std", "median")
    for kind, names in (("actions", contract.action_names), ("proprio", contract.proprio_names)):
        for index, name in enumerate(names):
            values = [getattr(statistics, f"{kind}_{key}")[index] for key in ("min", "max", "mean", "std", "median")]
            table.add_row(f"{kind} {name}", *(f"{value:.4f}" for value in values))
    return table
