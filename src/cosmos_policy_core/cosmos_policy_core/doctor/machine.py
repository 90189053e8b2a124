"""The machine and what is installed on it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from cosmos_policy_core.doctor.findings import Finding

OLDEST, NEWEST = (3, 10), (3, 13)
GIB = 1024**3
LITTLE_DISK, NO_DISK = 20.0, 2.0  # [GiB]; an hour of three JPEG cameras takes about 10
PACKAGES = ("cosmos_policy_core", "cosmos_policy", "aloha_hardware", "aloha_sim")
SETUP = "Run 'make setup', then 'source tools/env.bash'"


def machine() -> Iterator[Finding]:
    """Check Python, libraries, accelerator, disk and real-time permissions."""
    yield _python()
    yield from _libraries()
    yield _torch()
    yield _disk(Path.cwd())
    yield _processors()
    yield _realtime()


def _python() -> Finding:
    version = platform.python_version()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return Finding("python", "error", f"Python {version} is not supported", "Use Python 3.10 to 3.13")
    return Finding("python", "ok", f"Python {version} in {sys.prefix}")


def _libraries() -> Iterator[Finding]:
    """Compare what the installed packages of this suite ask for with what there is; extras do not count."""
    missing: dict[str, str] = {}
    here = []
    for package in PACKAGES:
        try:
            wanted = importlib.metadata.requires(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        here.append(package)
        names = [re.split(r"[\s<>=!~;\[(]", text, maxsplit=1)[0] for text in wanted if "extra ==" not in text]
        missing |= {name: package for name in names if not _installed(name)}
    for name, package in missing.items():
        yield Finding("libraries", "error", f"{name} is missing, which {package} needs", SETUP)
    if not missing:
        yield Finding("libraries", "ok", f"everything {', '.join(here)} need is installed")


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _torch() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("torch", "error", f"torch cannot be imported ({error})", SETUP)
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        text = f"torch {torch.__version__} on {name}, {free / GIB:.0f} of {total / GIB:.0f} GiB free"
        if free < 10 * GIB:
            return Finding("torch", "warning", text, "The 2B network needs 10 GiB; close what uses the GPU")
        return Finding("torch", "ok", text)
    if shutil.which("nvidia-smi"):
        text = f"torch {torch.__version__} does not see the GPU of this machine"
        return Finding(
            "torch", "warning", text, "Install the CUDA build: see 'make setup'; check the driver: nvidia-smi"
        )
    return Finding("torch", "note", f"torch {torch.__version__}, no GPU: the nano network runs, the 2B one would not")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / GIB
    text = f"{free:.0f} GiB free at {folder}"
    if free < NO_DISK:
        return Finding("disk", "error", text, "Free some: recordings and checkpoints go here")
    if free < LITTLE_DISK:
        return Finding("disk", "warning", text, "An hour of recording takes about 10 GiB; free some")
    return Finding("disk", "ok", text)


def _processors() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    text = f"{cores} cores, load {load:.1f}"
    if load > cores:
        return Finding("processors", "warning", text, "Close what else runs: commands to the arms will be late")
    return Finding("processors", "ok", text)


def _realtime() -> Finding:
    if not hasattr(resource, "RLIMIT_RTPRIO"):
        return Finding("real time", "note", "this operating system has no real-time priorities")
    allowed = 99 if os.geteuid() == 0 else resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if allowed == resource.RLIM_INFINITY:
        allowed = 99
    if allowed < 1:
        return Finding(
            "real time",
            "note",
            "no real-time priorities for you; commands may be late on a busy machine",
            "Write '@users - rtprio 40' into /etc/security/limits.d/aloha.conf and log in again",
        )
    return Finding("real time", "ok", f"priorities up to {allowed} are permitted")
