"""Own weights for the frames that hold numbers: how a small network reads a tiled chunk (not in the 2B network)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from cosmos_policy_core.model.transformer import TransformerConfig


class VectorFrames(nn.Module):
    """Input and output weights per token of the frames that hold tiled numbers.

    A tiled chunk is pseudo-random over the latent grid, so shared patch weights would have to learn it from position
    embeddings alone; small networks don't.
    """

    def __init__(self, config: TransformerConfig, tokens: int) -> None:
        super().__init__()
        frames, width = len(config.vector_frames), config.model_channels
        self.frames = list(config.vector_frames)
        self.weight_in = nn.Parameter(torch.empty(frames, tokens, config.patch_inputs, width))
        self.weight_out = nn.Parameter(torch.empty(frames, tokens, width, config.patch_outputs))
        self.bias_out = nn.Parameter(torch.zeros(frames, tokens, config.patch_outputs))
        self._places: dict[torch.device, Tensor] = {}

    def embed(self, patches: Tensor, tokens: Tensor) -> Tensor:
        """Replace the embeddings of vector frames in (B, T, N, D)."""
        own = torch.einsum("bfni,fnid->bfnd", patches[:, self.frames], self.weight_in)
        return tokens.index_copy(1, self._index(tokens.device), own)

    def project(self, tokens: Tensor, patches: Tensor) -> Tensor:
        """Replace the outputs of vector frames in (B, T, N, patch)."""
        own = torch.einsum("bfnd,fndo->bfno", tokens[:, self.frames], self.weight_out) + self.bias_out
        return patches.index_copy(1, self._index(tokens.device), own)

    def _index(self, device: torch.device) -> Tensor:
        """Frame indices on a device, copied there once: a copy in every call could not be recorded."""
        if device not in self._places:
            with torch.inference_mode(False):
                self._places[device] = torch.tensor(self.frames, device=device)
        return self._places[device]
