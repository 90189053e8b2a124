"""What a camera is told: one table of parameters with their meaning, unit and range."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aloha_hardware.camera.errors import CameraError
from aloha_hardware.camera.health import Limits
from aloha_hardware.camera.source import Format

SOURCES = ("v4l2", "realsense", "images", "video", "pattern")
ENCODING = "rgb8"


@dataclass(frozen=True)
class CameraSettings:
    """Parameters of a camera; the fields are explained in :data:`DESCRIPTIONS`."""

    camera: str = ""
    source: str = "v4l2"
    device: str = ""
    width: int = 640
    height: int = 480
    rate: float = 30.0
    encoding: str = ENCODING
    pixel_format: str = ""
    exposure: int = 0
    loop: bool = True
    accept_repeats: bool = False
    image_topic: str = ""
    frame_id: str = ""
    calibration: str = ""
    jpeg_quality: int = 95
    stale_after: float = 0.5
    late_after: float = 0.08
    start_timeout: float = 5.0
    reconnect_first: float = 0.5
    reconnect_longest: float = 5.0

    @property
    def format(self) -> Format:
        """The pictures asked for."""
        return Format(self.width, self.height, self.rate)

    @property
    def limits(self) -> Limits:
        """What counts as well."""
        return Limits(self.rate, self.stale_after, self.late_after)

    @property
    def topic(self) -> str:
        """Of the raw pictures; camera_info is its sibling, compressed is below it."""
        return self.image_topic or f"/{self.camera}/image_raw"

    @property
    def info_topic(self) -> str:
        """Of the camera info."""
        return self.topic.rpartition("/")[0] + "/camera_info"

    @property
    def frame(self) -> str:
        """The optical frame: x right, y down, z forward."""
        return self.frame_id or f"{self.camera}_optical_frame"

    def check(self) -> None:
        """Refuse what no camera can do; raises CameraError with the remedy."""
        if not re.fullmatch(r"[A-Za-z]\w*", self.camera, re.ASCII):
            raise CameraError(f"camera: '{self.camera}' is no name. Give the contract's, for example cam_high.")
        if self.source not in SOURCES:
            raise CameraError(f"{self.camera}: source '{self.source}' is unknown. Use one of: {', '.join(SOURCES)}.")
        if self.encoding != ENCODING:
            raise CameraError(
                f"{self.camera}: encoding '{self.encoding}' is not published. Use {ENCODING}, here and in the contract."
            )
        if not self.device and self.source in DEVICES:
            raise CameraError(f"{self.camera}: device is not set. Give {DEVICES[self.source]}.")
        if self.pixel_format and len(self.pixel_format) != 4:
            raise CameraError(
                f"{self.camera}: pixel_format '{self.pixel_format}' is not four letters. Use for example MJPG or YUYV."
            )
        if not re.fullmatch(r"(/[A-Za-z_]\w*)+", self.topic, re.ASCII):
            raise CameraError(
                f"{self.camera}: image_topic '{self.topic}' is no topic. Use for example /cam_high/image_raw."
            )
        if self.reconnect_longest < self.reconnect_first:
            raise CameraError(f"{self.camera}: reconnect_longest is below reconnect_first. Make it at least as long.")


DEVICES = {
    "v4l2": "the path of a camera: ls /dev/v4l/by-id",
    "realsense": "the serial number of a camera: rs-enumerate-devices -s",
    "images": "a folder of pictures, or a pattern",
    "video": "a video file",
}

DESCRIPTIONS = {
    "camera": "Name of the camera, as in the contract; topics are below it.",
    "source": f"Where pictures come from. One of: {', '.join(SOURCES)}.",
    "device": "v4l2: path. realsense: serial number behind an underscore. images: folder or wildcard. video: file.",
    "width": "Of the pictures [px]; another width is refused.",
    "height": "Of the pictures [px]; another height is refused.",
    "rate": "Pictures per second [Hz]; recordings are played at it.",
    "encoding": f"Of the published pictures: {ENCODING}.",
    "pixel_format": "v4l2: what the camera sends, for example MJPG or YUYV; empty: its own choice.",
    "exposure": "v4l2, realsense: exposure time [µs]; 0: automatic.",
    "loop": "images, video: start again at the end.",
    "accept_repeats": "Publish a picture that equals the one before (still pictures, scenes at rest in a simulation).",
    "image_topic": "Of the raw pictures; empty: /<camera>/image_raw.",
    "frame_id": "Optical frame of the pictures; empty: <camera>_optical_frame.",
    "calibration": "YAML file of camera_calibration; empty: not calibrated.",
    "jpeg_quality": "Of the compressed pictures.",
    "stale_after": "Without a new picture for this long, the camera is stale [s].",
    "late_after": "Pictures older than this when they are published are worth a warning [s].",
    "start_timeout": "Wait for the first picture at configure [s].",
    "reconnect_first": "Wait before a lost camera is opened again [s]; doubled after each failure.",
    "reconnect_longest": "Longest such wait [s].",
}

RANGES: dict[str, tuple[float, float]] = {
    "width": (16, 8192),
    "height": (16, 8192),
    "rate": (0.1, 1000.0),
    "exposure": (0, 1_000_000),
    "jpeg_quality": (1, 100),
    "stale_after": (0.01, 60.0),
    "late_after": (0.001, 60.0),
    "start_timeout": (0.1, 60.0),
    "reconnect_first": (0.01, 60.0),
    "reconnect_longest": (0.01, 600.0),
}
