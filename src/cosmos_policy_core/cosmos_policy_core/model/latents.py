"""Numbers as latent frames and back (paper section 3.2).

A vector is written into a latent frame by repeating it until the frame is full; it is read back as the mean over
the complete copies. A value fills its whole frame with one number.
"""

from __future__ import annotations

import torch
from einops import repeat
from torch import Tensor


def tile(vector: Tensor, frame: tuple[int, int, int]) -> Tensor:
    """Fill a latent frame with copies of a vector.

    Args:
        vector: (..., n), normalised to [-1, 1].
        frame: channels, height and width of a latent frame.

    Returns:
        (..., C, H, W), channel slowest. The last copy is cut where n does not divide the frame.
    """
    size = frame[0] * frame[1] * frame[2]
    copies = -(-size // vector.shape[-1])
    return repeat(vector, "... n -> ... (k n)", k=copies)[..., :size].unflatten(-1, frame)


def untile(frame: Tensor, size: int) -> Tensor:
    """Average the complete copies of a vector in a latent frame.

    Args:
        frame: (..., C, H, W).
        size: length n of the vector, at most C*H*W.

    Returns:
        (..., n). The partial copy at the end is ignored, as in the reference.

    Raises:
        ValueError: the frame is too small to hold one copy.
    """
    return _copies(frame, size).mean(dim=-2)


def spread(frame: Tensor, size: int) -> Tensor:
    """Standard deviation over the complete copies, (..., n): how sure the network is of each number.

    Zeros where the frame holds one copy only.
    """
    return _copies(frame, size).std(dim=-2, correction=0)


def inject(latents: Tensor, index: int | Tensor, vector: Tensor) -> Tensor:
    """Write tiled vectors over one frame of every sample.

    Args:
        latents: (B, C, T, H, W); not modified.
        index: frame index, or (B,) indices.
        vector: (B, ...), flattened row-major after the batch dimension.

    Returns:
        (B, C, T, H, W) of the latents' dtype.
    """
    batch, channels, _, height, width = latents.shape
    frames = tile(vector.flatten(1), (channels, height, width)).to(latents.dtype)
    out = latents.clone()
    out[torch.arange(batch, device=latents.device), :, index] = frames
    return out


def extract_actions(frame: Tensor, horizon: int, action_dim: int) -> Tensor:
    """Read a normalised action chunk (..., K, A) from action frames (..., C, H, W)."""
    return untile(frame, horizon * action_dim).unflatten(-1, (horizon, action_dim))


def extract_value(frame: Tensor) -> Tensor:
    """Read values in [-1, 1] (...) from value frames (..., C, H, W): the mean of the whole frame."""
    return frame.mean(dim=(-3, -2, -1))


def value_to_unit(value: Tensor) -> Tensor:
    """Map a raw value from [-1, 1] to [0, 1], clamped."""
    return ((value + 1) / 2).clamp(0, 1)


def _copies(frame: Tensor, size: int) -> Tensor:
    flat = frame.flatten(-3)
    count = flat.shape[-1] // size
    if count == 0:
        raise ValueError(f"A latent frame of {flat.shape[-1]} numbers can't hold a vector of {size}.")
    return flat[..., : count * size].unflatten(-1, (count, size))
