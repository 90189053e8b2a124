"""Settings of the middleware that pictures need, for whoever starts the nodes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

# Jazzy reads the first name, Humble the second.
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
OURS = "rmw_fastrtps_cpp"
SHARED_MEMORY = Path("/dev/shm")
ENOUGH = 2**30  # [bytes]: a graph of fifteen processes, 32 MiB each, and room for others


def profile(environment: Mapping[str, str], shared_memory: Path = SHARED_MEMORY) -> dict[str, str]:
    """Return what to add to the environment of nodes so that pictures travel through shared memory in one piece.

    Nothing where the user has chosen a profile or another middleware, or where the shared memory is small, as in a
    container with Docker's 64 MB: there a process that fills it would be killed.
    """
    chosen = any(environment.get(name) for name in (*VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS"))
    if chosen or environment.get("RMW_IMPLEMENTATION", OURS) != OURS or _free(shared_memory) < ENOUGH:
        return {}
    try:
        file = Path(get_package_share_directory("cosmos_policy"), "config", "fastdds.xml")
    except PackageNotFoundError:
        return {}
    return dict.fromkeys(VARIABLES, str(file)) if file.exists() else {}


def _free(folder: Path) -> int:
    try:
        state = os.statvfs(folder)
    except OSError:
        return 0
    return state.f_bavail * state.f_frsize
