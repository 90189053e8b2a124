"""Predict the clean sequence around the network: clean frames in, clean frames kept (frame replacement)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cosmos_policy_core.model.diffusion import Prediction, Schedule, initial_noise, rectified_flow, sample
from cosmos_policy_core.model.transformer import DiffusionTransformer, TextContext


@dataclass(frozen=True)
class Condition:
    """What is known of a batch of sequences.

    clean: (B, C, T, H, W) clean latents; only conditioned frames are read.
    mask: (B, T), 1 on conditioned frames.
    text: projected instruction, batch B.
    """

    clean: Tensor
    mask: Tensor
    text: TextContext
    padding_mask: Tensor | None = None


@dataclass(frozen=True)
class NetworkInput:
    """Exactly what the network is handed, before its cast: latents, per-frame times (B, T) and full mask."""

    latents: Tensor
    times: Tensor
    mask: Tensor


def network_input(x: Tensor, sigma: Tensor, condition: Condition) -> NetworkInput:
    """Scale the noisy frames, put the clean frames in unscaled, give those time 0.

    Args:
        x: (B, C, T, H, W) noisy latents.
        sigma: (B,) or per frame (B, T).
    """
    full = _over_frames(condition.mask).to(x.dtype)
    sigma = _per_frame(sigma, x.shape[2])
    scaling = rectified_flow(sigma)
    latents = condition.clean.to(x.dtype) * full + _over_frames(scaling.into) * x * (1 - full)
    times = torch.where(condition.mask > 0, torch.zeros_like(scaling.noise), scaling.noise)
    return NetworkInput(latents=latents, times=times, mask=full.expand(-1, -1, -1, *x.shape[-2:]))


def predict_clean(
    network: DiffusionTransformer, x: Tensor, sigma: Tensor, condition: Condition, prediction: Prediction = "v"
) -> Tensor:
    """Predict x0 (B, C, T, H, W) float32; conditioned frames come back as they were given."""
    given = network_input(x, sigma, condition)
    output = network(
        given.latents.to(network.dtype),
        given.times.to(network.dtype),
        condition.text,
        given.mask,
        condition.padding_mask,
    )
    scaling = rectified_flow(_per_frame(sigma, x.shape[2]), prediction)
    x0 = _over_frames(scaling.skip) * x + _over_frames(scaling.out) * output
    return condition.clean.to(x0.dtype) * given.mask + x0 * (1 - given.mask)


@torch.inference_mode()
def generate(
    network: DiffusionTransformer,
    condition: Condition,
    noise: Tensor,
    steps: int,
    prediction: Prediction = "v",
    schedule: Schedule | None = None,
) -> Tensor:
    """Sample whole sequences.

    Args:
        noise: (B, C, T, H, W) start state: unit noise times sigma_max.
        steps: denoising steps.

    Returns:
        (B, C, T, H, W) float32; conditioned frames equal the clean ones.
    """
    return sample(
        lambda x, sigma: predict_clean(network, x, sigma, condition, prediction), noise, steps, schedule or Schedule()
    )


def start_noise(seeds: list[int], shape: tuple[int, ...], sigma_max: float, device: torch.device) -> Tensor:
    """Stack the start states of several seeds, each drawn alone: (len(seeds), *shape) float32."""
    return torch.cat([initial_noise((1, *shape), seed) for seed in seeds]).to(device) * sigma_max


def _per_frame(sigma: Tensor, frames: int) -> Tensor:
    return sigma[:, None].expand(-1, frames) if sigma.dim() == 1 else sigma


def _over_frames(per_frame: Tensor) -> Tensor:
    """(B, T) -> (B, 1, T, 1, 1)."""
    return per_frame[:, None, :, None, None]
