"""`cosmos-policy doctor`: is everything there that a robot needs, simulated or not, and what to do where it is not."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape

from cosmos_policy_core.doctor.findings import Finding, contributed
from cosmos_policy_core.doctor.machine import machine
from cosmos_policy_core.doctor.subject import examine

MARKS = {
    "ok": "[green]ok     [/]",
    "note": "[blue]note   [/]",
    "warning": "[yellow]warning[/]",
    "error": "[red]error  [/]",
}


@dataclass(frozen=True)
class Options:
    """Check machine, libraries, ROS 2, contract and, with --hardware, ports, motors and cameras; say what to fix.

    Motors are only asked who they are: nothing is written to them and no torque is switched on. A port that a running
    driver uses is left alone. The exit status is 1 when something will not work.

    Examples:
        cosmos-policy doctor
        cosmos-policy doctor --hardware my_cell.yaml
    """

    hardware: str = ""
    """What is plugged in where: aloha, emulated or a YAML file; empty: no robot is examined."""
    embodiment: str = ""
    """Contract: a name or a YAML file; empty: aloha with hardware, otherwise aloha_sim."""
    checkpoint: str = ""
    """Policy checkpoint to compare with the contract: a name or a folder."""
    motors: bool = True
    """Ask the motors who they are."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Check everything; the exit status is 1 when something will not work."""
    console = Console(stderr=options.json, highlight=False)
    embodiment = options.embodiment or ("aloha" if options.hardware not in ("", "emulated") else "aloha_sim")
    examination = examine(embodiment, options.hardware, options.checkpoint, options.motors)
    findings: list[Finding] = []
    for source in (machine(), examination.findings, contributed(examination.subject)):
        for finding in source:
            findings.append(finding)
            _show(console, finding)
    counts = Counter(finding.level for finding in findings)
    console.print(f"\n{counts['error']} errors, {counts['warning']} warnings, {counts['ok']} well")
    if options.json:
        print(json.dumps({"well": not counts["error"], "counts": counts, "findings": [asdict(f) for f in findings]}))
    return 1 if counts["error"] else 0


def _show(console: Console, finding: Finding) -> None:
    console.print(f"{MARKS[finding.level]} {escape(finding.area)}: {escape(finding.message)}", soft_wrap=True)
    if finding.remedy and finding.level != "ok":
        console.print(f"        [dim]{escape(finding.remedy)}[/]", soft_wrap=True)
