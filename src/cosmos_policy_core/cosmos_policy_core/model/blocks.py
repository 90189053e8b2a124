"""What the transformer is made of: attention, MLP, and how a frame's time modulates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from cosmos_policy_core.model.rotary import rotate

if TYPE_CHECKING:
    from cosmos_policy_core.model.transformer import TransformerConfig

WITH_SCORES = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
"""Attention kernels that take added scores: the first on a GPU, the second on a CPU."""


class RMSNorm(nn.Module):
    """Root-mean-square norm; statistics and weight in float32, one rounding at the end."""

    def __init__(self, size: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * self.weight.float()).to(x.dtype)


class Attention(nn.Module):
    """Multi-head attention with RMS-normalised queries and keys; over itself or over a context."""

    def __init__(self, config: TransformerConfig, context: int | None = None) -> None:
        super().__init__()
        width, context = config.model_channels, context or config.model_channels
        self.heads = config.num_heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(context, width, bias=False)
        self.v_proj = nn.Linear(context, width, bias=False)
        self.output_proj = nn.Linear(width, width, bias=False)
        self.q_norm = RMSNorm(config.head_dim)
        self.k_norm = RMSNorm(config.head_dim)
        self._joined: Tensor | None = None

    def join(self) -> None:
        """Let one matrix product make queries, keys and values, which fills a GPU better than three.

        The weights become views of one tensor; a move to another device or dtype separates them again.
        """
        linears = (self.q_proj, self.k_proj, self.v_proj)
        joined = torch.cat([linear.weight.detach() for linear in linears])
        for linear, weight in zip(linears, joined.chunk(3), strict=True):
            linear.weight.data = weight
        self._joined = joined

    def _apply(self, *arguments: Any, **options: Any) -> Attention:
        self._joined = None
        return super()._apply(*arguments, **options)

    def split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b s (h d) -> b h s d", h=self.heads)

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Project (B, L, C) to keys and values, (B, heads, L, head_dim) each."""
        return self.k_norm(self.split(self.k_proj(context))), self.split(self.v_proj(context))

    def attend_itself(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """Mix x (B, S, D) over all of its tokens, whose places are in queries and keys."""
        if self._joined is None:
            queries, keys, values = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        else:
            queries, keys, values = F.linear(x, self._joined).chunk(3, dim=-1)
        queries, keys = self.q_norm(self.split(queries)), self.k_norm(self.split(keys))
        mixed = F.scaled_dot_product_attention(rotate(queries, *rotary), rotate(keys, *rotary), self.split(values))
        return self._out(mixed)

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, scores: Tensor | None = None) -> Tensor:
        """Mix values (B, heads, L, head_dim) for x (B, S, D); `scores` (L,) are added to those of every query."""
        queries = self.q_norm(self.split(self.q_proj(x)))
        if scores is None:
            return self._out(F.scaled_dot_product_attention(queries, keys, values))
        added = scores.expand(queries.shape[0], 1, queries.shape[2], -1)
        with sdpa_kernel(WITH_SCORES):
            return self._out(F.scaled_dot_product_attention(queries, keys, values, attn_mask=added))

    def _out(self, mixed: Tensor) -> Tensor:
        return self.output_proj(rearrange(mixed, "b h s d -> b s (h d)"))


class FeedForward(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        hidden = int(config.model_channels * config.mlp_ratio)
        self.layer1 = nn.Linear(config.model_channels, hidden, bias=False)
        self.layer2 = nn.Linear(hidden, config.model_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(F.gelu(self.layer1(x)))


def _modulation(config: TransformerConfig, parts: int) -> nn.Sequential:
    """Time embedding -> `parts` vectors through a low-rank bottleneck (adaLN-LoRA)."""
    width = config.model_channels
    return nn.Sequential(
        nn.SiLU(),
        nn.Linear(width, config.adaln_lora_dim, bias=False),
        nn.Linear(config.adaln_lora_dim, parts * width, bias=False),
    )


def per_frame(modulation: Tensor, which: Tensor | None) -> Tensor:
    """Hand modulations of K distinct times (B, K, M) to the frames they belong to: (B, T, M)."""
    if which is None:
        return modulation
    # Not `take_along_dim`, which wraps every index first.
    return modulation.gather(1, which.unsqueeze(-1).expand(-1, -1, modulation.shape[-1]))


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise tokens (B, T, N, D) and shift and scale them per frame (B, T, D)."""
    normed = F.layer_norm(x, x.shape[-1:], eps=1e-6)
    return normed * (1 + scale.unsqueeze(2)) + shift.unsqueeze(2)


class Block(nn.Module):
    """Self-attention over all tokens, cross-attention to the text, MLP; each modulated by its frame's time."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.cross_attn = Attention(config, config.crossattn_emb_channels)
        self.mlp = FeedForward(config)
        self.adaln_modulation_self_attn = _modulation(config, 3)
        self.adaln_modulation_cross_attn = _modulation(config, 3)
        self.adaln_modulation_mlp = _modulation(config, 3)

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        lora: Tensor,
        text: tuple[Tensor, Tensor] | Tensor,
        rotary: tuple[Tensor, Tensor],
        scores: Tensor | None = None,
        which: Tensor | None = None,
    ) -> Tensor:
        """Run on x (B, T, N, D).

        Args:
            time: embedding (B, T, D), or of K distinct times (B, K, D).
            lora: shared modulation (B, T or K, 3D).
            text: keys and values of the instruction, with the `scores` to add; or its embedding (B, L, C).
            which: (B, T) int64, the place of every frame's time among the K distinct ones.
        """
        frames = x.shape[1]
        for_self, for_cross, for_mlp = (
            per_frame(modulation(time) + lora, which).chunk(3, dim=-1)
            for modulation in (
                self.adaln_modulation_self_attn,
                self.adaln_modulation_cross_attn,
                self.adaln_modulation_mlp,
            )
        )
        tokens = _modulate(x, *for_self[:2]).flatten(1, 2)
        mixed = self.self_attn.attend_itself(tokens, rotary)
        x = x + for_self[2].unsqueeze(2) * mixed.unflatten(1, (frames, -1))
        tokens = _modulate(x, *for_cross[:2]).flatten(1, 2)
        keys, values = self.cross_attn.keys_values(text) if isinstance(text, Tensor) else text
        mixed = self.cross_attn.attend(tokens, keys, values, scores=scores)
        x = x + for_cross[2].unsqueeze(2) * mixed.unflatten(1, (frames, -1))
        return x + for_mlp[2].unsqueeze(2) * self.mlp(_modulate(x, *for_mlp[:2]))


class FinalLayer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.model_channels, config.patch_outputs, bias=False)
        self.adaln_modulation = _modulation(config, 2)

    def modulate(self, x: Tensor, time: Tensor, lora: Tensor, which: Tensor | None = None) -> Tensor:
        modulation = per_frame(self.adaln_modulation(time) + lora[..., : 2 * x.shape[-1]], which)
        shift, scale = modulation.chunk(2, dim=-1)
        return _modulate(x, shift, scale)
