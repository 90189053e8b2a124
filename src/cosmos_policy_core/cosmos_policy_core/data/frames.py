"""Images of other codecs, handed out as the encoded images that an episode holds.

Whatever a recorder stored is treated like a live image: resized first where the contract says so, then compressed with
the contract's JPEG quality. So samples of different origin carry the same artefacts. Nothing is read until asked for.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cosmos_policy_core.data import fields, jpeg
from cosmos_policy_core.data.episode import image_sizes
from cosmos_policy_core.embodiment import Camera, Embodiment
from cosmos_policy_core.errors import EpisodeError

Picture = NDArray[np.uint8]


class Source(Protocol):
    """Where the images of one camera are; picklable, holds no open file."""

    where: str

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int]) -> Iterator[Picture]:
        """Yield (H, W, 3) RGB images."""
        ...


class Frames(Sequence[bytes]):
    """The images of one camera of an episode, encoded as live ones are.

    Raises:
        EpisodeError: on access, naming file and step, when an image is damaged or of a size the contract does not know.
    """

    def __init__(self, source: Source, camera: Camera, contract: Embodiment) -> None:
        self._source, self._images = source, contract.images
        self._sizes = image_sizes(camera, contract)

    def __len__(self) -> int:
        return len(self._source)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Encode one image, or a slice of them with a single opening of the file."""
        if isinstance(index, slice):
            return list(self._encode(range(*index.indices(len(self)))))
        return next(self._encode([range(len(self))[index]]))

    def __iter__(self) -> Iterator[bytes]:
        return self._encode(range(len(self)))

    def pictures(self) -> Iterator[Picture]:
        """Yield the (H, W, 3) images as they were stored, neither resized nor compressed."""
        return self._source.read(range(len(self)))

    def _encode(self, indices: Sequence[int]) -> Iterator[bytes]:
        for index, picture in zip(indices, self._source.read(indices), strict=True):
            width, height = picture.shape[1], picture.shape[0]
            if (width, height) not in self._sizes:
                allowed = " or ".join(f"{w}x{h}" for w, h in sorted(self._sizes))
                raise EpisodeError(
                    f"{self._source.where}[{index}]: the image is {width}x{height}, not {allowed}. "
                    "Use the contract it was recorded under."
                )
            if self._images.resize_before is not None:
                picture = _resize(picture, *self._images.resize_before)
            yield jpeg.encode(picture, self._images.jpeg_quality) if self._images.jpeg_quality else _png(picture)


def pictures(frames: Sequence[bytes], where: str) -> Iterator[Picture]:
    """Yield the images of one camera of an episode at the best quality there is.

    Raises:
        EpisodeError: naming `where` and the step, when an image is damaged.
    """
    if isinstance(frames, Frames):
        yield from frames.pictures()
        return
    for step, data in enumerate(frames):
        yield jpeg.decode(data, f"{where}[{step}]")


class ArrayFrames:
    """Uncompressed images, (L, H, W, 3) uint8, in an HDF5 file."""

    def __init__(self, path: Path, dataset: str, length: int) -> None:
        self._path, self._dataset, self._length = path, dataset, length
        self.where = f"{path}: {dataset}"

    def __len__(self) -> int:
        return self._length

    def read(self, indices: Sequence[int]) -> Iterator[Picture]:
        """Yield (H, W, 3) images."""
        with fields.opened(self._path) as file:
            dataset = file[self._dataset]
            if dataset.ndim != 4 or dataset.shape[-1] != 3 or dataset.dtype != np.uint8:
                raise EpisodeError(
                    f"{self.where}: holds {dataset.dtype} {dataset.shape}, not (steps, height, width, 3) uint8. "
                    "Convert the file again."
                )
            for index in indices:
                yield dataset[index]


class PaddedJpegFrames:
    """JPEGs in the rows of a uint8 matrix, filled up with zeros to the longest of the episode.

    The recorder compresses RGB arrays with a library that expects BGR, so red and blue are exchanged once decoded.
    The lengths it stores beside them are not needed: a JPEG ends in FF D9, so zeros after that are padding.
    """

    def __init__(self, path: Path, dataset: str, length: int, exchanged: bool = True) -> None:
        self._path, self._dataset, self._length, self._exchanged = path, dataset, length, exchanged
        self.where = f"{path}: {dataset}"

    def __len__(self) -> int:
        return self._length

    def read(self, indices: Sequence[int]) -> Iterator[Picture]:
        """Yield (H, W, 3) RGB images."""
        with fields.opened(self._path) as file:
            dataset = file[self._dataset]
            for index in indices:
                picture = jpeg.decode(dataset[index].tobytes().rstrip(b"\0"), f"{self.where}[{index}]")
                yield np.ascontiguousarray(picture[..., ::-1]) if self._exchanged else picture


def _resize(picture: Picture, height: int, width: int) -> Picture:
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def _png(picture: Picture) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()
