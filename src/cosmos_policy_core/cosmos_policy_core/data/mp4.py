"""Camera films as MP4: any frame on request, and films written the way the published data has them."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.errors import EpisodeError

Picture = NDArray[np.uint8]


class Mp4Frames:
    """The frames of a film, decoded from the nearest key frame before the one asked for.

    Raises:
        EpisodeError: on access, when the film is missing or cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = str(path)

    def __len__(self) -> int:
        return len(self._times[0])

    def read(self, indices: Sequence[int]) -> Iterator[Picture]:
        """Yield (H, W, 3) RGB frames."""
        times, keys = self._times
        try:
            with av.open(str(self._path)) as film:
                stream = film.streams.video[0]
                stream.codec_context.thread_count = 1
                frames: Iterator[av.VideoFrame] = iter(())
                reached: int | None = None  # time of the last decoded frame
                for index in indices:
                    wanted = times[index]
                    if reached is None or wanted <= reached or keys[bisect_right(keys, wanted) - 1] > reached:
                        film.seek(wanted, stream=stream)
                        frames = film.decode(stream)
                    frame = next(frame for frame in frames if frame.pts is not None and frame.pts >= wanted)
                    reached = wanted
                    yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        except (av.error.FFmpegError, StopIteration, IndexError, RuntimeError) as error:
            raise EpisodeError(f"{self._path}: the film cannot be decoded ({error!r}). Convert it again.") from None

    @cached_property
    def _times(self) -> tuple[list[int], list[int]]:
        """Presentation times of all frames and of the key frames, in order, read without decoding."""
        try:
            with av.open(str(self._path)) as film:
                packets = [packet for packet in film.demux(film.streams.video[0]) if packet.pts is not None]
        except (av.error.FFmpegError, IndexError) as error:
            raise EpisodeError(f"{self._path}: is not a readable film ({error!r}). Convert it again.") from None
        times = sorted(int(packet.pts) for packet in packets if packet.pts is not None)
        keys = sorted(int(packet.pts) for packet in packets if packet.is_keyframe and packet.pts is not None)
        return times, keys or times[:1]


# Options of ffmpeg's encoders. MPEG-4 part 2 is what the published films have; 118 units per quantiser step.
PUBLISHED: Mapping[str, str] = {"flags": "+qscale", "global_quality": str(2 * 118)}


def write_mp4(
    path: Path,
    pictures: Iterable[Picture],
    rate: float,
    codec: Literal["mpeg4", "libx264"] = "mpeg4",
    options: Mapping[str, str] = PUBLISHED,
) -> int:
    """Write (H, W, 3) RGB pictures as a film and return how many they were.

    The default is MPEG-4 part 2, the codec of the published films, at its second-best quality.
    """
    partial, count = path.with_name(f".{path.name}.{os.getpid()}.partial"), 0
    try:
        with av.open(str(partial), "w", format="mp4") as film:
            stream = film.add_stream(codec, rate=Fraction(rate).limit_denominator(1000))
            stream.codec_context.thread_count = 1
            stream.pix_fmt = "yuv420p"
            stream.options = dict(options)
            for picture in pictures:
                if count == 0:
                    stream.height, stream.width = picture.shape[:2]
                film.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
                count += 1
            film.mux(stream.encode())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return count
