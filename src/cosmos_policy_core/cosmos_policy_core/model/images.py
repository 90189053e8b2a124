"""Camera images -> model images, exactly as in training, and back to something a person can look at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.errors import ObservationError

Images = NDArray[np.uint8]

CROP_SHARE = 0.9  # of the area; the test-time counterpart of the random crop in training


def prepare_images(
    images: Sequence[Images],
    size: int,
    *,
    resize_before: tuple[int, int] | None = None,
    flip_vertical: bool = False,
    jpeg_quality: int | None = None,
    center_crop: bool = True,
) -> Images:
    """Turn camera images into model images.

    The order is the reference's: flip, resize on the robot's side, JPEG round trip, resize, centre crop.

    Args:
        images: (H, W, 3) uint8 each; sizes may differ between cameras.
        size: height and width of a model image, pixels.
        resize_before: height and width of an intermediate image (ALOHA's client makes 256 x 256), pixels.
        flip_vertical: turn images upside down first (simulators that render bottom-up).
        jpeg_quality: recompress with this JPEG quality, because the training images were compressed.
        center_crop: keep the central 90 % of the area and enlarge it again; for models trained with random crops.

    Returns:
        (N, size, size, 3) uint8.

    Raises:
        ObservationError: an image is not (H, W, 3) uint8.
    """
    prepared = np.stack([_prepare(image, size, resize_before, flip_vertical, jpeg_quality) for image in images])
    return central_crop(prepared) if center_crop else prepared


def _prepare(
    image: Images, size: int, resize_before: tuple[int, int] | None, flip_vertical: bool, jpeg_quality: int | None
) -> Images:
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ObservationError(f"A camera image is {image.dtype} {image.shape}. Give (height, width, 3) uint8, RGB.")
    image = np.flipud(image) if flip_vertical else image
    image = resize(image, *resize_before) if resize_before else image
    image = recompress(image, jpeg_quality) if jpeg_quality else image
    return resize(image, size, size)


def resize(image: Images, height: int, width: int) -> Images:
    """Resize (H, W, 3) with Pillow's bicubic filter; an image of that size is left alone."""
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BICUBIC))


def recompress(image: Images, quality: int) -> Images:
    """Encode (H, W, 3) as JPEG and decode it again."""
    return jpeg.decode(jpeg.encode(np.ascontiguousarray(image), quality))


def central_crop(images: Images) -> Images:
    """Cut the central 90 % of the area out of square images (N, S, S, 3) and enlarge it to the old size."""
    size = images.shape[1]
    side = int(size * math.sqrt(CROP_SHARE))
    first = round((size - side) / 2)
    cut = torch.from_numpy(images).movedim(-1, 1)[:, :, first : first + side, first : first + side]
    return enlarge(cut, size).movedim(1, -1).numpy()


def enlarge(images: Tensor, size: int) -> Tensor:
    """Resize uint8 (N, 3, H, W) to (N, 3, size, size): bilinear with antialiasing, rounded to whole grey levels."""
    resized = functional.interpolate(
        images.to(torch.float32), size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )
    return resized.round().to(torch.uint8)


def average_images(images: Images) -> Images:
    """Average predictions (N, H, W, 3) uint8 of one image, rounded half to even."""
    return np.mean(images, axis=0).round().astype(np.uint8)


def to_model_range(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Map uint8 to [-1, 1]; division and subtraction happen in `dtype`, as the published bfloat16 training did."""
    return images.to(dtype) / 127.5 - 1


def to_display(images: Tensor) -> Tensor:
    """Map [-1, 1] to uint8: clamped, then cut off (not rounded)."""
    return ((images + 1) * 127.5).clamp(0, 255).to(torch.uint8)
