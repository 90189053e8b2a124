"""Does every camera give a picture of the size the contract asks for?"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aloha_hardware.camera.errors import CameraError
from aloha_hardware.camera.settings import CameraSettings
from aloha_hardware.camera.source import Frame
from aloha_hardware.camera.sources import make_source
from aloha_hardware.doctor.arms import using
from aloha_hardware.doctor.rows import problem, row

BY_ID = Path("/dev/v4l/by-id")


def check(camera: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Open a camera and take a picture."""
    area = f"camera {camera['name']}"
    try:
        settings = CameraSettings(**camera["settings"])
    except TypeError as error:
        yield row(area, "error", f"node: {error}", "Use names of camera_node's parameters")
        return
    if settings.source == "v4l2" and (users := using(settings.device)):
        remedy = "Stop it to have the camera checked; only one program may own a camera"
        yield row(area, "warning", f"{settings.device} is in use by {', '.join(users)}; it was not opened", remedy)
        return
    try:
        settings.check()
        frame = _picture(settings)
    except CameraError as error:
        yield problem(area, error)
        return
    origin = f"{settings.source} {settings.device}".strip()
    if frame is None:
        remedy = "Check its cable, use a USB 3 port of its own, close what else uses it"
        yield row(area, "error", f"{origin}: opened, but no picture within {settings.start_timeout:g} s", remedy)
    else:
        yield row(area, "ok", f"{origin}: a picture of {settings.format}")


def plugged_in() -> Iterator[dict[str, str]]:
    """List what cameras there are, by the names a hardware file wants."""
    paths = sorted(path for path in BY_ID.glob("*") if "index0" in path.name) if BY_ID.exists() else []
    for path in paths:
        yield row("cameras found", "note", f"source: v4l2, device: {path}")
    for name, serial in _realsense():
        yield row("cameras found", "note", f'source: realsense, device: "_{serial}" ({name})')
    if not paths:
        yield row("cameras found", "note", "no V4L2 camera is plugged in")


def _picture(settings: CameraSettings) -> Frame | None:
    source = make_source(settings)
    source.open()
    try:
        end = time.monotonic() + settings.start_timeout
        while time.monotonic() < end:
            if (frame := source.read(0.5)) is not None:
                return frame
        return None
    finally:
        source.close()


def _realsense() -> list[tuple[str, str]]:
    try:
        rs = importlib.import_module("pyrealsense2")
    except ImportError:
        return []
    info = rs.camera_info
    return [
        (device.get_info(info.name), device.get_info(info.serial_number)) for device in rs.context().query_devices()
    ]
