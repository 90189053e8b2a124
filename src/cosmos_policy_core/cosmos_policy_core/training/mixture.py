"""Batches from episodes in latent space: what a sampler chose, stacked."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cosmos_policy_core.data.returns import future_step
from cosmos_policy_core.data.sampling import Mix, Pools, SamplingPolicy, make_sampler
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.training.encoded import EncodedEpisode
from cosmos_policy_core.training.objective import Batch


class Mixture:
    """Draw batches from encoded episodes; the same (seed, step) always gives the same batch."""

    def __init__(
        self,
        episodes: Sequence[EncodedEpisode],
        config: PolicyConfig,
        mix: Mix,
        text: TextEmbeddings,
        executed_steps: int,
        seed: int,
        sampling: SamplingPolicy = "stratified",
    ) -> None:
        self.episodes, self.config, self.mix, self.text = episodes, config, mix, text
        self.pools = Pools.of(
            [len(episode) for episode in episodes],
            [episode.success and not episode.rollout for episode in episodes],
            [episode.success for episode in episodes],
            mix.demonstrations_are_rollouts,
        )
        self.sampler = make_sampler(sampling, self.pools, mix, seed, executed_steps)

    def batch(self, step: int, size: int) -> Batch:
        """Draw the batch of a training step."""
        rows = self.sampler.rows(step, size)
        return self.collate([(self.episodes[episode], int(at)) for _, episode, at in rows], rows[:, 0].tolist())

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
