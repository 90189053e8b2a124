"""`cosmos-policy label`: say what came of episodes, later."""

from __future__ import annotations

import getpass
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from cosmos_policy_core.data.bags.reading import find_bags, read_record
from cosmos_policy_core.data.bags.record import EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.staging import write_custom_data
from cosmos_policy_core.errors import ConfigurationError, CosmosPolicyError, EpisodeError, RecordingError


@dataclass(frozen=True)
class Options:
    """Label bags as success or failure, or list the labels they have.

    A score is partial credit from 0 to 1 on a scale that is the same for all episodes; it is never rescaled.

    Example:
        cosmos-policy label episodes/20261121_101500 --failure --score 0.4 --comment "dropped it"
    """

    bags: tyro.conf.Positional[tuple[Path, ...]]
    """Bags, or folders of bags."""
    success: tyro.conf.FlagCreatePairsOff[bool] = False
    """The task was carried out fully. Without a verdict the labels are listed."""
    failure: tyro.conf.FlagCreatePairsOff[bool] = False
    """It was not, or only in part."""
    score: float = math.nan
    """Partial credit in 0..1; by default 1 for a success and 0 for a failure."""
    comment: str = ""
    """What happened, in words."""
    judge: str = ""
    """Who says so; by default the name you are logged in with."""
    only_unlabelled: bool = False
    """Leave episodes alone that have a label."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Label or list; the exit status is 1 when a bag could not be labelled or, when listing, has no label."""
    if options.success and options.failure:
        raise ConfigurationError("--success and --failure contradict each other. Give one of them.")
    if not (options.success or options.failure) and not math.isnan(options.score):
        raise ConfigurationError("--score says how much of a success it was. Add --success or --failure.")
    paths = [bag for path in options.bags for bag in find_bags(path)]
    if not paths:
        raise EpisodeError(f"{', '.join(map(str, options.bags))}: holds no bag. Give the folder of the recordings.")
    console = Console(stderr=True)
    records: dict[Path, EpisodeRecord] = {}
    broken = 0
    for path in paths:
        try:
            records[path] = _label(path, options)
        except CosmosPolicyError as error:
            broken += 1
            console.print(str(error), style="red", markup=False, highlight=False)
    _print(console, records)
    unlabelled = sum(record.outcome is None for record in records.values())
    if options.json:
        print(json.dumps({"labelled": len(records) - unlabelled, "unlabelled": unlabelled, "broken": broken}))
    return 1 if broken or unlabelled else 0


def _label(path: Path, options: Options) -> EpisodeRecord:
    record = read_record(path)
    judged = options.success or options.failure
    if not judged or (options.only_unlabelled and record.outcome is not None):
        return record
    judge = options.judge or getpass.getuser()
    record = record.labelled(Outcome.of(options.success, options.score, judge), options.comment)
    try:
        write_custom_data(path, record.custom_data())
    except OSError as error:
        raise RecordingError(f"{path}: cannot be labelled ({error}).") from None
    return record


def _print(console: Console, records: dict[Path, EpisodeRecord]) -> None:
    table = Table("episode", "task", "outcome", "judge", "comment")
    for path, record in records.items():
        outcome = record.outcome
        words = "not labelled" if outcome is None else "success" if outcome.success else f"failure ({outcome.score:g})"
        table.add_row(path.name, record.instruction, words, outcome.judge if outcome else "", record.comment)
    console.print(table)
