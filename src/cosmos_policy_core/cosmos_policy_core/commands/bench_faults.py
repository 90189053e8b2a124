"""`cosmos-policy bench faults`: break the graph on emulated motors in every way, and write down what the arms did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cosmos_policy_core.commands.with_ros import nodes_module

NODES = "cosmos_policy.faults.main"  # with ROS, which this package does without


@dataclass(frozen=True)
class Faults:
    """Kill, unplug, stall and delay one part of the graph after the other while both emulated arms move.

    Reports how soon the arms held, what was commanded after that, what the user was told and how to recover. The exit
    status is 1 when something did not go as it should.

    Examples:
        cosmos-policy bench faults
        cosmos-policy bench faults --cases motor_silent emergency_stop --json
    """

    cases: tuple[str, ...] = ()
    """Only these; all of them, 6 minutes, when left out. An unknown name lists the known ones."""
    write: Path | None = None
    """Page that gets the table, between its markers: docs/safety.md."""
    relaxed: bool = False
    """Longer time-outs, for a machine that is busy."""
    rounds: int = 20
    """Of bring-up and tear-down."""
    realtime_priority: int = 0
    """SCHED_FIFO priority of the arms' side of the graph; 0: none."""
    json: bool = False
    """Print a JSON object as the last line."""


def run(options: Faults) -> int:
    """Hand over to the nodes' own command.

    Raises:
        ConfigurationError: the nodes are not installed.
    """
    words = [*options.cases, "--rounds", str(options.rounds), "--realtime-priority", str(options.realtime_priority)]
    words += ["--write", str(options.write)] if options.write else []
    words += [f"--{name}" for name in ("relaxed", "json") if getattr(options, name)]
    return int(nodes_module(NODES, "bench faults breaks").main(words))
