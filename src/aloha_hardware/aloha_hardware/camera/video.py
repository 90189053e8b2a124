"""A video file as a camera."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from aloha_hardware.camera.errors import CameraError, CameraLostError, RecordingEndedError
from aloha_hardware.camera.source import Format, Frame, Pace

COLOUR_CHANNELS = 3


class VideoFile:
    """Plays a video at its own rate, from the start again when `loop`."""

    def __init__(self, device: str, expected: Format, *, loop: bool) -> None:
        self._device = device
        self._expected = expected
        self._loop = loop
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())
        self._pace = Pace(expected.rate)

    def open(self) -> None:
        av = _library()
        try:
            self._container = av.open(self._device)
        except (av.FFmpegError, OSError) as error:
            raise CameraError(
                f"{self._device}: {error.strerror or error}. Set device to a video file that can be read."
            ) from error
        if not self._container.streams.video:
            raise CameraError(f"{self._device}: there is no video in it. Set device to a video file.")
        stream = self._container.streams.video[0]
        if stream.format is None or len(stream.format.components) < COLOUR_CHANNELS:
            raise CameraError(f"{self._device}: the video has no colour, not rgb8. Convert it, for example to yuv420p.")
        self._expected.check_size(stream.width, stream.height, self._device, "Set width and height, or convert it.")
        if stream.average_rate:
            self._expected.check_rate(float(stream.average_rate), self._device, "Set rate to that of the video.")
        self._frames = self._container.decode(video=0)
        self._pace = Pace(self._expected.rate)

    def read(self, timeout: float) -> Frame | None:
        moment = self._pace.wait(timeout)
        if moment is None:
            return None
        picture = self._decode()
        if picture is None:
            if not self._loop:
                raise RecordingEndedError(f"{self._device}: the video was played to its end.")
            self._container.seek(0)
            self._frames = self._container.decode(video=0)
            picture = self._decode()
        if picture is None:
            raise CameraLostError(f"{self._device}: the video holds no picture. Record it again.")
        return Frame(moment, picture)

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = None
        self._frames = iter(())

    def _decode(self) -> np.ndarray | None:
        av = _library()
        try:
            picture = next(self._frames, None)
        except (av.FFmpegError, OSError) as error:
            raise CameraLostError(f"{self._device}: {error.strerror or error}. Is the file whole?") from error
        return None if picture is None else picture.to_ndarray(format="rgb24")


def _library() -> Any:
    try:
        import av
    except ImportError as error:
        raise CameraError(
            f"a video needs PyAV ({error}). Install it: pip install av, or apt install python3-av."
        ) from error
    return av
