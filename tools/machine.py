"""What this machine has: a sourced ROS 2, a GPU, and the libraries the set-up cannot bring itself."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from steps import SetupError, run, succeeds


@dataclass(frozen=True)
class Need:
    """Something of the operating system: what for, how to tell, which Debian or Ubuntu packages bring it."""

    purpose: str
    is_met: Callable[[], bool]
    packages: tuple[str, ...]


def sourced_ros() -> str | None:
    """Name the ROS 2 distribution that was sourced, or None where the wheels are to be used."""
    distribution = os.environ.get("ROS_DISTRO")
    ros2 = shutil.which("ros2")
    if distribution and ros2 and ".venv" not in Path(ros2).parts:
        return distribution
    return None


def has_cuda_gpu() -> bool:
    """Tell whether an NVIDIA GPU answers."""
    return succeeds(["nvidia-smi", "-L"])


def provide(log: Path) -> None:
    """See to it that the operating system has what is needed.

    Raises:
        SetupError: something is missing and may not be installed from here.
    """
    missing = [need for need in NEEDS if not need.is_met()]
    if not missing:
        return
    packages = sorted({package for need in missing for package in need.packages})
    purposes = ", ".join(need.purpose for need in missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(
            f"This machine lacks: {purposes}. Install it, then repeat: sudo apt-get install {' '.join(packages)}"
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run("Debian's package lists", ["apt-get", "update"], log, quiet)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    run(f"Debian packages for {purposes}: {' '.join(packages)}", install, log, quiet)


def _has_compiler() -> bool:
    return shutil.which("c++") is not None and shutil.which("make") is not None


def _has_python_headers() -> bool:
    return Path(sysconfig.get_path("include"), "Python.h").exists()


def _has_venv() -> bool:
    return importlib.util.find_spec("ensurepip") is not None and importlib.util.find_spec("venv") is not None


def _can_render() -> bool:
    has_driver = any(glob(f"/usr/lib{tail}/dri/*_dri.so") for tail in ("/*", "64", ""))
    mesa = _loads("libEGL_mesa.so.0") and has_driver
    desktop_gl = _loads("libOpenGL.so.0") or _loads("libGL.so.1")
    return _loads("libEGL.so.1") and desktop_gl and (mesa or _loads("libEGL_nvidia.so.0"))


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"

NEEDS = (
    Need("a C++ compiler", _has_compiler, ("g++", "make")),
    Need("Python's headers", _has_python_headers, (f"{_PYTHON}-dev",)),
    Need("virtual environments", _has_venv, (f"{_PYTHON}-venv",)),
    Need(
        "rendering without a screen",
        _can_render,
        ("libegl1", "libegl-mesa0", "libgl1", "libopengl0", "libgl1-mesa-dri"),
    ),
)
