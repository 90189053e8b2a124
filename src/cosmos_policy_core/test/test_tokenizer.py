"""Both tokenizers: one still image per latent frame, trained or loaded from published names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.model.tokenizer import ImageTokenizer, Tokenizer, WanTokenizer
from cosmos_policy_core.training.tokenizer_training import colourful, reconstruction_loss, train_tokenizer


@pytest.fixture(params=["image", "wan"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = ImageTokenizer(image_size=16) if request.param == "image" else WanTokenizer(base_dim=8)
    return made.eval().requires_grad_(False)


@pytest.fixture
def stills() -> torch.Tensor:
    return torch.rand(2, 5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_every_still_becomes_one_latent_frame_and_back(tokenizer: Tokenizer, stills: torch.Tensor) -> None:
    latents = tokenizer.encode_stills(stills)
    assert latents.shape == (2, tokenizer.latent_channels, 5, 2, 2)
    assert tokenizer.decode_stills(latents).shape == stills.shape


def test_the_first_frames_do_not_depend_on_later_ones(tokenizer: Tokenizer, stills: torch.Tensor) -> None:
    torch.testing.assert_close(
        tokenizer.encode_stills(stills, frames=3), tokenizer.encode_stills(stills)[:, :, :3], rtol=0, atol=1e-5
    )


def test_the_image_tokenizer_sees_every_image_alone(stills: torch.Tensor) -> None:
    image_tokenizer = ImageTokenizer(image_size=16).eval()
    one_by_one = torch.stack([image_tokenizer.encode(still) for still in stills], dim=0).transpose(1, 2)
    torch.testing.assert_close(image_tokenizer.encode_stills(stills), one_by_one, rtol=0, atol=1e-5)


def test_bytes_and_model_range_encode_alike() -> None:
    image_tokenizer = ImageTokenizer(image_size=16).eval()
    pixels = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(image_tokenizer.encode(pixels), image_tokenizer.encode(pixels / 127.5 - 1))


def test_a_missing_wan_tensor_is_reported_under_its_published_name() -> None:
    wan = WanTokenizer(base_dim=8)
    state = wan.state_dict()
    del state["decoder.upsamples.4.shortcut.weight"]
    state["encoder.surplus"] = torch.zeros(1)
    report = wan.load_state_dict(state, strict=False)
    assert report.missing_keys == ["decoder.upsamples.4.shortcut.weight"]
    assert report.unexpected_keys == ["encoder.surplus"]


def test_a_wan_video_needs_one_frame_and_groups_of_four() -> None:
    with pytest.raises(ValueError, match="1 \\+ 4k"):
        WanTokenizer(base_dim=8).encode(torch.zeros(1, 3, 4, 16, 16))


def test_an_image_size_that_cannot_be_halved_three_times_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="divisible by 8"):
        ImageTokenizer(image_size=60)


def images_with_a_cube(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    images = np.full((count, 16, 16, 3), 90, np.uint8)
    for image, (row, column) in zip(images, rng.integers(0, 12, (count, 2)), strict=True):
        image[row : row + 4, column : column + 4] = (220, 30, 30)
    return images


def test_training_improves_repeats_and_standardises() -> None:
    images = images_with_a_cube(200, seed=0)
    first, again, shorter = (train_tokenizer(images, steps=steps, seed=3, progress=False) for steps in (60, 60, 2))
    assert first.held_out_psnr is not None
    assert shorter.held_out_psnr is not None
    assert first.held_out_psnr > shorter.held_out_psnr + 3
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), again.parameters(), strict=True))
    with torch.no_grad():
        latents = first.encode(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 0.2
    assert (latents.std(dim=(0, 2, 3)) - 1).abs().max() < 0.2


def test_an_error_on_the_cube_costs_five_times_as_much() -> None:
    pixels = torch.from_numpy(images_with_a_cube(1, seed=1)).permute(0, 3, 1, 2)
    exact = pixels / 127.5 - 1
    on_cube, beside = colourful(pixels), ~colourful(pixels)
    costs = []
    for where in (on_cube, beside):
        wrong = exact.clone()
        row, column = where[0, 0].nonzero()[0]
        wrong[..., row, column] += 0.5
        costs.append(reconstruction_loss(wrong, pixels).item())
    assert costs[0] == pytest.approx(5 * costs[1])


def test_training_needs_exactly_one_budget() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        train_tokenizer(images_with_a_cube(4, seed=0))
