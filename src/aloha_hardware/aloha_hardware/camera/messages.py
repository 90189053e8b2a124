"""ROS 2 messages of a camera."""

from __future__ import annotations

import array
import io

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from PIL import Image as Picture
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from aloha_hardware.camera.calibration import Calibration
from aloha_hardware.camera.health import Level, Report

# As image_transport writes it: what was compressed, and in which order a decoder gives the colours.
JPEG = "rgb8; jpeg compressed bgr8"
LEVELS = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR,
    Level.STALE: DiagnosticStatus.STALE,
}


def image_message(pixels: np.ndarray, stamp: Time, frame: str) -> Image:
    """Wrap (H, W, 3) uint8 RGB as rgb8."""
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.stamp, message.header.frame_id = stamp, frame
    message.data = array.array("B", np.ascontiguousarray(pixels).tobytes())  # other types are checked byte by byte
    return message


def compressed_message(pixels: np.ndarray, stamp: Time, frame: str, quality: int) -> CompressedImage:
    """Wrap (H, W, 3) uint8 RGB as a JPEG."""
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    message = CompressedImage(format=JPEG)
    message.header.stamp, message.header.frame_id = stamp, frame
    message.data = array.array("B", buffer.getvalue())
    return message


def camera_info_message(calibration: Calibration, frame: str) -> CameraInfo:
    """Describe a camera; its stamp is set for each picture."""
    message = CameraInfo(
        width=calibration.width,
        height=calibration.height,
        distortion_model=calibration.distortion_model,
        d=calibration.d,
        k=calibration.k,
        r=calibration.r,
        p=calibration.p,
    )
    message.header.frame_id = frame
    return message


def status_message(camera: str, device: str, report: Report, level: Level, sentence: str) -> DiagnosticStatus:
    """Report a camera; rates in Hz, ages in s."""
    values = {
        "rate": f"{report.rate:.1f}",
        "published_rate": f"{report.published_rate:.1f}",
        "age_mean": f"{report.age:.4f}",
        "age_max": f"{report.oldest:.4f}",
        "silence": f"{report.silence:.2f}",
        "captured": str(report.captured),
        "published": str(report.published),
        "dropped": str(report.dropped),
        "repeated": str(report.repeated),
        "reconnects": str(report.reconnects),
    }
    return DiagnosticStatus(
        level=LEVELS[level],
        name=f"camera: {camera}",
        message=sentence,
        hardware_id=device,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
