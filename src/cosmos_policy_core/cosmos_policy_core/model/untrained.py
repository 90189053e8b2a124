"""Policies with fresh weights: where training starts, and what tests and benchmarks run without a download."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.checkpoint import assemble, build_tokenizer
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


def random_policy(
    config: PolicyConfig, contract: Embodiment, instruction: str, device: torch.device, dtype: torch.dtype
) -> CosmosPolicy:
    """Make a policy whose weights are all drawn, none zero, where and as they will be used: for measurements.

    Takes the memory of the weights in their own precision and no more, so that 2B fits wherever its checkpoint does.
    """
    with torch.device("meta"):
        network, tokenizer = DiffusionTransformer(config.transformer), build_tokenizer(config)
    assert isinstance(tokenizer, torch.nn.Module)
    channels = config.transformer.crossattn_emb_channels
    return assemble(
        config=config,
        weights=_drawn(network.state_dict(), device, dtype),
        tokenizer_weights=_drawn(tokenizer.state_dict(), device, dtype),
        sources=(Path("random"), Path("random")),
        statistics=statistics_of_limits(contract),
        text=TextEmbeddings.hashed([instruction], config.text.tokens, channels),
        contract=contract,
        identity=f"random {config.size}",
        device=device,
        dtype=dtype,
    )


def _drawn(shapes: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Draw tensors that keep the size of activations: gains are one, weights uniform by their number of inputs."""
    generator, drawn = torch.Generator(device).manual_seed(0), {}
    for name, shape in shapes.items():
        tensor = torch.empty(shape.shape, device=device, dtype=dtype)
        width = (3.0 / max(1, shape[0].numel())) ** 0.5
        gain = name.endswith(("norm.weight", "gamma", "latent_std"))
        drawn[name] = tensor.fill_(1.0) if gain else tensor.uniform_(-width, width, generator=generator)
    return drawn


def statistics_of_limits(contract: Embodiment) -> Statistics:
    """Pretend the data filled the contract's position limits; an end effector's readings go from -1 to 1."""
    corners = np.stack([contract.action_lower, contract.action_upper])
    readings = corners if contract.body is None else np.outer([-1.0, 1.0], np.ones(contract.proprio_dim))
    return Statistics.of(corners, readings)
