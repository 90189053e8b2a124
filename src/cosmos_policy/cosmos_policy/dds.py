"""Settings of the middleware that pictures need, for whoever starts the nodes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

# Fast DDS 2 (Humble, Jazzy) reads the first name alone, Fast DDS 3 (Kilted and later) the second.
VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
OURS = "rmw_fastrtps_cpp"
SHARED_MEMORY = Path("/dev/shm")
ENOUGH = 2**30  # [bytes]: a graph of fifteen processes, 32 MiB each, and room for others


def profile(environment: Mapping[str, str], shared_memory: Path = SHARED_MEMORY) -> dict[str, str]:
    """Return what to add to the environment of nodes so that pictures travel through shared memory in one piece.

    Where the user has chosen a profile under one name, the same under the other: every Fast DDS reads one of them only.
    Nothing where the user has chosen other transports or another middleware, or where the shared memory is small, as in
    a container with Docker's 64 MB: there a process that fills it would be killed.
    """
    if environment.get("RMW_IMPLEMENTATION", OURS) != OURS:
        return {}
    chosen = next((environment[name] for name in VARIABLES if environment.get(name)), "")
    if chosen:
        return {name: chosen for name in VARIABLES if not environment.get(name)}
    if environment.get("FASTDDS_BUILTIN_TRANSPORTS") or _free(shared_memory) < ENOUGH:
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
