"""Vectors enter and leave latent frames as in the reference."""

from __future__ import annotations

import numpy as np
import torch
from golden_cases import Case, cases, close

from cosmos_policy_core.model.latents import extract_actions, extract_value, inject, untile, value_to_unit


def frames_at(latents: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return latents[torch.arange(len(latents)), :, index]


@cases("inject")
def test_vectors_are_tiled_into_their_frame_and_read_back(case: Case) -> None:
    for number, entry in enumerate(case.config["cases"]):
        before, vector, index = (case.tensor(f"in_{name}{number}") for name in ("x", "vec", "idx"))
        after = inject(before, index, vector)
        np.testing.assert_array_equal(after, case[f"out_y{number}"])
        np.testing.assert_array_equal(before, case[f"in_x{number}"])
        size = vector[0].numel()
        for name, latents in (("back", after), ("back_noisy", after + before)):
            if f"out_{name}{number}" in case:
                read = untile(frames_at(latents, index), size).unflatten(-1, entry["shape"])
                close(read, case[f"out_{name}{number}"], atol=1e-6)


@cases("extract")
def test_actions_and_values_are_read_like_the_reference_reads_them(case: Case) -> None:
    for number, entry in enumerate(case.config["cases"]):
        frames = frames_at(case.tensor(f"in_x{number}"), case.tensor(f"in_idx{number}"))
        if entry["what"] == "action":
            close(extract_actions(frames, *entry["shape"]), case[f"out_out{number}"], atol=1e-6)
        else:
            value = extract_value(frames)
            close(value, case[f"out_out{number}"], atol=1e-6)
            close(value_to_unit(value), case[f"out_unnorm{number}"], atol=1e-6)
