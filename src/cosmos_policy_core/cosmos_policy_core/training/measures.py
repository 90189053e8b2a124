"""Errors per sample kind and modality, under the names of the paper's training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cosmos_policy_core.data.sampling import Kind
from cosmos_policy_core.model.layout import LatentLayout
from cosmos_policy_core.training.objective import POLICY, VALUE, WORLD, Loss

FUTURE_IMAGES = {
    "wrist": "future_wrist_image",
    "wrist2": "future_wrist_image2",
    "primary": "future_image",
    "secondary": "future_image2",
}
"""Modality of a camera's role in the reference's curves."""
SAMPLE_KINDS = {POLICY: "demo_sample", WORLD: "world_model_sample", VALUE: "value_function_sample"}


def curve_names(roles: Sequence[str]) -> list[tuple[str, Kind, int]]:
    """Name, sample kind and frame of every curve of a robot whose cameras have these roles, as the reference does."""
    layout = LatentLayout(len(roles))
    images = [(FUTURE_IMAGES[role], frame) for role, frame in zip(roles, layout.future_images, strict=True)]
    future = [("future_proprio", layout.future_proprio), *images, ("value", layout.value)]
    of_kind = {POLICY: [("action", layout.action), *future], WORLD: future, VALUE: future[-1:]}
    return [
        (f"{SAMPLE_KINDS[kind]}_{name}", kind, frame)
        for kind, modalities in of_kind.items()
        for name, frame in modalities
    ]


def measure(loss: Loss, kind: Tensor, roles: Sequence[str]) -> dict[str, Tensor]:
    """Latent L1 and mean squared error of every curve: sum over samples and their number, (2,).

    Keys such as `demo_sample_action_l1_loss`. Sums of parts of a batch add up.
    """
    difference = (loss.target - loss.x0).detach()
    errors = {"mse": difference.square().mean(dim=(1, 3, 4)), "l1": difference.abs().mean(dim=(1, 3, 4))}
    out = {}
    for name, of_kind, frame in curve_names(roles):
        chosen = kind == of_kind
        for unit, error in errors.items():
            # Chosen by `where`: picking rows would make a GPU wait for their number.
            total = torch.where(chosen, error[:, frame], 0.0).sum()
            out[f"{name}_{unit}_loss"] = torch.stack([total, chosen.sum()])
    return out


def describe(loss: Loss, kind: Tensor, roles: Sequence[str]) -> Mapping[str, float]:
    """Means of what `measure` adds up; a kind that is absent from the batch is left out."""
    sums = {name: pair.tolist() for name, pair in measure(loss, kind, roles).items()}
    return {name: total / count for name, (total, count) in sums.items() if count}
