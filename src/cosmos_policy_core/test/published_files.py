"""Files laid out like NVIDIA's repositories, of any size, with random weights."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosmos_policy_core.data.statistics import FILE_NAME
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.config import PolicyConfig, TextConfig, TokenizerConfig
from cosmos_policy_core.model.transformer import DiffusionTransformer, TransformerConfig
from cosmos_policy_core.model.untrained import statistics_of_limits
from cosmos_policy_core.model.wan import WanTokenizer

INSTRUCTIONS = ("fold shirt", "put candies in bowl")
WEIGHTS = "Cosmos-Policy-ALOHA-Predict2-2B.pt"
STATISTICS = f"aloha_{FILE_NAME}"
EMBEDDINGS = "aloha_t5_embeddings.pkl"


def tiny_config() -> PolicyConfig:
    """Shrink the published network in every dimension that its names leave open."""
    transformer = replace(
        TransformerConfig(),
        model_channels=32,
        num_blocks=2,
        num_heads=2,
        adaln_lora_dim=4,
        crossattn_emb_channels=16,
    )
    return PolicyConfig(
        size="tiny",
        image_size=64,
        transformer=transformer,
        tokenizer=TokenizerConfig(base_dim=8),
        text=TextConfig(tokens=6),
    )


def policy_state(config: PolicyConfig, dtype: torch.dtype = torch.bfloat16) -> dict[str, Any]:
    """Make the content of a policy file: `net.*` and everything else that the published files may hold."""
    with torch.device("meta"):
        network = DiffusionTransformer(config.transformer)
    state: dict[str, Any] = {f"net.{name}": tensor for name, tensor in network.state_dict().items()}
    state = _drawn(state, dtype)
    norms = [name.removesuffix("weight") for name in state if name.endswith("norm.weight")]
    state |= {f"{norm}_extra_state": io.BytesIO() for norm in norms}
    state |= {
        "net.pos_embedder.seq": torch.arange(128).to(dtype),
        "net.pos_embedder.dim_spatial_range": torch.zeros(21, dtype=dtype),
        "net.pos_embedder.dim_temporal_range": torch.zeros(22, dtype=dtype),
        "net.accum_video_sample_counter": torch.zeros((), dtype=torch.int64),
        "net.accum_image_sample_counter": torch.zeros((), dtype=torch.int64),
        "net.accum_iteration": torch.zeros((), dtype=torch.int64),
        "net.accum_train_in_hours": torch.zeros(()),
    }
    return state


def tokenizer_state(config: PolicyConfig, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Make the content of a tokenizer file."""
    with torch.device("meta"):
        tokenizer = WanTokenizer(config.tokenizer.base_dim)
    return _drawn(tokenizer.state_dict(), dtype)


def write_repository(folder: Path, config: PolicyConfig, robot: str = "ALOHA") -> Path:
    """Write the policy repository of a robot, named as NVIDIA spells it, with the tokenizer beside it."""
    folder.mkdir(parents=True)
    torch.save(policy_state(config), folder / WEIGHTS.replace("ALOHA", robot))
    torch.save(tokenizer_state(config), folder / "tokenizer.pth")
    name = robot.lower()
    statistics_of_limits(Embodiment.load(name)).save(folder / STATISTICS.replace("aloha", name))
    shape = (1, config.text.tokens, config.transformer.crossattn_emb_channels)
    embeddings = {instruction: torch.randn(shape).bfloat16() for instruction in INSTRUCTIONS}
    (folder / EMBEDDINGS.replace("aloha", name)).write_bytes(pickle.dumps(embeddings))
    (folder / "config.json").write_text(json.dumps({"architectures": ["CosmosPolicy"]}))
    return folder


def _drawn(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Fill shapes with weights; drawn once and cut at another place for every tensor, because 2B draws take long."""
    generator = torch.Generator().manual_seed(0)
    largest = max(tensor.numel() for tensor in state.values())
    noise = (torch.randn(largest + len(state), generator=generator) * 0.02).to(dtype)
    return {
        name: noise[index : index + tensor.numel()].clone().view(tensor.shape)
        for index, (name, tensor) in enumerate(state.items())
    }
