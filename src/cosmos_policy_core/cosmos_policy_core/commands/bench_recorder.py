"""`cosmos-policy bench recorder`: whether everything that cameras and arms send ends up in a bag."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from cosmos_policy_core.errors import ConfigurationError

NODES = "cosmos_policy.bench.recorder"  # with ROS, which this package does without


@dataclass(frozen=True)
class Recorder:
    """Record cameras and arms at full rate and count every message: sent, arrived, written.

    Twice: with messages put into the writer, which shows what the disk holds up, and over DDS from a process per
    camera, which shows what arrives.

    Example:
        cosmos-policy bench recorder --seconds 60 --json
    """

    seconds: float = 60.0
    """Length of the episode [s]."""
    cameras: int = 3
    """Cameras, a process each."""
    width: int = 640
    """Of the images [px]."""
    height: int = 480
    """Of the images [px]."""
    rate: float = 60.0
    """Images per second and camera [Hz]."""
    folder: Path | None = None
    """Where to record, to measure another disk; by default the system's folder for temporary files."""
    transport: bool = True
    """Also measure over DDS."""
    dds_profile: bool = True
    """Use the shipped Fast DDS profile where nothing else is set."""
    json: bool = False
    """Print a JSON object as the last line."""


def run(options: Recorder) -> int:
    """Measure and print; the exit status is 1 when the writer lost a message.

    Raises:
        ConfigurationError: the nodes are not installed, or a number cannot be used.
    """
    if options.seconds < 1.0 or options.rate <= 0 or not 1 <= options.cameras <= 4:
        raise ConfigurationError("--seconds must be at least 1, --rate above 0, --cameras from 1 to 4.")
    try:
        if importlib.util.find_spec(NODES) is None or importlib.util.find_spec("rclpy") is None:
            raise ModuleNotFoundError
        nodes = importlib.import_module(NODES)
    except ModuleNotFoundError:
        raise ConfigurationError(
            "bench recorder measures a ROS node, which is not installed here. Run `make setup`, then "
            "`source tools/env.bash`."
        ) from None
    return int(nodes.run(options))
