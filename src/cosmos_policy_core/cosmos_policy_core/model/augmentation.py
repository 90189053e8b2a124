"""Random changes of the camera images in training (method, image augmentation): crop, rotation, colour.

One draw serves all images of a sample, so that current and future images stay comparable. Black placeholders stay
black under all of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cosmos_policy_core.model.images import CROP_SHARE, enlarge

_GREY = (0.2989, 0.587, 0.114)


@dataclass(frozen=True)
class AugmentationConfig:
    """Ranges of the random draws. Defaults: the strong setting of all published runs.

    rotation: degrees to either side. brightness, contrast, saturation: factors are drawn from 1 - x to 1 + x.
    hue: shift to either side, in turns of the colour wheel.
    """

    crop: bool = True
    rotation: float = 5.0
    brightness: float = 0.3
    contrast: float = 0.4
    saturation: float = 0.5
    hue: float = 0.05


WEAK = AugmentationConfig(rotation=0.0, brightness=0.2, contrast=0.2, saturation=0.2)


@dataclass(frozen=True)
class Augmentation:
    """One draw. crop: top, left and side in pixels, or None. rotation: degrees, counter-clockwise."""

    crop: tuple[int, int, int] | None
    rotation: float
    brightness: float
    contrast: float
    saturation: float
    hue: float

    @classmethod
    def draw(cls, config: AugmentationConfig, size: int, generator: torch.Generator) -> Augmentation:
        """Draw the parameters for one sample of square images of `size` pixels."""

        def within(reach: float) -> float:
            return (2 * torch.rand((), generator=generator).item() - 1) * reach

        def corner(side: int) -> int:
            return int(torch.randint(size - side + 1, (), generator=generator).item())

        side = round(size * math.sqrt(CROP_SHARE))  # 213 of 224; the test-time crop cuts off instead and has 212
        return cls(
            crop=(corner(side), corner(side), side) if config.crop else None,
            rotation=within(config.rotation),
            brightness=1 + within(config.brightness),
            contrast=1 + within(config.contrast),
            saturation=1 + within(config.saturation),
            hue=within(config.hue),
        )

    def apply(self, images: Tensor) -> Tensor:
        """Change images (N, 3, S, S) uint8, all in the same way; every step rounds to whole grey levels."""
        if self.crop is not None:
            top, left, side = self.crop
            images = enlarge(images[:, :, top : top + side, left : left + side], images.shape[-1])
        if self.rotation:
            images = rotate(images, self.rotation)
        images = _blend(images, torch.zeros(()), self.brightness)
        images = _blend(images, grey(images).mean(dim=(-3, -2, -1), keepdim=True), self.contrast)
        images = _blend(images, grey(images), self.saturation)
        return shift_hue(images, self.hue) if self.hue else images


def rotate(images: Tensor, degrees: float) -> Tensor:
    """Rotate square images (N, 3, S, S) about their centre: nearest pixel, black corners."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    transform = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]]).expand(len(images), -1, -1)
    grid = functional.affine_grid(transform, list(images.shape), align_corners=False)
    turned = functional.grid_sample(images.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return turned.round().to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """Return the luma (N, 1, S, S) as float32, cut off to whole grey levels like an 8-bit image."""
    weights = torch.tensor(_GREY).view(3, 1, 1)
    return (images.float() * weights).sum(dim=-3, keepdim=True).floor()


def shift_hue(images: Tensor, turns: float) -> Tensor:
    """Turn the hue of images (N, 3, S, S) by a fraction of the colour wheel; brightness and chroma stay."""
    colours = images.float() / 255.0
    value = colours.amax(dim=-3, keepdim=True)
    chroma = value - colours.amin(dim=-3, keepdim=True)
    red, green, blue = colours.split(1, dim=-3)
    divisor = torch.where(chroma > 0, chroma, 1.0)
    sector = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    hue = sector + 6 * turns
    # Each channel is the same trapezoid of the hue, a third of a turn apart: full, falling, low, rising.
    offsets = torch.tensor([5.0, 3.0, 1.0]).view(3, 1, 1)
    phase = (hue + offsets) % 6
    turned = value - chroma * torch.minimum(phase, 4 - phase).clamp(0, 1)
    return (turned * 255.0).round().clamp(0, 255).to(torch.uint8)


def _blend(images: Tensor, other: Tensor, factor: float) -> Tensor:
    """Mix with `other`; factors above 1 move away from it. Cut off to whole grey levels."""
    return (factor * images.float() + (1 - factor) * other).clamp(0, 255).to(torch.uint8)
