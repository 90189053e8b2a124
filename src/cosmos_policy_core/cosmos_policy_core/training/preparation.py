"""From episode folders to a policy with fresh weights and episodes in its latent space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from rich.progress import track

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.checkpoint import TOKENIZER_FILE, load_strictly, read_tensors
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.tokenizer import ImageTokenizer
from cosmos_policy_core.model.untrained import nano_for, untrained_policy
from cosmos_policy_core.training.encoded import (
    EncodedEpisode,
    demonstration_statistics,
    encode_episode,
    prepare_all,
    read_episodes,
)
from cosmos_policy_core.training.mixture import Mixture
from cosmos_policy_core.training.objective import inject_all
from cosmos_policy_core.training.tokenizer_training import train_tokenizer


class Options(Protocol):
    """The options of `cosmos-policy train` that matter here."""

    @property
    def data(self) -> tuple[Path, ...]: ...
    @property
    def out(self) -> Path: ...
    @property
    def tokenizer_steps(self) -> int: ...
    @property
    def tokenizer_images(self) -> int: ...
    @property
    def gamma(self) -> float: ...
    @property
    def smallest_range(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def workers(self) -> int: ...


def prepare(options: Options, contract: Embodiment) -> tuple[CosmosPolicy, list[EncodedEpisode], list[str]]:
    """Read episodes, train (or reload) the tokenizer, encode every episode, make a policy with fresh weights.

    Returns:
        The policy, the encoded episodes, and one sentence per episode that was left out.
    """
    episodes, broken = read_episodes(options.data, contract)
    config = nano_for(contract)
    images = prepare_all(episodes, contract, config, options.workers)
    policy = untrained_policy(
        contract,
        {episode.instruction for episode in episodes},
        config,
        _tokenizer(options, config, images),
        demonstration_statistics(episodes, contract, options.smallest_range),
        options.seed,
    )
    pairs = track(list(zip(episodes, images, strict=True)), description="latents")
    return policy, [encode_episode(episode, pixels, policy, options.gamma) for episode, pixels in pairs], broken


def _tokenizer(options: Options, config: PolicyConfig, images: Sequence[NDArray[np.uint8]]) -> ImageTokenizer:
    """Train the tokenizer, or take the one an interrupted run already trained."""
    path = options.out / TOKENIZER_FILE
    if path.exists():
        tokenizer = ImageTokenizer(config.image_size, config.transformer.in_channels, config.tokenizer.widths)
        load_strictly(tokenizer, read_tensors(path), path)
        return tokenizer.eval()
    flat = np.concatenate([episode.reshape(-1, *episode.shape[2:]) for episode in images])
    chosen = np.random.default_rng(options.seed).permutation(len(flat))[: options.tokenizer_images]
    tokenizer = train_tokenizer(flat[np.sort(chosen)], steps=options.tokenizer_steps, seed=options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tokenizer.state_dict().items()}, path)
    return tokenizer


@torch.no_grad()
def start_at_mean(policy: CosmosPolicy, mixture: Mixture, samples: int = 512) -> None:
    """Set the output biases of vector frames to the data's mean, so that training starts from the mean chunk.

    Only for networks with own weights for vector frames that predict x0.
    """
    own, config = policy.network.vector_frames, policy.config
    if own is None or config.prediction != "x0":
        return
    batch = mixture.batch(step=-1 % 2**31, size=samples)
    mean = inject_all(batch.latents, config.layout, batch).mean(dim=0)[:, own.frames]
    patch = config.transformer.patch_spatial
    own.bias_out.copy_(rearrange(mean, "c f (h p1) (w p2) -> f (h w) (p1 p2 c)", p1=patch, p2=patch))
