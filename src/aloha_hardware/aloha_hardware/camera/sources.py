"""Choose a source by its name."""

from __future__ import annotations

from aloha_hardware.camera.images import ImageFiles
from aloha_hardware.camera.pattern import TestPattern
from aloha_hardware.camera.realsense import RealSenseCamera
from aloha_hardware.camera.settings import CameraSettings
from aloha_hardware.camera.source import Source
from aloha_hardware.camera.v4l2 import V4l2Camera
from aloha_hardware.camera.video import VideoFile


def make_source(settings: CameraSettings) -> Source:
    """Make the source of checked settings; it is not opened yet."""
    device, ask = settings.device, settings.format
    if settings.source == "v4l2":
        return V4l2Camera(device, ask, pixel_format=settings.pixel_format, exposure=settings.exposure)
    if settings.source == "realsense":
        return RealSenseCamera(device, ask, exposure=settings.exposure)
    if settings.source == "images":
        return ImageFiles(device, ask, loop=settings.loop)
    if settings.source == "pattern":
        return TestPattern(ask)
    return VideoFile(device, ask, loop=settings.loop)
