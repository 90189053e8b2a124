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

from cosmos_policy_core.data.bags.reading import find_bags, is_bag, read_record
from cosmos_policy_core.data.bags.record import EpisodeRecord, Outcome
from cosmos_policy_core.data.bags.staging import cut_off, write_custom_data
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
    verdict = _verdict(options)
    paths = [bag for path in options.bags for bag in find_bags(path)]
    unfinished = [leftover for path in options.bags if not is_bag(path) for leftover in cut_off(path)]
    if not paths and not unfinished:
        raise EpisodeError(f"{', '.join(map(str, options.bags))}: holds no bag. Give the folder of the recordings.")
    console = Console(stderr=True)
    records: dict[Path, EpisodeRecord] = {}
    broken = len(unfinished)
    for leftover in unfinished:
        console.print(leftover.sentence, style="red", markup=False, highlight=False, soft_wrap=True)
    for path in paths:
        try:
            records[path] = _label(path, verdict, options)
        except CosmosPolicyError as error:
            broken += 1
            console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
    _print(console, records)
    unlabelled = sum(record.outcome is None for record in records.values())
    if options.json:
        print(json.dumps({"labelled": len(records) - unlabelled, "unlabelled": unlabelled, "broken": broken}))
    return 1 if broken or unlabelled else 0


def _verdict(options: Options) -> Outcome | None:
    """Return what the options say came of the episodes, or None; a mistake in it concerns none of the bags."""
    if not (options.success or options.failure):
        return None
    try:
        return Outcome.judged(options.success, options.score, options.judge or getpass.getuser())
    except EpisodeError as error:
        raise ConfigurationError(f"--score: {error}") from None


def _label(path: Path, verdict: Outcome | None, options: Options) -> EpisodeRecord:
    try:
        record = read_record(path)
    except EpisodeError:
        if verdict is None:
            raise
        record = read_record(path, with_label=False)  # a damaged label is replaced; all else is still told
    if verdict is None or (options.only_unlabelled and record.outcome is not None):
        return record
    record = record.labelled(verdict, options.comment)
    try:
        write_custom_data(path, record.custom_data())
    except OSError as error:
        raise RecordingError(f"{path}: cannot be labelled ({error}).") from None
    return record


def _print(console: Console, records: dict[Path, EpisodeRecord]) -> None:
    table = Table("episode", "task", "outcome", "judge", "comment")
    for path, record in records.items():
        outcome = record.outcome
        words = "not labelled" if outcome is None else _words(outcome)
        table.add_row(path.name, record.instruction, words, outcome.judge if outcome else "", record.comment)
    console.print(table)


def _words(outcome: Outcome) -> str:
    if outcome.success and outcome.score == 1.0:
        return "success"
    return f"{'success' if outcome.success else 'failure'} ({outcome.score:g})"
