"""Policies with fresh weights: where training starts, and what tests and benchmarks run without a download."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.checkpoint import build_tokenizer
from cosmos_policy_core.model.config import PolicyConfig, nano
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.model.tokenizer import Tokenizer
from cosmos_policy_core.model.transformer import DiffusionTransformer


def nano_for(contract: Embodiment) -> PolicyConfig:
    """Fit the nano configuration to a robot."""
    return nano(
        tuple(camera.name for camera in contract.cameras),
        action_dim=contract.action_dim,
        proprio_dim=contract.proprio_dim,
        horizon=contract.chunk_horizon,
    )


def untrained_policy(
    contract: Embodiment,
    instructions: Iterable[str],
    config: PolicyConfig | None = None,
    tokenizer: Tokenizer | None = None,
    statistics: Statistics | None = None,
    seed: int = 0,
) -> CosmosPolicy:
    """Make a policy with fresh network weights.

    Args:
        instructions: what it can be told to do.
        config: nano by default.
        tokenizer: an untrained one by default.
        statistics: the contract's limits as ranges by default.
    """
    config = config or nano_for(contract)
    network = DiffusionTransformer(config.transformer)
    network.initialise(torch.Generator().manual_seed(seed))
    return CosmosPolicy(
        config=config,
        network=network,
        tokenizer=tokenizer or build_tokenizer(config),
        statistics=statistics or statistics_of_limits(contract),
        text=TextEmbeddings.hashed(
            sorted(set(instructions)), config.text.tokens, config.transformer.crossattn_emb_channels
        ),
        contract=contract,
    )


def statistics_of_limits(contract: Embodiment) -> Statistics:
    """Pretend the data filled the contract's position limits; an end effector's readings go from -1 to 1."""
    corners = np.stack([contract.action_lower, contract.action_upper])
    readings = corners if contract.body is None else np.outer([-1.0, 1.0], np.ones(contract.proprio_dim))
    return Statistics.of(corners, readings)
