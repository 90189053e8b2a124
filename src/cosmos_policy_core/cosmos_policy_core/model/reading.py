"""What a sampled sequence says: action chunk, value and proprioception in robot units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.model import latents as frames
from cosmos_policy_core.model.answers import Proposals
from cosmos_policy_core.model.config import PolicyConfig


def read_values(sampled: Tensor, config: PolicyConfig) -> NDArray[np.float64]:
    """Read the values (B,) in [0, 1] of samples (B, C, T, h, w)."""
    raw = frames.extract_value(sampled[:, :, config.layout.value])
    return frames.value_to_unit(raw).double().cpu().numpy()


def read_proprio(sampled: Tensor, config: PolicyConfig, statistics: Statistics) -> NDArray[np.float64]:
    """Read the predicted future proprioception (B, P) in robot units of samples (B, C, T, h, w)."""
    vector = frames.untile(sampled[:, :, config.layout.future_proprio], config.proprio_dim)
    return statistics.unnormalize_proprio(vector.cpu().numpy())


def read_proposals(sampled: Tensor, seeds: tuple[int, ...], config: PolicyConfig, statistics: Statistics) -> Proposals:
    """Read everything a sample of the policy query says, samples (B, C, T, h, w)."""
    frame = sampled[:, :, config.layout.action]
    normalised = frames.extract_actions(frame, config.horizon, config.action_dim)
    spread = frames.spread(frame, config.horizon * config.action_dim).mean(-1)
    return Proposals(
        actions=statistics.unnormalize_actions(normalised.cpu().numpy()),
        values=read_values(sampled, config),
        future_proprio=read_proprio(sampled, config, statistics),
        spread=spread.double().cpu().numpy(),
        latents=sampled,
        seeds=seeds,
    )
