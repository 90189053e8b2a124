"""How good a network is on episodes it never saw: sampled chunks and sampled values against the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.model import latents as frames
from cosmos_policy_core.model.denoise import Condition, generate, start_noise
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.training.encoded import EncodedEpisode
from cosmos_policy_core.training.mixture import Mixture
from cosmos_policy_core.training.objective import POLICY, VALUE, Batch, inject_all

SHARES = (0.0, 0.25, 0.5, 0.75)  # of an episode, at which values are asked for


def action_errors(
    policy: CosmosPolicy, mixture: Mixture, episodes: Sequence[EncodedEpisode], shares: Sequence[float]
) -> dict[str, float]:
    """Normalised L1 of sampled chunks, and of always answering with the mean chunk, at shares of the episodes."""
    out: dict[str, float] = {}
    config = policy.config
    for share in shares if episodes else ():
        chosen = [(episode, int(share * len(episode))) for episode in episodes]
        batch = mixture.collate(chosen, [POLICY] * len(chosen)).to(policy.device)
        sampled = _sample(policy, batch, Query.POLICY, config.steps.action)[:, :, config.layout.action]
        predicted = frames.extract_actions(sampled, config.horizon, config.action_dim)
        out[f"action_l1_{share:.2f}"] = (predicted - batch.actions).abs().mean().item()
        mean = batch.actions.mean(0, keepdim=True)
        out[f"mean_chunk_l1_{share:.2f}"] = (mean - batch.actions).abs().mean().item()
    return out


def value_errors(policy: CosmosPolicy, mixture: Mixture, episodes: Sequence[EncodedEpisode]) -> dict[str, float]:
    """Errors of values that are asked for the way inference does, with the true state, action and future.

    Returns:
        `value_l1_success` and `value_l1_failure` in units of the label, [-1, 1]; `value_auc`: the share of pairs of a
        success and a failure in which the success is valued higher, ties half. Left out where there are none.
    """
    parts = {
        name: _values(policy, mixture, [episode for episode in episodes if episode.success == outcome])
        for name, outcome in (("success", True), ("failure", False))
    }
    out = {
        f"value_l1_{name}": float(np.abs(found - truth).mean()) for name, (found, truth) in parts.items() if len(found)
    }
    high, low = parts["success"][0], parts["failure"][0]
    if len(high) and len(low):
        difference = high[:, None] - low[None, :]
        out["value_auc"] = float((difference > 0).mean() + 0.5 * (difference == 0).mean())
    return out


def _values(
    policy: CosmosPolicy, mixture: Mixture, episodes: Sequence[EncodedEpisode]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    chosen = [(episode, int(share * len(episode))) for episode in episodes for share in SHARES]
    if not chosen:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    batch = mixture.collate(chosen, [VALUE] * len(chosen)).to(policy.device)
    sampled = _sample(policy, batch, policy.config.value_query, policy.config.steps.value)
    found = frames.extract_value(sampled[:, :, policy.config.layout.value])
    return found.cpu().numpy(), batch.value.cpu().numpy()


@torch.inference_mode()
def _sample(policy: CosmosPolicy, batch: Batch, query: Query, steps: int) -> Tensor:
    """Sample sequences with the true frames wherever the query is shown some; every sample has its own instruction."""
    config, layout = policy.config, policy.config.layout
    clean = inject_all(batch.latents, layout, batch)
    mask = layout.condition_mask(query, clean.device).expand(len(clean), -1)
    hidden = None
    if config.hidden_frames == "noise":
        hidden = layout.hidden_mask(query, clean.device).expand(len(clean), -1)
    noise = start_noise(list(range(len(clean))), config.latent_shape, config.schedule.sigma_max, clean.device)
    condition = Condition(clean, mask, policy.network.encode_text(batch.text), hidden=hidden)
    return generate(policy.network, condition, noise, steps, config.prediction, config.schedule)
