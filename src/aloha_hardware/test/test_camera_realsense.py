"""RealSense cameras, with a stand-in for librealsense: which calls are made, and what follows from their answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from camera_kit import asked, picture

from aloha_hardware.camera import realsense
from aloha_hardware.camera.errors import CameraError, CameraLostError
from aloha_hardware.camera.realsense import RealSenseCamera

SERIAL = "128422271347"


class StandIn:
    """One D405: its colour comes from the depth module."""

    def __init__(self) -> None:
        self.options: dict[str, float] = {}
        self.asked: list[Any] = []
        self.clock = "global"
        self.silent = False
        self.gone = False
        sensor = SimpleNamespace(
            get_stream_profiles=lambda: [SimpleNamespace(stream_type=lambda: "color")],
            is_depth_sensor=lambda: True,
            set_option=self._set_option,
        )
        self._device = SimpleNamespace(get_info=lambda key: SERIAL, query_sensors=lambda: [sensor])
        self.module = SimpleNamespace(
            context=lambda: SimpleNamespace(query_devices=lambda: [self._device]),
            config=lambda: SimpleNamespace(
                enable_device=self.asked.append, enable_stream=lambda *stream: self.asked.append(stream)
            ),
            pipeline=lambda: SimpleNamespace(
                start=self._start, stop=lambda: None, try_wait_for_frames=self._try_wait_for_frames
            ),
            stream=SimpleNamespace(color="color"),
            format=SimpleNamespace(rgb8="rgb8"),
            option=SimpleNamespace(enable_auto_exposure="auto", exposure="exposure"),
            camera_info=SimpleNamespace(serial_number="serial"),
            timestamp_domain=SimpleNamespace(hardware_clock="hardware"),
        )

    def _start(self, config: Any) -> Any:
        if self.asked[-1][-1] > 90:
            raise RuntimeError("Couldn't resolve requests")
        return SimpleNamespace(get_device=lambda: self._device)

    def _set_option(self, option: str, value: float) -> None:
        if value > 165_000:
            raise RuntimeError("out of range")
        self.options[option] = value

    def _try_wait_for_frames(self, timeout: int) -> tuple[bool, Any]:
        if self.gone:
            raise RuntimeError("No device connected")
        frame = SimpleNamespace(
            get_data=lambda: picture(30),
            get_timestamp=lambda: (time.time() - 0.02) * 1e3,
            get_frame_timestamp_domain=lambda: self.clock,
        )
        return not self.silent, SimpleNamespace(get_color_frame=lambda: frame)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    library = StandIn()
    monkeypatch.setitem(sys.modules, "pyrealsense2", library.module)  # type: ignore[arg-type]
    return library


def test_the_camera_with_the_serial_gives_colour_stamped_when_it_was_taken(library: StandIn) -> None:
    camera = RealSenseCamera(f"_{SERIAL}", asked(60.0), exposure=8000)
    camera.open()
    assert library.asked == [SERIAL, ("color", 64, 48, "rgb8", 60)]
    assert library.options == {"auto": 0.0, "exposure": 8000.0}
    frame = camera.read(0.1)
    assert frame is not None and np.array_equal(frame.pixels, picture(30))
    assert 0.02 <= frame.age < 1.0
    camera.close()


def test_a_picture_on_the_cameras_own_clock_is_stamped_when_it_arrives(library: StandIn) -> None:
    library.clock = "hardware"
    camera = RealSenseCamera(SERIAL, asked(60.0))
    camera.open()
    before = time.monotonic_ns()
    frame = camera.read(0.1)
    assert frame is not None and frame.acquired >= before
    assert library.options == {"auto": 1.0}


@pytest.mark.parametrize(
    ("serial", "rate", "exposure", "reason"),
    [
        ("_1", 60.0, 0, f"RealSense 1: it is not connected; there are: {SERIAL}. Plug it"),
        (SERIAL, 120.0, 0, "it does not give colour 64x48 at 120 Hz .* Choose one of its formats"),
        (SERIAL, 60.0, 999_999, "it does not take an exposure of 999999 µs"),
    ],
)
def test_what_the_camera_cannot_do_is_refused(
    library: StandIn, serial: str, rate: float, exposure: int, reason: str
) -> None:
    camera = RealSenseCamera(serial, asked(rate), exposure=exposure)
    with pytest.raises(CameraError, match=reason):
        camera.open()
    camera.close()


def test_a_camera_that_goes_away_or_falls_silent_is_lost(library: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realsense, "SECONDS_UNTIL_LOST", 0.05)
    camera = RealSenseCamera(SERIAL, asked(60.0))
    camera.open()
    library.silent = True
    assert camera.read(0.1) is None
    time.sleep(0.06)
    with pytest.raises(CameraLostError, match=r"no picture for 0.05 s"):
        camera.read(0.1)
    library.gone = True
    with pytest.raises(CameraLostError, match="No device connected. Plug it in again"):
        camera.read(0.1)
