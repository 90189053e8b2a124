"""Predict the clean sequence around the network: clean frames in, clean frames kept (frame replacement)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cosmos_policy_core.errors import SamplingStopped
from cosmos_policy_core.model.batching import BatchLimit
from cosmos_policy_core.model.diffusion import Prediction, Schedule, initial_noise, rectified_flow, sample
from cosmos_policy_core.model.transformer import TextContext

ShouldStop = Callable[[], bool]
"""Asked before every network call; true abandons the sampling at once."""


class Network(Protocol):
    """A `DiffusionTransformer`, or what stands in for it where it must be fast; see its `forward`."""

    @property
    def dtype(self) -> torch.dtype: ...

    def __call__(
        self,
        x: Tensor,
        times: Tensor,
        text: TextContext | Tensor,
        condition_mask: Tensor,
        padding_mask: Tensor | None = None,
        *,
        which: Tensor | None = None,
    ) -> Tensor: ...


@dataclass(frozen=True)
class Condition:
    """What is known of a batch of sequences.

    clean: (B, C, T, H, W) clean latents; only conditioned frames are read.
    mask: (B, T), 1 on conditioned frames.
    text: projected instruction, batch B; in training its embedding (B, L, channels), which every block projects.
    """

    clean: Tensor
    mask: Tensor
    text: TextContext | Tensor
    padding_mask: Tensor | None = None
    hidden: Tensor | None = None
    """(B, T), 1 on frames that hold noise only, whatever the network makes of them."""

    def rows(self, rows: slice | Tensor) -> Condition:
        """Take some samples of the batch; an instruction of batch 1 is shared by all."""
        clean = self.clean[rows]
        if isinstance(self.text, Tensor):
            text: TextContext | Tensor = self.text[rows]
        else:
            text = self.text.expand(len(clean)) if self.text.batch == 1 else self.text.rows(rows)
        padding = None if self.padding_mask is None else self.padding_mask[rows]
        hidden = None if self.hidden is None else self.hidden[rows]
        return Condition(clean, self.mask[rows], text, padding, hidden)


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
    full = over_frames(condition.mask).to(x.dtype)
    sigma = _per_frame(sigma, x.shape[2])
    scaling = rectified_flow(sigma)
    latents = condition.clean.to(x.dtype) * full + over_frames(scaling.into) * x * (1 - full)
    times = torch.where(condition.mask > 0, torch.zeros_like(scaling.noise), scaling.noise)
    return NetworkInput(latents=latents, times=times, mask=full.expand(-1, -1, -1, *x.shape[-2:]))


def predict_clean(
    network: Network, x: Tensor, sigma: Tensor, condition: Condition, prediction: Prediction = "v"
) -> Tensor:
    """Predict x0 (B, C, T, H, W) float32; conditioned frames come back as they were given, hidden ones as zeros.

    A hidden frame whose x0 is always zero stays sigma times its first noise through the whole sampling.
    """
    given = network_input(x, sigma, condition)
    times, which = _distinct_times(sigma, given.times, condition.mask)
    output = network(
        given.latents.to(network.dtype),
        times.to(network.dtype),
        condition.text,
        given.mask,
        condition.padding_mask,
        which=which,
    )
    scaling = rectified_flow(_per_frame(sigma, x.shape[2]), prediction)
    x0 = over_frames(scaling.skip) * x + over_frames(scaling.out) * output
    x0 = condition.clean.to(x0.dtype) * given.mask + x0 * (1 - given.mask)
    return x0 if condition.hidden is None else x0 * (1 - over_frames(condition.hidden).to(x0.dtype))


@torch.inference_mode()
def generate(
    network: Network,
    condition: Condition,
    noise: Tensor,
    steps: int | Sequence[int],
    prediction: Prediction = "v",
    schedule: Schedule | None = None,
    limit: BatchLimit | None = None,
    should_stop: ShouldStop | None = None,
) -> Tensor:
    """Sample whole sequences, all together: a sample that needs fewer steps leaves the batch earlier.

    Args:
        noise: (B, C, T, H, W) start state: unit noise times sigma_max.
        steps: denoising steps, one number or one per sample, in any order.
        limit: samples per network call; unlimited when None.
        should_stop: asked before every network call.

    Returns:
        (B, C, T, H, W) float32; conditioned frames equal the clean ones.

    Raises:
        SamplingStopped: `should_stop` said so; nothing is left running.
    """
    counts = torch.tensor([steps] * len(noise) if isinstance(steps, int) else list(steps))
    order = torch.argsort(counts, descending=True, stable=True)
    place = order.to(noise.device)
    given, limit = condition.rows(place), limit or BatchLimit(len(noise))

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        def part(rows: slice) -> Tensor:
            if should_stop is not None and should_stop():
                raise SamplingStopped("sampling was stopped between two denoising steps.")
            return predict_clean(network, x[rows], sigma[rows], given.rows(rows), prediction)

        return limit.run(part, len(x))

    sampled = sample(denoise, noise[place], counts[order].tolist(), schedule or Schedule())
    return torch.empty_like(sampled).index_copy_(0, place, sampled)


def start_noise(seeds: list[int], shape: tuple[int, ...], sigma_max: float, device: torch.device) -> Tensor:
    """Stack the start states of several seeds, each drawn alone: (len(seeds), *shape) float32."""
    with ThreadPoolExecutor() as pool:  # numpy draws without the interpreter's lock: 3 ms per sample of the 2B network
        drawn = list(pool.map(lambda seed: initial_noise((1, *shape), seed), seeds))
    return torch.cat(drawn).to(device) * sigma_max


def _distinct_times(sigma: Tensor, times: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    """Say the times (B, T) of frames as two times (B, 2) of samples, and which frame has which.

    Conditioned frames have time 0 and all others their sample's, so two modulations serve all frames.
    """
    if sigma.dim() == 2:
        return times, None
    noise = rectified_flow(sigma).noise
    return torch.stack([torch.zeros_like(noise), noise], dim=1), (mask <= 0).long()


def _per_frame(sigma: Tensor, frames: int) -> Tensor:
    return sigma[:, None].expand(-1, frames) if sigma.dim() == 1 else sigma


def over_frames(per_frame: Tensor) -> Tensor:
    """(B, T) -> (B, 1, T, 1, 1)."""
    return per_frame[:, None, :, None, None]
