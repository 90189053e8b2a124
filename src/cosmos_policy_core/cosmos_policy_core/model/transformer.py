"""The diffusion transformer: reference state-dict names, reading order of the network.

Source: Cosmos-Predict2-2B-Video2World as used by Cosmos Policy (arXiv 2601.16163). The 2B network is the default
configuration; every field that a small CPU model may choose differently says so, and its default is the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from cosmos_policy_core.model.blocks import Block, FinalLayer, RMSNorm
from cosmos_policy_core.model.rotary import rope_angles
from cosmos_policy_core.model.text_context import TextContext, without_padding
from cosmos_policy_core.model.vector_frames import VectorFrames

__all__ = ["DiffusionTransformer", "TextContext", "TransformerConfig"]


@dataclass(frozen=True)
class TransformerConfig:
    """Size of the network. Defaults: the published 2B."""

    model_channels: int = 2048
    num_blocks: int = 28
    num_heads: int = 16
    mlp_ratio: float = 4.0
    adaln_lora_dim: int = 256
    crossattn_emb_channels: int = 1024
    in_channels: int = 16
    out_channels: int = 16
    patch_spatial: int = 2
    rope_h_extrapolation_ratio: float = 3.0
    rope_w_extrapolation_ratio: float = 3.0
    rope_t_extrapolation_ratio: float = 1.0
    round_rope_exponents: bool = True
    """Round the rotary exponents to bfloat16: the published weights were trained with a module-wide cast."""
    time_scale: float = 1.0
    """Multiplies the time before the sinusoid. nano: 1000, so that a small network can tell noise levels apart."""
    vector_frames: tuple[int, ...] = ()
    """Frames with their own input and output weights per token. nano: the frames that hold tiled numbers."""
    position_embedding: tuple[int, int, int] | None = None
    """Grid (T, H, W) of tokens for an added learned embedding beside RoPE. nano: its one grid."""

    @property
    def head_dim(self) -> int:
        return self.model_channels // self.num_heads

    @property
    def patch_inputs(self) -> int:
        """Numbers per input patch: latent channels, condition mask and padding mask."""
        return (self.in_channels + 2) * self.patch_spatial**2

    @property
    def patch_outputs(self) -> int:
        return self.out_channels * self.patch_spatial**2


class TimeFeatures(nn.Module):
    """Sinusoid of the frame times, cosines first; computed in float32, rounded to the network's dtype."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.channels, self.scale = channels, scale

    def forward(self, times: Tensor) -> Tensor:
        half = self.channels // 2
        index = torch.arange(half, dtype=torch.float32, device=times.device)
        angles = times.float()[..., None] * self.scale * torch.exp(-math.log(10000.0) * index / half)
        return torch.cat([angles.cos(), angles.sin()], dim=-1).to(times.dtype)


class TimeMLP(nn.Module):
    """Modulation that all blocks share: (B, T, D) -> (B, T, 3D)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(config.model_channels, config.model_channels, bias=False)
        self.linear_2 = nn.Linear(config.model_channels, 3 * config.model_channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(features)))


class PatchEmbed(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        # The reference keeps a rearrangement at index 0; the name of the linear is part of the file format.
        self.proj = nn.Sequential(nn.Identity(), nn.Linear(config.patch_inputs, config.model_channels, bias=False))

    def forward(self, patches: Tensor) -> Tensor:
        return self.proj(patches)


class DiffusionTransformer(nn.Module):
    """Denoise a sequence of latent frames, each with its own time."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.x_embedder = PatchEmbed(config)
        self.t_embedder = nn.Sequential(TimeFeatures(config.model_channels, config.time_scale), TimeMLP(config))
        self.t_embedding_norm = RMSNorm(config.model_channels)
        self.blocks: Iterable[Block] = nn.ModuleList(Block(config) for _ in range(config.num_blocks))  # type: ignore[assignment]
        self.final_layer = FinalLayer(config)
        self.vector_frames: VectorFrames | None = None
        self.position_embedding: nn.Parameter | None = None
        self._rotary: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}
        if config.position_embedding is not None:
            frames, height, width = config.position_embedding
            self.position_embedding = nn.Parameter(torch.zeros(frames, height * width, config.model_channels))
            if config.vector_frames:
                self.vector_frames = VectorFrames(config, height * width)

    @property
    def dtype(self) -> torch.dtype:
        return self.t_embedding_norm.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.t_embedding_norm.weight.device

    def encode_text(self, embedding: Tensor) -> TextContext:
        """Project an instruction embedding (B, L, C) for all blocks. Padding is attended, as in training."""
        embedding = embedding.to(self.dtype)
        return TextContext(tuple(block.cross_attn.keys_values(embedding) for block in self.blocks))

    def encode_instruction(self, embedding: Tensor) -> TextContext:
        """Project like `encode_text`, with all padding attended through a sink: shorter, and the same answer."""
        words, scores = without_padding(embedding.to(self.dtype))
        context = self.encode_text(words)
        return context if scores is None else TextContext(context.keys_values, scores.to(self.dtype))

    def embed_time(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Time embedding (B, T, D) and shared modulation (B, T, 3D). The norm acts on the sinusoid itself."""
        features = self.t_embedder[0](times.to(self.dtype))
        return self.t_embedding_norm(features), self.t_embedder[1](features)

    def forward(
        self,
        x: Tensor,
        times: Tensor,
        text: Tensor | TextContext,
        condition_mask: Tensor,
        padding_mask: Tensor | None = None,
        blocks_out: list[Tensor] | None = None,
        which: Tensor | None = None,
    ) -> Tensor:
        """Run the network.

        Args:
            x: (B, C, T, H, W) latents, noisy frames already scaled, clean frames as they are.
            times: (B, T), 0 on clean frames; or K distinct times (B, K), which saves modulations, see `which`.
            text: what `encode_text` made of it, or (B, L, text channels). Of the latter every block makes its own keys
                and values, so that weights in shards are gathered block by block.
            condition_mask: (B, 1, T, H, W), 1 on clean frames.
            padding_mask: (B, 1, pixel height, pixel width), zeros where None.
            blocks_out: receives the residual stream (B, T*N, D) after every block, for inspection.
            which: (B, T) int64, the place of every frame's time among K distinct ones.

        Returns:
            (B, C, T, H, W) float32.
        """
        pairs: Sequence[tuple[Tensor, Tensor] | Tensor]
        if isinstance(text, Tensor):
            pairs, scores = [text.to(self.dtype)] * self.config.num_blocks, None
        else:
            pairs, scores = text.keys_values, text.scores
        patches = self._patchify(x, condition_mask, padding_mask)
        grid = (x.shape[2], x.shape[3] // self.config.patch_spatial, x.shape[4] // self.config.patch_spatial)
        tokens = self.x_embedder(patches)
        if self.vector_frames is not None:
            tokens = self.vector_frames.embed(patches, tokens)
        if self.position_embedding is not None:
            tokens = tokens + self.position_embedding
        rotary = self._rotary_tables(grid, x.device)
        time, lora = self.embed_time(times)
        for block, pair in zip(self.blocks, pairs, strict=True):
            tokens = block(tokens, time, lora, pair, rotary, scores, which)
            if blocks_out is not None:
                blocks_out.append(tokens.flatten(1, 2))
        tokens = self.final_layer.modulate(tokens, time, lora, which)
        out = self.final_layer.linear(tokens)
        if self.vector_frames is not None:
            out = self.vector_frames.project(tokens, out)
        p = self.config.patch_spatial
        # Output patches are ordered (p1, p2, channel), unlike input patches (channel, p1, p2).
        return rearrange(out, "b t (h w) (p1 p2 c) -> b c t (h p1) (w p2)", h=grid[1], w=grid[2], p1=p, p2=p).float()

    def _rotary_tables(self, grid: tuple[int, int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosines and sines of every token's angles, (tokens, head_dim) float32, made once per grid and device."""
        if (grid, device) not in self._rotary:
            # Tables made in inference mode would be of no use to a later training step.
            with torch.inference_mode(False):
                angles = rope_angles(self.config, grid, device)
                self._rotary[grid, device] = (angles.cos(), angles.sin())
        return self._rotary[grid, device]

    def _patchify(self, x: Tensor, condition_mask: Tensor, padding_mask: Tensor | None) -> Tensor:
        """(B, T, N, patch): latent, condition-mask and padding-mask channels of every patch."""
        batch, _, frames, height, width = x.shape
        if padding_mask is None:
            padding = x.new_zeros(batch, 1, frames, height, width)
        else:
            padding = F.interpolate(padding_mask.to(x.dtype), size=(height, width), mode="nearest")
            padding = padding.unsqueeze(2).expand(-1, -1, frames, -1, -1)
        full = torch.cat([x, condition_mask.to(x.dtype), padding], dim=1).to(self.dtype)
        p = self.config.patch_spatial
        return rearrange(full, "b c t (h p1) (w p2) -> b t (h w) (c p1 p2)", p1=p, p2=p)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights: scaled normal; residual gates and outputs zero, so that blocks start as identity."""
        for name, parameter in self.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1.0)
            elif name.endswith(("adaln_modulation_self_attn.2.weight", "adaln_modulation_cross_attn.2.weight")) or (
                name.endswith(("adaln_modulation_mlp.2.weight", "adaln_modulation.2.weight", "linear_2.weight"))
                or name in ("final_layer.linear.weight", "vector_frames.weight_out", "vector_frames.bias_out")
            ):
                parameter.zero_()
            elif name == "position_embedding":
                parameter.normal_(0.0, 0.02, generator=generator)
            else:
                inputs = parameter.shape[-2] if name == "vector_frames.weight_in" else parameter.shape[-1]
                parameter.normal_(0.0, inputs**-0.5, generator=generator)
