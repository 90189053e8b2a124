"""Where a token stands in the sequence and in its image: 3-D rotary position embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from cosmos_policy_core.model.transformer import TransformerConfig


def rope_angles(config: TransformerConfig, grid: tuple[int, int, int], device: torch.device | None = None) -> Tensor:
    """Rotary angles of every token of a (T, H, W) grid.

    Returns:
        (T*H*W, head_dim) float32; each half is ordered time, height, width and the halves are equal.
    """
    spatial = config.head_dim // 6 * 2
    temporal = config.head_dim - 2 * spatial

    def axis(length: int, size: int, ratio: float) -> Tensor:
        exponents = torch.arange(0, size, 2, dtype=torch.float32, device=device) / size
        if config.round_rope_exponents:
            exponents = exponents.bfloat16().float()
        theta = 10000.0 * ratio ** (size / (size - 2))
        return torch.outer(torch.arange(length, dtype=torch.float32, device=device), 1.0 / theta**exponents)

    frames, height, width = grid
    time = axis(frames, temporal, config.rope_t_extrapolation_ratio)[:, None, None].expand(-1, height, width, -1)
    rows = axis(height, spatial, config.rope_h_extrapolation_ratio)[None, :, None].expand(frames, -1, width, -1)
    columns = axis(width, spatial, config.rope_w_extrapolation_ratio)[None, None].expand(frames, height, -1, -1)
    half = torch.cat([time, rows, columns], dim=-1).flatten(0, 2)
    return torch.cat([half, half], dim=-1)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate (B, heads, S, head_dim) by per-token angles in float32; element j pairs with j + head_dim/2."""
    wide = x.float()
    first, second = wide.chunk(2, dim=-1)
    return (wide * cosine + torch.cat([-second, first], dim=-1) * sine).to(x.dtype)
