"""`cosmos-policy recover`: save what a killed recorder had written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from cosmos_policy_core.data.bags.recovery import recover


@dataclass(frozen=True)
class Options:
    """Make a whole bag of an unfinished recording; it has no label afterwards.

    Example:
        cosmos-policy recover episodes/.recording/20261121_101500
    """

    recording: tyro.conf.Positional[Path]
    """The unfinished recording."""
    keep: bool = False
    """Leave the unfinished files where they are."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Recover and say what was saved."""
    path, counts = recover(options.recording, options.keep)
    console = Console(stderr=True)
    for topic, count in counts.items():
        console.print(f"{count:8d}  {topic}", highlight=False)
    console.print(
        f"{path}: {sum(counts.values())} messages saved. Look at it, then label it: "
        f"cosmos-policy label {path} --success (or --failure)"
    )
    if options.json:
        print(json.dumps({"bag": str(path), "messages": counts}))
    return 0
