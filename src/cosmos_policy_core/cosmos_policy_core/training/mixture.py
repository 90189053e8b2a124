"""Which samples a batch holds: policy, world-model and value samples in fixed shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from cosmos_policy_core.data.returns import future_step
from cosmos_policy_core.errors import DatasetError
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.training.encoded import EncodedEpisode
from cosmos_policy_core.training.objective import POLICY, VALUE, WORLD, Batch


@dataclass(frozen=True)
class MixtureConfig:
    """Shares per batch, stratified: a batch always holds these counts (rounded), unlike the published sampler.

    The defaults are the shipped nano checkpoint's.
    """

    policy_share: float = 0.6
    world_share: float = 0.2
    failure_share: float = 0.4
    """Share of failed episodes among world-model and value samples, where there are any."""
    query_share: float = 0.3
    """Share of policy samples drawn near the steps at which the robot asks (multiples of the executed steps)."""
    query_jitter: int = 3
    """How near [steps]."""
    demonstrations_are_rollouts: bool = True
    """Draw world-model and value samples from demonstrations as well."""


MixName = Literal["nano", "policy", "planning"]
MIXTURES: dict[MixName, MixtureConfig] = {
    "nano": MixtureConfig(),
    "policy": MixtureConfig(policy_share=0.5, world_share=0.25, failure_share=0.5),
    "planning": MixtureConfig(policy_share=0.1, world_share=0.45, failure_share=0.5, demonstrations_are_rollouts=False),
}
"""Policy / world-model / value samples: 60/20/20, and the published 50/25/25 and 10/45/45."""


class Mixture:
    """Draw batches from encoded episodes; the same (seed, step) always gives the same batch."""

    def __init__(
        self,
        episodes: Sequence[EncodedEpisode],
        config: PolicyConfig,
        mixture: MixtureConfig,
        text: TextEmbeddings,
        executed_steps: int,
        seed: int,
    ) -> None:
        self.demos = [episode for episode in episodes if episode.success and not episode.rollout]
        self.failures = [episode for episode in episodes if not episode.success]
        self.successes = [episode for episode in episodes if episode.success and episode.rollout]
        if mixture.demonstrations_are_rollouts:
            self.successes += self.demos
        if not self.demos:
            raise DatasetError("no successful episode to learn a policy from. Collect demonstrations first.")
        if not self.successes and not self.failures:
            raise DatasetError(
                "no rollout to learn world model and value from, and this mix keeps demonstrations out of them. "
                "Give rollouts with --rollouts, or choose --mix policy."
            )
        self.config, self.mixture, self.text = config, mixture, text
        self.executed_steps, self.seed = executed_steps, seed

    def batch(self, step: int, size: int) -> Batch:
        """Draw the batch of a training step."""
        rng = np.random.default_rng([self.seed, step])
        policy = round(size * self.mixture.policy_share)
        world = round(size * self.mixture.world_share)
        kinds = [POLICY] * policy + [WORLD] * world + [VALUE] * (size - policy - world)
        return self.collate([self._draw(kind, rng) for kind in kinds], kinds)

    def collate(self, chosen: Sequence[tuple[EncodedEpisode, int]], kinds: Sequence[int]) -> Batch:
        """Stack (episode, step) samples into a batch."""
        layout, horizon = self.config.layout, self.config.horizon
        latents = torch.zeros(len(chosen), *self.config.latent_shape)
        rows: dict[str, list[torch.Tensor]] = {
            "proprio": [],
            "future_proprio": [],
            "actions": [],
            "value": [],
            "text": [],
        }
        for index, (episode, step) in enumerate(chosen):
            future = future_step(step, horizon, len(episode))
            latents[index, :, list(layout.images)] = episode.latents[step].float().transpose(0, 1)
            latents[index, :, list(layout.future_images)] = episode.latents[future].float().transpose(0, 1)
            steps = torch.arange(step, step + horizon).clamp(max=len(episode) - 1)
            rows["proprio"].append(episode.proprio[step])
            rows["future_proprio"].append(episode.proprio[future])
            rows["actions"].append(episode.actions[steps])
            rows["value"].append(episode.values[future])
            rows["text"].append(self.text[episode.instruction])
        return Batch(
            latents=latents, kind=torch.tensor(kinds), **{name: torch.stack(row) for name, row in rows.items()}
        )

    def _draw(self, kind: int, rng: np.random.Generator) -> tuple[EncodedEpisode, int]:
        pool = self.demos if kind == POLICY else self._rollouts(rng)
        episode = pool[rng.integers(len(pool))]
        if kind == POLICY and rng.random() < self.mixture.query_share:
            queries = np.arange(0, len(episode), self.executed_steps)
            jitter = self.mixture.query_jitter
            step = int(rng.choice(queries) + rng.integers(-jitter, jitter + 1))
            return episode, int(np.clip(step, 0, len(episode) - 1))
        return episode, int(rng.integers(len(episode)))

    def _rollouts(self, rng: np.random.Generator) -> list[EncodedEpisode]:
        """Choose the pool of a world-model or value sample."""
        if not self.failures or not self.successes:
            return self.failures or self.successes
        return self.failures if rng.random() < self.mixture.failure_share else self.successes
