"""Camera images <-> latent frames.

Two tokenizers share one shape: the Wan2.1 video VAE of the published checkpoints and a small image autoencoder that
trains in minutes on a CPU. Both turn one still image per latent frame into a standardised latent of 16 channels at an
eighth of the image size, so the rest of the model does not know which one it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.model.wan import WanTokenizer

__all__ = ["ImageTokenizer", "Tokenizer", "WanTokenizer"]


@runtime_checkable
class Tokenizer(Protocol):
    """What the policy needs from a tokenizer.

    `temporal_factor` is the number of identical pixel frames that one latent frame after the first stands for.
    """

    latent_channels: int
    spatial_factor: int
    temporal_factor: int

    def encode_stills(self, stills: Tensor, frames: int | None = None, black: int = 0) -> Tensor:
        """Encode one still image per latent frame.

        Args:
            stills: (B, T, 3, H, W) in [-1, 1].
            frames: encode only this many leading latent frames; all by default.
            black: black frames before the stills, encoded like them.

        Returns:
            (B, C, frames, H/8, W/8), standardised.
        """
        ...

    def decode_stills(self, latents: Tensor) -> Tensor:
        """Decode (B, C, T, h, w) to one still image per latent frame, (B, T, 3, 8h, 8w)."""
        ...


class ImageTokenizer(nn.Module):
    """A plain 2-D convolutional autoencoder; every image is one latent frame and knows nothing of its neighbours.

    Three halvings, `widths` channels after each, two residual blocks at the lowest resolution. Latents are standardised
    per channel with buffers that `standardise` measures after training.
    """

    spatial_factor = 8
    temporal_factor = 1

    latent_mean: Tensor
    latent_std: Tensor

    held_out_psnr: float | None = None  # dB, set by the training

    def __init__(self, image_size: int = 64, latent_channels: int = 16, widths: Sequence[int] = (16, 48, 96)) -> None:
        super().__init__()
        if len(widths) != 3 or image_size % self.spatial_factor:
            raise ConfigurationError(
                f"image tokenizer: widths {tuple(widths)} and image_size {image_size} do not fit. "
                "Give three widths (one per halving) and an image size divisible by 8."
            )
        self.image_size = image_size
        self.latent_channels = latent_channels
        self.widths = tuple(widths)
        low, middle, high = self.widths
        self.encoder = nn.Sequential(
            nn.Conv2d(3, low, 4, stride=2, padding=1),
            ResidualBlock(low),
            nn.Conv2d(low, middle, 4, stride=2, padding=1),
            ResidualBlock(middle),
            nn.Conv2d(middle, high, 4, stride=2, padding=1),
            ResidualBlock(high),
            ResidualBlock(high),
            nn.SiLU(),
            nn.Conv2d(high, latent_channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, high, 3, padding=1),
            ResidualBlock(high),
            ResidualBlock(high),
            Double(high, middle),
            ResidualBlock(middle),
            Double(middle, low),
            ResidualBlock(low),
            nn.SiLU(),
            Double(low, 3),
        )
        self.register_buffer("latent_mean", torch.zeros(latent_channels))
        self.register_buffer("latent_std", torch.ones(latent_channels))

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (N, 3, S, S), uint8 or [-1, 1], to standardised latents (N, C, S/8, S/8)."""
        latents = self.encoder(self._to_model(images))
        return (latents - self.latent_mean[:, None, None]) / self.latent_std[:, None, None]

    def decode(self, latents: Tensor) -> Tensor:
        """Decode standardised latents (N, C, h, w) to images (N, 3, 8h, 8w), about [-1, 1], not clamped."""
        return self.decoder(latents * self.latent_std[:, None, None] + self.latent_mean[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct images (N, 3, S, S)."""
        return self.decode(self.encode(images))

    def encode_stills(self, stills: Tensor, frames: int | None = None, black: int = 0) -> Tensor:
        """See `Tokenizer.encode_stills`."""
        before = stills.new_full((len(stills), black, *stills.shape[2:]), -1.0)
        stills = torch.cat([before, stills], dim=1)[:, :frames]
        return self.encode(stills.flatten(0, 1)).unflatten(0, stills.shape[:2]).transpose(1, 2)

    def decode_stills(self, latents: Tensor) -> Tensor:
        """See `Tokenizer.decode_stills`."""
        stills = latents.transpose(1, 2)
        return self.decode(stills.flatten(0, 1)).unflatten(0, stills.shape[:2])

    @torch.no_grad()
    def standardise(self, images: Tensor, batch: int = 256) -> None:
        """Measure the latent mean and standard deviation per channel on images (N, 3, S, S) and keep them."""
        raw = torch.cat([self.encoder(self._to_model(part)) for part in images.split(batch)])
        self.latent_mean.copy_(raw.mean(dim=(0, 2, 3)))
        self.latent_std.copy_(raw.std(dim=(0, 2, 3)).clamp_min(1e-4))

    def _to_model(self, images: Tensor) -> Tensor:
        images = images.to(self.latent_mean.dtype) / 127.5 - 1 if images.dtype == torch.uint8 else images
        return images.to(self.latent_mean.dtype)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip; starts as the identity, which makes normalisation layers unnecessary."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return x + self.second(functional.silu(self.first(functional.silu(x))))


class Double(nn.Module):
    """A convolution that doubles height and width by spreading channels over pixels."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width_in, 4 * width_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', 2H, 2W)."""
        return functional.pixel_shuffle(self.convolution(x), 2)
