"""Arithmetic of one network call, counted from the configuration."""

from __future__ import annotations

from cosmos_policy_core.model.config import PolicyConfig


def forward_flops(config: PolicyConfig, batch: int = 1, text_tokens: int | None = None) -> float:
    """Count floating-point operations of one forward call, two per multiply-add; text keys and values excluded.

    2156 tokens of the 2B network give 8.4e12.

    Args:
        text_tokens: positions that are attended; all of an embedding by default, fewer with a sink for the padding.
    """
    net, (_, frames, height, width) = config.transformer, config.latent_shape
    tokens = frames * height * width // net.patch_spatial**2
    width_ = net.model_channels
    per_token = 4 * width_**2 + 2 * width_**2 + 2 * int(net.mlp_ratio * width_) * width_
    attention = 2 * tokens * width_ + 2 * (text_tokens or config.text.tokens) * width_
    embeddings = (net.patch_inputs + net.patch_outputs) * width_
    modulation = frames * (net.num_blocks * 3 + 1) * 4 * net.adaln_lora_dim * width_
    return 2.0 * batch * (tokens * (net.num_blocks * (per_token + attention) + embeddings) + modulation)
