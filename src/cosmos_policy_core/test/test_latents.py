"""Numbers survive the way into a latent frame and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_policy_core.model import latents


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 96), seed=st.integers(0, 2**31))
def test_a_vector_comes_back_from_its_copies(size: int, seed: int) -> None:
    vector = torch.rand(2, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    assert torch.allclose(latents.untile(latents.tile(vector, (6, 4, 4)), size), vector, atol=1e-6)


def test_injection_leaves_the_other_frames_and_its_input_alone() -> None:
    sequence = torch.randn(2, 16, 4, 4, 4)
    before = sequence.clone()
    out = latents.inject(sequence, 2, torch.ones(2, 14))
    assert torch.equal(sequence, before)
    assert torch.equal(out[:, :, [0, 1, 3]], before[:, :, [0, 1, 3]])
    assert (out[:, :, 2] == 1).all()


def test_copies_that_agree_have_no_spread() -> None:
    frame = latents.tile(torch.randn(1, 14), (16, 4, 4))
    assert latents.spread(frame, 14).max() == 0
    assert latents.spread(frame + torch.randn_like(frame), 14).min() > 0


def test_a_frame_too_small_for_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="can't hold"):
        latents.untile(torch.zeros(1, 2, 2, 2), 9)


def test_values_are_clamped_to_the_unit_interval() -> None:
    assert latents.value_to_unit(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 0.5, 1, 1]
