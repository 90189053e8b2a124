"""Whether a planning checkpoint can judge what a policy proposes."""

from __future__ import annotations

import hashlib

import numpy as np

from cosmos_policy_core.errors import ConfigurationError, ContractError
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.planning.presets import PlannerSettings

SHARED_FIELDS = ("cameras", "image_size", "action_dim", "proprio_dim", "horizon", "latent_shape", "center_crop")
SCALES = ("actions_min", "actions_max", "proprio_min", "proprio_max")


def scale_of(policy: CosmosPolicy) -> str:
    """Name how a checkpoint normalises actions and proprioception: equal names, equal scales (to 1e-6)."""
    numbers = np.concatenate([np.asarray(getattr(policy.statistics, name), dtype=np.float64) for name in SCALES])
    return hashlib.sha256(" ".join(f"{number:.5e}" for number in numbers).encode()).hexdigest()[:12]


def check_world(policy: CosmosPolicy, world: CosmosPolicy, settings: PlannerSettings) -> None:
    """Refuse a world model that gives the policy's numbers another meaning.

    Raises:
        ContractError: listing every difference.
        ConfigurationError: the settings ask the checkpoint for what it was not trained to answer.
    """
    if settings.imagine and world.config.value_input == "action":
        raise ConfigurationError(
            f"planner: imagine is on, but checkpoint {world.identity} values (s, a) and never looks at a future. "
            "Leave imagine out, or use a planning checkpoint that was trained with value_input 'future'."
        )
    if settings.depth > 1 and world.config.value_input == "action":
        raise ConfigurationError(
            f"planner: depth {settings.depth} needs imagined futures, but checkpoint {world.identity} values (s, a). "
            "Use depth 1, or a planning checkpoint that was trained with value_input 'future'."
        )
    if world is policy:
        return
    found = policy.contract.differences(world.contract)
    for name in SHARED_FIELDS:
        mine, other = getattr(policy.config, name), getattr(world.config, name)
        if mine != other:
            found.append(f"config {name}: {mine} in {policy.identity}, {other} in {world.identity}")
    if not settings.retile and not found:
        # The raw action frame is normalised by the policy's statistics; another scale would be another chunk.
        for name in SCALES:
            if not np.allclose(getattr(policy.statistics, name), getattr(world.statistics, name), rtol=1e-6, atol=1e-9):
                found.append(f"statistics {name}: the two checkpoints scale it differently")
    if found:
        raise ContractError(
            f"the planning checkpoint {world.identity} does not fit the policy {policy.identity}: {'; '.join(found)}. "
            "Use a planning checkpoint that was fine-tuned from this policy."
        )
