"""What a policy is asked about and what it answers: scenes, proposals, futures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.model.transformer import TextContext


@dataclass(frozen=True)
class Scene:
    """An encoded observation: shared by all candidates, members and denoising steps.

    clean: (1, C, T, h, w) latents, frames up to the last camera filled, proprio injected; of batch B for B imagined
    presents.
    images: (1, cameras, S, S, 3) uint8, prepared; decoding needs them where the tokenizer is causal.
    """

    clean: Tensor
    text: TextContext
    images: Tensor | None = None


@dataclass(frozen=True)
class Proposals:
    """Sampled action chunks.

    actions: (n, K, A) robot units. values: (n,) in [0, 1], predicted together with the chunk.
    future_proprio: (n, P) robot units. spread: (n,) mean disagreement between the copies of the chunk, normalised.
    latents: (n, C, T, h, w) raw samples; the world model conditions on them, as published.
    """

    actions: NDArray[np.float64]
    values: NDArray[np.float64]
    future_proprio: NDArray[np.float64]
    spread: NDArray[np.float64]
    latents: Tensor
    seeds: tuple[int, ...]

    def joined(self, others: Proposals) -> Proposals:
        """Append other proposals of the same observation."""
        return Proposals(
            actions=np.concatenate([self.actions, others.actions]),
            values=np.concatenate([self.values, others.values]),
            future_proprio=np.concatenate([self.future_proprio, others.future_proprio]),
            spread=np.concatenate([self.spread, others.spread]),
            latents=torch.cat([self.latents, others.latents]),
            seeds=(*self.seeds, *others.seeds),
        )


@dataclass(frozen=True)
class Futures:
    """Imagined futures: latents (n, m, C, T, h, w) of n candidates with m members each."""

    latents: Tensor
    seeds: tuple[int, ...]
