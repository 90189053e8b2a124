"""`cosmos-policy bench control`: how regular the commands to the arms are while everything else runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cosmos_policy_core.commands.with_ros import nodes_module
from cosmos_policy_core.errors import ConfigurationError

NODES = "cosmos_policy.bench.control"  # with ROS, which this package does without


@dataclass(frozen=True)
class Control:
    """Run the whole graph on emulated motors and test pictures, and measure its periods, ages and processor time.

    Example:
        cosmos-policy bench control --seconds 30 --json
    """

    seconds: float = 20.0
    """Time that is measured, after the graph has come up and warmed up [s]."""
    planner: Literal["direct", "best_of_n", "none"] = "best_of_n"
    """What keeps the machine busy; none: arms, cameras and executor alone."""
    candidates: int = 8
    """Chunks per plan (best_of_n)."""
    camera_rate: float = 0.0
    """Pictures per second and camera [Hz]; 0: the real cell's, 60 Hz at 640x480."""
    realtime_priority: int = 0
    """SCHED_FIFO priority of the threads that command and drive the arms; 0: none."""
    dds_profile: bool = True
    """Use the shipped Fast DDS profile where nothing else is set."""
    json: bool = False
    """Print a JSON object as the last line."""


def run(options: Control) -> int:
    """Measure and print.

    Raises:
        ConfigurationError: the nodes are not installed, or a number cannot be used.
    """
    if options.seconds < 5.0 or options.camera_rate < 0 or options.candidates < 1:
        raise ConfigurationError("--seconds must be at least 5, --camera-rate not negative, --candidates at least 1.")
    return int(nodes_module(NODES, "bench control measures").run(options))
