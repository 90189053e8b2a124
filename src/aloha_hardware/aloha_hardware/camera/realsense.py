"""RealSense cameras through librealsense; where the vendor's ROS node runs, remap its topics instead."""

from __future__ import annotations

import contextlib
import importlib
import time
from typing import Any

import numpy as np

from aloha_hardware.camera.errors import CameraError, CameraLostError
from aloha_hardware.camera.source import Format, Frame

SECONDS_UNTIL_LOST = 3.0
OLDEST_STAMP = 1_000_000_000  # ns; what is further away is not on this machine's clock


class RealSenseCamera:
    """The colour stream of the camera with a serial number, which is printed on it.

    A D405 takes its colour from the depth module; librealsense offers it as a colour stream all the same.
    """

    def __init__(self, serial: str, expected: Format, *, exposure: int = 0) -> None:
        self._serial = serial.lstrip("_")  # the vendor's ROS node wants "_123", so that YAML sees no number
        self._expected = expected
        self._exposure = exposure
        self._pipeline: Any = None
        self._last = 0.0

    def open(self) -> None:
        rs = _library()
        self._check_present(rs)
        ask = self._expected
        config = rs.config()
        config.enable_device(self._serial)
        config.enable_stream(rs.stream.color, ask.width, ask.height, rs.format.rgb8, round(ask.rate))
        pipeline = rs.pipeline()
        try:
            profile = pipeline.start(config)
        except RuntimeError as error:
            raise CameraError(
                f"RealSense {self._serial}: it does not give colour {ask} ({error}). Choose one of its formats "
                "(rs-enumerate-devices), use a USB 3 port, and close what else uses it."
            ) from error
        self._pipeline = pipeline
        self._last = time.monotonic()
        self._set_exposure(rs, profile)

    def read(self, timeout: float) -> Frame | None:
        rs = _library()
        try:
            arrived, frames = self._pipeline.try_wait_for_frames(max(1, round(timeout * 1e3)))
        except RuntimeError as error:
            raise CameraLostError(f"RealSense {self._serial}: {error}. Plug it in again.") from error
        picture = frames.get_color_frame() if arrived else None
        if not picture:
            if time.monotonic() - self._last > SECONDS_UNTIL_LOST:
                raise CameraLostError(
                    f"RealSense {self._serial}: no picture for {SECONDS_UNTIL_LOST:g} s. "
                    "Check its cable, and the hub's power."
                )
            return None
        self._last = time.monotonic()
        return Frame(_acquired(rs, picture), np.array(picture.get_data()))

    def close(self) -> None:
        if self._pipeline is not None:
            with contextlib.suppress(RuntimeError):  # it is gone already
                self._pipeline.stop()
        self._pipeline = None

    def _check_present(self, rs: Any) -> None:
        serials = [device.get_info(rs.camera_info.serial_number) for device in rs.context().query_devices()]
        if self._serial not in serials:
            raise CameraError(
                f"RealSense {self._serial}: it is not connected; there are: {', '.join(serials) or 'none'}. "
                "Plug it into a USB 3 port, or set device to a serial number of these."
            )

    def _set_exposure(self, rs: Any, profile: Any) -> None:
        for sensor in profile.get_device().query_sensors():
            if not any(stream.stream_type() == rs.stream.color for stream in sensor.get_stream_profiles()):
                continue
            try:
                sensor.set_option(rs.option.enable_auto_exposure, 0.0 if self._exposure else 1.0)
                if self._exposure:
                    sensor.set_option(rs.option.exposure, _exposure_value(rs, sensor, self._exposure))
            except RuntimeError as error:
                raise CameraError(
                    f"RealSense {self._serial}: it does not take an exposure of {self._exposure} µs ({error}). "
                    "Set exposure to 0 (automatic), or within the range that realsense-viewer shows."
                ) from error


def _exposure_value(rs: Any, sensor: Any, microseconds: int) -> float:
    """Return the exposure in the sensor's unit: µs on a depth module, 100 µs on a separate colour sensor."""
    return float(microseconds if sensor.is_depth_sensor() else round(microseconds / 100))


def _acquired(rs: Any, picture: Any) -> int:
    """Return when a picture was taken on the monotonic clock [ns]; its arrival where the camera's clock is its own."""
    now = time.monotonic_ns()
    if picture.get_frame_timestamp_domain() == rs.timestamp_domain.hardware_clock:
        return now
    age = time.time_ns() - round(picture.get_timestamp() * 1e6)
    return now - age if 0 <= age < OLDEST_STAMP else now


def _library() -> Any:
    try:
        return importlib.import_module("pyrealsense2")
    except ImportError as error:
        raise CameraError(
            f"a RealSense camera needs pyrealsense2 ({error}). Install it: pip install pyrealsense2 (and apt install "
            "libusb-1.0-0), or run the vendor's realsense2_camera node and remap its topics."
        ) from error
