"""The joint objective: policy, world-model and value samples of one network in one batch (paper section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from cosmos_policy_core.data.sampling import Kind
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.model import latents as frames
from cosmos_policy_core.model.config import HiddenFrames
from cosmos_policy_core.model.denoise import Condition, over_frames, predict_clean
from cosmos_policy_core.model.diffusion import Prediction, loss_weight, rectified_flow
from cosmos_policy_core.model.layout import LatentLayout, Query
from cosmos_policy_core.model.transformer import DiffusionTransformer

POLICY, WORLD, VALUE = Kind.POLICY, Kind.WORLD, Kind.VALUE


@dataclass(frozen=True)
class Batch:
    """Training samples; every tensor's first dimension is the batch.

    latents: (B, C, T, H, W) tokenized sequence, current and future camera frames filled.
    proprio, future_proprio: (B, P) normalised. actions: (B, K, A) normalised.
    value: (B,) return of the future state in [-1, 1]. kind: (B,) `Kind`.
    text: (B, L, channels).
    """

    latents: Tensor
    proprio: Tensor
    future_proprio: Tensor
    actions: Tensor
    value: Tensor
    kind: Tensor
    text: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True)
class ObjectiveConfig:
    """Which frames are seen and which are paid for. Defaults: the published LIBERO, RoboCasa and ALOHA runs."""

    value_input: Literal["all", "future", "action", "blind"] = "all"
    """What value samples see; anything but `all` restricts their loss to the value frame, as published."""
    hidden_frames: HiddenFrames = "denoised"
    """What value samples hold where they must not see; `noise` leaks nothing of the true state and action."""
    separate_losses: bool = False
    """Policy samples pay for actions only, world samples for the future only, value samples for the value only."""
    no_value_for_policy: bool = False
    """No value loss. In the reference this flag does nothing alone; it needs another loss option beside it."""
    action_weight: float = 1.0
    reduce: Literal["mean", "sum", "predicted"] = "mean"
    """`mean` over every element, `sum` over channels; `predicted`: mean over un-conditioned frames only (nano)."""
    scale: float = 10.0

    def __post_init__(self) -> None:
        if self.separate_losses and self.no_value_for_policy:
            raise ConfigurationError("objective: separate_losses and no_value_for_policy exclude each other. Drop one.")


@dataclass(frozen=True)
class Loss:
    """total: scalar to minimise. per_frame: (B, T) weighted squared error before frame weights.

    weights: (B, T) frame weights. x0: (B, C, T, H, W) prediction. target: what it should have been.
    """

    total: Tensor
    per_frame: Tensor
    weights: Tensor
    x0: Tensor
    target: Tensor


def inject_all(latents: Tensor, layout: LatentLayout, batch: Batch) -> Tensor:
    """Write action chunk, both proprios and the value over their frames, whatever the sample's kind."""
    channels, _, height, width = latents.shape[1:]
    out = latents.clone()
    for index, vector in (
        (layout.action, batch.actions.flatten(1)),
        (layout.proprio, batch.proprio),
        (layout.future_proprio, batch.future_proprio),
        (layout.value, batch.value[:, None]),
    ):
        out[:, :, index] = frames.tile(vector, (channels, height, width)).to(out.dtype)
    return out


def condition_masks(kind: Tensor, layout: LatentLayout, config: ObjectiveConfig) -> Tensor:
    """(B, T) float32: which frames each sample sees clean."""
    rows = torch.stack([layout.condition_mask(query) for query in _queries(config)])
    return rows.to(kind.device)[kind]


def hidden_masks(kind: Tensor, layout: LatentLayout, config: ObjectiveConfig) -> Tensor | None:
    """(B, T) float32: which frames of each sample hold noise only; None where none does."""
    if config.hidden_frames == "denoised" or config.value_input == "all":
        return None
    rows = torch.stack([layout.hidden_mask(query) for query in _queries(config)])
    return rows.to(kind.device)[kind]


def _queries(config: ObjectiveConfig) -> tuple[Query, Query, Query]:
    """Queries that policy, world-model and value samples prepare for, in the order of their kinds."""
    value_query = {
        "all": Query.VALUE,
        "future": Query.FUTURE_VALUE,
        "action": Query.ACTION_VALUE,
        "blind": Query.BLIND_VALUE,
    }[config.value_input]
    return Query.POLICY, Query.WORLD, value_query


def frame_weights(kind: Tensor, masks: Tensor, layout: LatentLayout, config: ObjectiveConfig) -> Tensor:
    """(B, T) float32: how much each frame's error counts."""
    weights = torch.ones_like(masks)
    is_value = kind == VALUE
    if config.value_input != "all":
        only_value = torch.zeros(layout.frames, device=kind.device)
        only_value[layout.value] = 1.0
        weights = torch.where(is_value[:, None], only_value, weights)
    if config.separate_losses or (config.no_value_for_policy and _other_option(config)):
        weights = weights * _allowed_frames(layout, config, kind.device)[kind]
    weights[:, layout.action] *= config.action_weight
    if config.reduce == "predicted":
        weights = weights * (1 - masks)
    return weights


def _other_option(config: ObjectiveConfig) -> bool:
    return config.value_input != "all" or config.action_weight != 1.0 or config.reduce == "predicted"


def _allowed_frames(layout: LatentLayout, config: ObjectiveConfig, device: torch.device) -> Tensor:
    """(3, T): frames that may count, per kind."""
    allowed = torch.zeros(3, layout.frames, device=device)
    allowed[POLICY, layout.action] = 1.0
    allowed[WORLD, list(layout.future_state)] = 1.0
    if config.separate_losses:
        allowed[VALUE, layout.value] = 1.0
    else:
        allowed[POLICY, list(layout.future_state)] = 1.0
    return allowed


def divisor(kind: Tensor, layout: LatentLayout, config: ObjectiveConfig, channels: int) -> float:
    """What the weighted squared errors of samples of these kinds are divided by.

    A batch in parts, on several processes or one after the other, is divided by the divisor of the whole.
    """
    if config.reduce == "predicted":
        return float(frame_weights(kind, condition_masks(kind, layout, config), layout, config).sum())
    elements = len(kind) * layout.frames
    return elements / channels if config.reduce == "sum" else elements


def compute_loss(
    network: DiffusionTransformer,
    batch: Batch,
    sigma: Tensor,
    noise: Tensor,
    layout: LatentLayout,
    config: ObjectiveConfig,
    prediction: Prediction = "v",
    whole: float | None = None,
) -> Loss:
    """Weighted squared error of the clean-sequence prediction.

    Args:
        sigma: (B,) one noise level per sample, shared by its frames.
        noise: (B, C, T, H, W) standard normal.
        whole: divisor of the whole batch where this is a part of one; this batch's own by default.
    """
    target, noisy, condition = _noised(batch, sigma, noise, layout, config)
    x0 = predict_clean(network, noisy, sigma, condition, prediction)
    return _loss(x0, target, batch.kind, sigma, layout, config, whole)


def silent_loss(
    batch: Batch,
    sigma: Tensor,
    noise: Tensor,
    layout: LatentLayout,
    config: ObjectiveConfig,
    prediction: Prediction = "v",
    whole: float | None = None,
) -> Tensor:
    """Loss of a network whose output is zero everywhere, as fresh weights' is: what any trained one must beat."""
    target, noisy, condition = _noised(batch, sigma, noise, layout, config)
    skip = rectified_flow(sigma, prediction).skip[:, None, None, None, None]
    given = over_frames(condition.mask)
    return _loss(target * given + skip * noisy * (1 - given), target, batch.kind, sigma, layout, config, whole).total


def _noised(
    batch: Batch, sigma: Tensor, noise: Tensor, layout: LatentLayout, config: ObjectiveConfig
) -> tuple[Tensor, Tensor, Condition]:
    """Clean sequences, noisy ones, and what is known of them."""
    target = inject_all(batch.latents, layout, batch)
    masks = condition_masks(batch.kind, layout, config)
    hidden = hidden_masks(batch.kind, layout, config)
    signal = target if hidden is None else target * (1 - over_frames(hidden))
    noisy = signal + sigma[:, None, None, None, None] * noise
    return target, noisy, Condition(target, masks, batch.text, hidden=hidden)


def _loss(
    x0: Tensor,
    target: Tensor,
    kind: Tensor,
    sigma: Tensor,
    layout: LatentLayout,
    config: ObjectiveConfig,
    whole: float | None,
) -> Loss:
    squared = (target - x0).square().mean(dim=(1, 3, 4)) * loss_weight(sigma)[:, None]
    weights = frame_weights(kind, condition_masks(kind, layout, config), layout, config)
    if whole is None:
        whole = divisor(kind, layout, config, target.shape[1])
    return Loss((squared * weights).sum() / whole * config.scale, squared, weights, x0, target)
