"""Noise, preconditioning, schedule and solver (rectified flow in EDM notation, x = x0 + sigma * eps)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Prediction = Literal["v", "x0"]


@dataclass(frozen=True)
class Preconditioning:
    """Coefficients around the network: x0 = skip * x + out * net(in * x, noise)."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


def rectified_flow(sigma: Tensor, prediction: Prediction = "v") -> Preconditioning:
    """Scale inputs and outputs for rectified flow, with t = sigma / (1 + sigma).

    `v` is the paper's: the network predicts eps - x0. With `x0` the network's output is the clean sample itself,
    which narrow networks learn much faster (they need not pass the noise through).
    """
    time = sigma / (sigma + 1)
    if prediction == "x0":
        return Preconditioning(skip=torch.zeros_like(time), out=torch.ones_like(time), into=1 - time, noise=time)
    return Preconditioning(skip=1 - time, out=-time, into=1 - time, noise=time)


def edm(sigma: Tensor, sigma_data: float = 0.5) -> Preconditioning:
    """Scale inputs and outputs as EDM does (Karras et al. 2022, table 1); kept for comparison."""
    variance = sigma**2 + sigma_data**2
    return Preconditioning(
        skip=sigma_data**2 / variance,
        out=sigma * sigma_data / variance.sqrt(),
        into=1 / variance.sqrt(),
        noise=sigma.log() / 4,
    )


def loss_weight(sigma: Tensor) -> Tensor:
    """Weight of the squared x0 error, 1 / t^2: makes the loss uniform in v."""
    return (1 + sigma) ** 2 / sigma**2


@dataclass(frozen=True)
class NoiseDistribution:
    """Training noise: a log-normal mixed with a uniform tail, shared by all frames of a sample.

    The published training multiplies every draw by sqrt(T) (`frames`), which the paper does not mention.
    """

    log_mean: float = math.log(4.0)
    log_std: float = 1.2
    uniform_share: float = 0.3
    uniform_low: float = 1.0
    uniform_high: float = 85.0

    def sample(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """Draw (count,) float64 noise levels for sequences of `frames` latent frames (1: unscaled)."""
        options = {"generator": generator, "dtype": torch.float64, "device": generator.device}
        log_normal = torch.exp(torch.randn(count, **options) * self.log_std + self.log_mean)  # type: ignore[call-overload]
        uniform = torch.rand(count, **options)  # type: ignore[call-overload]
        uniform = self.uniform_low + uniform * (self.uniform_high - self.uniform_low)
        from_tail = torch.rand(count, **options) < self.uniform_share  # type: ignore[call-overload]
        return torch.where(from_tail, uniform, log_normal) * math.sqrt(frames)


@dataclass(frozen=True)
class Schedule:
    """Noise levels of inference. `steps` counts network evaluations, the last one at sigma_min."""

    sigma_min: float = 4.0
    sigma_max: float = 80.0
    rho: float = 7.0

    def sigmas(self, steps: int) -> Tensor:
        """Noise levels of the solver's grid, float64, (max(steps, 2),), falling from sigma_max to sigma_min."""
        if steps < 1:
            raise ValueError(f"{steps} denoising steps; at least 1 is needed.")
        intervals = max(steps - 1, 1)
        ramp = torch.arange(intervals + 1, dtype=torch.float64) / intervals
        high, low = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        return (high + ramp * (low - high)) ** self.rho

    def evaluations(self, steps: int) -> Tensor:
        """Noise levels at which the network is called, float64.

        Two steps are one evaluation, exactly like one step: a quirk of the reference that the published ensembles
        contain, kept because their numbers depend on it.
        """
        grid = self.sigmas(steps)
        return grid[:1] if steps <= 2 else grid

    def scaled(self, factors: tuple[float, float]) -> Schedule:
        """Multiply (sigma_max, sigma_min), as variance scaling does."""
        return Schedule(self.sigma_min * factors[1], self.sigma_max * factors[0], self.rho)


def initial_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Draw the reference's device-independent start noise, float32, before multiplication by sigma_max.

    One draw covers the whole shape: a batch of seeds is stacked from single draws, not drawn at once.
    """
    return torch.from_numpy(np.random.RandomState(seed % 2**32).standard_normal(shape).astype(np.float32))


def variance_scales(seed: int) -> tuple[float, float]:
    """Factors for (sigma_max, sigma_min) of a seed when variance scaling is on; off by default."""
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.rand(1, generator=generator).item() for _ in range(2)]
    return draws[0] * 2.0 + 1.0, draws[1] * 0.9 + 0.1


Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x float, sigma (B,) float) -> x0 of the same shape."""


class MultistepSolver:
    """Second-order exponential multistep solver ("2ab"); every sample of a batch has its own noise levels.

    The state is float64; the network sees the dtype of the noise. `sigmas` is one grid (S,) for all samples or a table
    (B, S). Each step concerns the first `active` samples of the batch; the others have arrived.
    """

    def __init__(self, noise: Tensor, sigmas: Tensor) -> None:
        table = sigmas.to(device=noise.device, dtype=torch.float64)
        self.sigmas = table if table.dim() == 2 else table.expand(len(noise), -1)
        self.dtype = noise.dtype
        self.state = noise.to(torch.float64)
        self._previous: Tensor | None = None

    def network_input(self, step: int, active: int | None = None) -> tuple[Tensor, Tensor]:
        """State and (active,) noise levels to evaluate at a step."""
        return self.state[:active].to(self.dtype), self.sigmas[:active, step].to(self.dtype)

    def advance(self, step: int, x0: Tensor) -> None:
        """Move the first len(x0) samples from sigma[step] to sigma[step + 1] and forget the others."""
        x0, state = x0.to(torch.float64), self.state[: len(x0)]
        current, following = self._levels(step, len(x0)), self._levels(step + 1, len(x0))
        if self._previous is None:
            self.state = (current - following) / current * x0 + following / current * state
        else:
            before = self._levels(step - 1, len(x0))
            self.state = _second_order(state, x0, current, following, self._previous[: len(x0)], before)
        self._previous = x0

    def _levels(self, step: int, active: int) -> Tensor:
        return self.sigmas[:active, step].view(-1, *[1] * (self.state.dim() - 1))


def _second_order(x: Tensor, x0: Tensor, sigma: Tensor, target: Tensor, x0_before: Tensor, before: Tensor) -> Tensor:
    length = sigma.log() - target.log()
    ratio = (sigma.log() - before.log()) / length
    phi_1 = torch.expm1(-length) / -length
    phi_2 = (phi_1 - 1) / -length
    weight_before = torch.nan_to_num(phi_2 / ratio, nan=0.0)
    weight = torch.nan_to_num(phi_1 - phi_2 / ratio, nan=0.0)
    return torch.exp(-length) * x + length * (weight * x0 + weight_before * x0_before)


def sample(denoise: Denoise, noise: Tensor, steps: int | Sequence[int], schedule: Schedule | None = None) -> Tensor:
    """Sample with the 2ab solver, all samples together although they may take different numbers of steps.

    Args:
        denoise: x0 prediction for (x, sigma (b,)) of the first b samples that are still under way.
        noise: (B, ...) start state, unit noise times sigma_max, float32 or float64.
        steps: network evaluations, see `Schedule.evaluations` for 2; one number, or one per sample, never rising.
        schedule: noise levels; the published 80 -> 4 by default.

    Returns:
        The last x0 prediction of every sample, in the dtype of the noise: sigma never reaches 0.

    Raises:
        ValueError: step counts that rise, or not one per sample.
    """
    schedule, batch = schedule or Schedule(), len(noise)
    counts = [steps] * batch if isinstance(steps, int) else list(steps)
    if len(counts) != batch or any(later > earlier for earlier, later in pairwise(counts)):
        raise ValueError(f"steps {counts} for {batch} samples; give one count per sample, the largest first.")
    evaluations = [len(schedule.evaluations(count)) for count in counts]
    solver = MultistepSolver(noise, _table(schedule, counts))
    out = torch.empty_like(noise)
    for step in range(evaluations[0]):
        active = sum(total > step for total in evaluations)
        going_on = sum(total > step + 1 for total in evaluations)
        x0 = denoise(*solver.network_input(step, active))
        out[going_on:active] = x0[going_on:].to(noise.dtype)
        if going_on:
            solver.advance(step, x0[:going_on])
    return out


def _table(schedule: Schedule, counts: Sequence[int]) -> Tensor:
    """Noise levels (B, S) of samples with different step counts; unused ends repeat the last level."""
    grids = {count: schedule.sigmas(count) for count in set(counts)}
    width = max(len(grid) for grid in grids.values())
    padded = {count: torch.cat([grid, grid[-1:].expand(width - len(grid))]) for count, grid in grids.items()}
    return torch.stack([padded[count] for count in counts])
