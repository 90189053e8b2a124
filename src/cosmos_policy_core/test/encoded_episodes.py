"""Hand-made episodes in latent space, for tests of what is drawn from them."""

from __future__ import annotations

import torch
from policies import INSTRUCTION

from cosmos_policy_core.training.encoded import EncodedEpisode


def encoded(seed: int, success: bool = True, length: int = 60, rollout: bool = False) -> EncodedEpisode:
    generator = torch.Generator().manual_seed(seed)
    return EncodedEpisode(
        latents=torch.randn(length, 3, 16, 8, 8, generator=generator).half(),
        proprio=torch.rand(length, 14, generator=generator) * 2 - 1,
        actions=torch.rand(length, 14, generator=generator) * 2 - 1,
        values=torch.linspace(-1, 1, length) if success else -torch.ones(length),
        instruction=INSTRUCTION,
        success=success,
        seed=seed,
        where=f"episode {seed}",
        rollout=rollout,
    )
