"""Small policies for tests: the real model with fresh weights, shaped for the simulated cell."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.untrained import nano_for, untrained_policy

INSTRUCTION = "transfer the cube to the left arm"


def tiny_policy(seed: int = 0, **changes: Any) -> CosmosPolicy:
    """Make a one-block policy whose weights are all random, outputs included, so that nothing is constant."""
    contract = Embodiment.load("aloha_sim")
    config = nano_for(contract)
    transformer = dataclasses.replace(
        config.transformer, model_channels=32, num_blocks=1, num_heads=2, adaln_lora_dim=4
    )
    config = config.model_copy(update={"transformer": transformer, **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = untrained_policy(contract, [INSTRUCTION], config, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in policy.network.parameters():
            if parameter.abs().max() == 0:
                parameter.normal_(0.0, 0.05, generator=generator)
    policy.network.eval().requires_grad_(False)
    return policy


def observation(policy: CosmosPolicy, seed: int = 0) -> Observation:
    """Make an observation with noise for images."""
    rng = np.random.default_rng(seed)
    images = {
        camera.name: rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)
        for camera in policy.contract.cameras
    }
    return Observation(images, np.asarray(policy.contract.start_action), INSTRUCTION)
