"""Training images to latent sequences, in every step anew because augmentation changes the pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.images import to_model_range
from cosmos_policy_core.model.tokenizer import Tokenizer


@torch.no_grad()
def encode_sequences(
    images: Tensor,
    config: PolicyConfig,
    tokenizer: Tokenizer,
    device: torch.device,
    dtype: torch.dtype,
    at_once: int = 8,
) -> Tensor:
    """Encode the current and the future images of samples into otherwise empty sequences.

    Args:
        images: (B, 2 * cameras, 3, S, S) uint8, the current ones first.
        dtype: of pixels and tokenizer; the published training maps pixels to [-1, 1] in bfloat16.
        at_once: samples that are tokenized together.

    Returns:
        (B, C, T, h, w) float32. A causal video tokenizer also sees the black stills between the images, and is asked
        for no frame after the last image; a still tokenizer has none. The other frames are overwritten with numbers.
    """
    layout = config.layout
    sequences = torch.zeros(len(images), *config.latent_shape, device=device)
    for start in range(0, len(images), at_once):
        rows = slice(start, start + at_once)
        stills = to_model_range(images[rows].to(device), dtype)
        now, later = stills.split(layout.cameras, dim=1)
        if tokenizer.temporal_factor == 1:
            sequences[rows, :, list(layout.images)] = tokenizer.encode_stills(now).float()
            sequences[rows, :, list(layout.future_images)] = tokenizer.encode_stills(later).float()
            continue
        black = stills.new_full((len(stills), 2, *stills.shape[2:]), -1.0)
        video = torch.cat([black, now, black, later], dim=1)
        sequences[rows, :, : layout.value] = tokenizer.encode_stills(video).float()
    return sequences
