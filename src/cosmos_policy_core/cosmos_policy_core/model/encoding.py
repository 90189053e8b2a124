"""Camera images <-> the image frames of a sequence: what is checked, prepared, encoded and decoded, and how far."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ObservationError
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.images import prepare_images, to_display, to_model_range
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.tokenizer import Tokenizer


def check_proprio(observation: Observation, size: int) -> None:
    """Refuse proprioception that is not (size,) finite numbers.

    Raises:
        ObservationError: the shape, or what to check.
    """
    proprio = np.asarray(observation.proprio)
    if proprio.shape != (size,):
        raise ObservationError(f"observation: proprio has shape {proprio.shape}; the contract has {size} joints.")
    if not np.isfinite(proprio).all():
        raise ObservationError("observation: proprio holds NaN or infinity. Check the joint states of both arms.")


def prepare_stills(observation: Observation, config: PolicyConfig, contract: Embodiment) -> Tensor:
    """Prepare the images of all cameras, in latent order: (1, cameras, S, S, 3) uint8.

    Raises:
        ObservationError: a camera is missing, or its image is not (H, W, 3) uint8.
    """
    prepared = prepare_images(
        [_image(observation, name) for name in config.cameras],
        config.image_size,
        resize_before=contract.images.resize_before,
        flip_vertical=contract.images.flip_vertical,
        jpeg_quality=contract.images.jpeg_quality,
        center_crop=config.center_crop,
    )
    return torch.from_numpy(prepared)[None]


def encode_stills(
    images: Tensor, config: PolicyConfig, tokenizer: Tokenizer, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Encode prepared images (B, cameras, S, S, 3) uint8 into otherwise empty sequences (B, C, T, h, w) float32.

    Only frames that a query may read are encoded: those after the last current camera stay zero.
    A causal video tokenizer sees the black frames before the cameras; a still tokenizer has none.
    """
    layout = config.layout
    stills = to_model_range(images.to(device).movedim(-1, -3), dtype)
    clean = torch.zeros(len(stills), *config.latent_shape, device=device)
    if tokenizer.temporal_factor == 1:
        # Stills that know nothing of each other: the frames before the cameras stay zero, as in training.
        clean[:, :, list(layout.images)] = tokenizer.encode_stills(stills).float()
        return clean
    before = layout.images[0]  # the blank frame and the place of the proprioception
    clean[:, :, : layout.action] = tokenizer.encode_stills(stills, black=before).float()
    return clean


def decode_futures(
    latents: Tensor, seen: Tensor | None, config: PolicyConfig, tokenizer: Tokenizer, dtype: torch.dtype
) -> NDArray[np.uint8]:
    """Decode the future camera images of samples (B, C, T, h, w): (B, cameras, S, S, 3) uint8.

    Args:
        seen: (1, cameras, S, S, 3) uint8, the prepared images that the samples answer; see `CosmosPolicy.decode`.
    """
    wanted = list(config.layout.future_images)
    if tokenizer.temporal_factor == 1:
        stills = tokenizer.decode_stills(latents[:, :, wanted].to(dtype))
    else:
        stills = _decode_video(latents.clone(), seen, config, tokenizer, dtype)[:, wanted]
    return np.asarray(to_display(stills.float()).movedim(-3, -1).cpu())


def _decode_video(
    latents: Tensor, seen: Tensor | None, config: PolicyConfig, tokenizer: Tokenizer, dtype: torch.dtype
) -> Tensor:
    """Decode (B, C, T, h, w) up to the last image with a causal decoder; changes the latents."""
    layout, side = config.layout, config.image_size
    black = torch.full((1, layout.frames, 3, side, side), -1.0, device=latents.device, dtype=dtype)
    if seen is not None:
        black[:, list(layout.images)] = to_model_range(seen.to(latents.device).movedim(-1, -3), dtype)
    before = layout.images[0]
    blank = tokenizer.encode_stills(black[:, before:], layout.future_proprio + 1, black=before).float()
    for index in (layout.blank, layout.proprio, layout.action, layout.future_proprio):
        latents[:, :, index] = blank[:, :, index]
    last = layout.future_images[-1] + 1
    return tokenizer.decode_stills(latents[:, :, :last].to(dtype))


def _image(observation: Observation, camera: str) -> NDArray[np.uint8]:
    image = observation.images.get(camera)
    if image is None:
        given = ", ".join(observation.images) or "none"
        raise ObservationError(
            f"observation: camera {camera} is missing (given: {given}). Send every camera of the contract."
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ObservationError(
            f"observation: image of {camera} is {image.dtype} {image.shape}; it must be uint8 (height, width, 3) RGB."
        )
    return image
