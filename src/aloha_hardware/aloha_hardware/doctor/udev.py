"""The rules that give ports their names, and who may open them."""

from __future__ import annotations

import getpass
import grp
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aloha_hardware.doctor.rows import row

FOLDERS = ("/etc/udev/rules.d", "/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/run/udev/rules.d")
LINK = "ttyDXL"
RULES = "99-aloha-arms.rules"
PLACEHOLDER = "_SERIAL"
BY_ID = Path("/dev/serial/by-id")


def check(arms: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Check the rules and the group, where a real arm is to be found by a name of ours."""
    real = [arm for arm in arms if not arm["emulated"]]
    if not real:
        return
    if any(LINK in arm["settings"].get("port", LINK) for arm in real):
        yield _rules()
    yield _group()


def plugged_in() -> Iterator[dict[str, str]]:
    """List the USB serial adapters there are."""
    for path in sorted(BY_ID.glob("*")) if BY_ID.exists() else []:
        yield row("ports found", "note", f"{path} is {os.path.realpath(path)}")


def _rules() -> dict[str, str]:
    files = [path for folder in FOLDERS for path in sorted(Path(folder).glob("*.rules")) if _mentions(path)]
    if not files:
        remedy = (
            f"Copy {RULES} (share/aloha_hardware/udev) to /etc/udev/rules.d with your adapters' serial numbers in it"
        )
        return row("udev rules", "error", f"no rule makes links named {LINK}", remedy)
    unfinished = [str(path) for path in files if any(PLACEHOLDER in line for line in _lines(path))]
    if unfinished:
        remedy = "Find them: udevadm info -a -n /dev/ttyUSB0 | grep -m1 'ATTRS{serial}'"
        return row("udev rules", "error", f"{unfinished[0]} has no serial numbers in it yet", remedy)
    return row("udev rules", "ok", f"{files[0]} names the ports")


def _mentions(path: Path) -> bool:
    return any(LINK in line for line in _lines(path))


def _lines(path: Path) -> list[str]:
    """Return what is not a comment."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if not line.lstrip().startswith("#")]


def _group() -> dict[str, str]:
    if os.geteuid() == 0:
        return row("group", "ok", "root may open every port")
    try:
        group = grp.getgrnam("dialout")
    except KeyError:
        return row("group", "note", "this system has no group dialout; the port's own group decides")
    if group.gr_gid in os.getgroups():
        return row("group", "ok", "you are in dialout, the group of serial ports")
    if getpass.getuser() in group.gr_mem:
        return row("group", "error", "you are in dialout, but not yet in this session", "Log out and in again")
    return row("group", "error", "you are not in dialout, the group of serial ports", "sudo usermod -aG dialout $USER")
