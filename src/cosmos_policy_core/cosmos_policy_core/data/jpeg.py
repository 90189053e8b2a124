"""JPEG round trips, the same for recorded and for live images."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cosmos_policy_core.errors import EpisodeError


def encode(image: NDArray[np.uint8], quality: int = 95) -> bytes:
    """Encode (H, W, 3) RGB uint8 as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=quality)
    return stream.getvalue()


def decode(data: bytes, where: str = "image") -> NDArray[np.uint8]:
    """Decode a JPEG to (H, W, 3) RGB uint8.

    Raises:
        EpisodeError: naming `where`, when the bytes are not an image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise EpisodeError(f"{where}: the JPEG cannot be decoded ({error}). Record the episode again.") from None


def size(data: bytes, where: str = "image") -> tuple[int, int]:
    """Read (width, height) from the header, without decoding."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (UnidentifiedImageError, OSError) as error:
        raise EpisodeError(f"{where}: the JPEG cannot be decoded ({error}). Record the episode again.") from None
