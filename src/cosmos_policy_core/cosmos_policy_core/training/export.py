"""A trained network as a checkpoint folder, with what it was trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from cosmos_policy_core.data.seeds import KEY, RECORD_FILE, compact
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.transformer import DiffusionTransformer
from cosmos_policy_core.training.run_config import RunConfig


def export(
    policy: CosmosPolicy,
    weights: Mapping[str, Tensor],
    config: RunConfig,
    step: int,
    folder: Path,
    seeds: Iterable[int] = (),
) -> None:
    """Write a checkpoint folder with these weights, in the precision they were computed in.

    Args:
        seeds: of the simulated scenes they learned from.
    """
    with torch.device("meta"):
        network = DiffusionTransformer(policy.config.transformer)
    dtype = getattr(torch, config.compute.dtype)
    network.load_state_dict({name: tensor.to(dtype) for name, tensor in weights.items()}, assign=True)
    whole = CosmosPolicy(policy.config, network, policy.tokenizer, policy.statistics, policy.text, policy.contract)
    save_policy(whole, folder)
    record = {
        "trained_steps": step,
        "started_from": policy.identity,
        KEY: compact(seeds),
        **config.model_dump(mode="json"),
    }
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n")
