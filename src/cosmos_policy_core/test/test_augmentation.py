"""What random image changes keep and what they change."""

from __future__ import annotations

import colorsys
import dataclasses

import numpy as np
import pytest
import torch

from cosmos_policy_core.model.augmentation import WEAK, Augmentation, AugmentationConfig, grey, rotate, shift_hue

NOTHING = Augmentation(crop=None, rotation=0.0, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_one_draw_changes_equal_images_equally(images: torch.Tensor) -> None:
    twice = torch.cat([images, images])
    changed = Augmentation.draw(AugmentationConfig(), 32, torch.Generator().manual_seed(1)).apply(twice)
    assert torch.equal(changed[:3], changed[3:])
    assert not torch.equal(changed[:3], images)


def test_the_same_generator_state_repeats_the_draw() -> None:
    one, other = (Augmentation.draw(WEAK, 224, torch.Generator().manual_seed(7)) for _ in range(2))
    assert one == other


def test_black_placeholders_stay_black() -> None:
    black = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    for seed in range(5):
        augmentation = Augmentation.draw(AugmentationConfig(), 32, torch.Generator().manual_seed(seed))
        assert not augmentation.apply(black).any()


def test_an_empty_draw_changes_nothing(images: torch.Tensor) -> None:
    assert torch.equal(NOTHING.apply(images), images)


def test_draws_stay_within_the_published_ranges() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = [Augmentation.draw(AugmentationConfig(), 224, generator) for _ in range(500)]
    for name, middle, reach in (
        ("rotation", 0, 5), ("brightness", 1, 0.3), ("contrast", 1, 0.4), ("saturation", 1, 0.5), ("hue", 0, 0.05)
    ):  # fmt: skip
        values = np.array([getattr(draw, name) for draw in draws])
        assert np.abs(values - middle).max() <= reach
        assert np.abs(values - middle).max() > 0.95 * reach
    assert {draw.crop[2] for draw in draws if draw.crop} == {213}
    assert {draw.crop[0] for draw in draws if draw.crop} == set(range(12))


def test_rotation_is_counter_clockwise_and_keeps_the_centre() -> None:
    image = torch.zeros(1, 3, 33, 33, dtype=torch.uint8)
    image[..., 16, 16] = 200
    image[..., 16, 30] = 100  # right of the centre
    turned = rotate(image, 90.0)
    assert turned[0, 0, 16, 16] == 200
    assert turned[0, 0, 2, 16] == 100  # above it


def test_hue_shifts_agree_with_the_standard_library(images: torch.Tensor) -> None:
    turned = shift_hue(images, 0.05)
    for pixel, result in zip(images[0].flatten(1).T[:200], turned[0].flatten(1).T[:200], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255).tolist())
        expected = colorsys.hsv_to_rgb((hue + 0.05) % 1, saturation, value)
        assert np.abs(result.numpy() - 255 * np.array(expected)).max() <= 1


def test_contrast_zero_leaves_the_mean_grey_of_each_image(images: torch.Tensor) -> None:
    flat = dataclasses.replace(NOTHING, contrast=0.0).apply(images)
    expected = grey(images).mean(dim=(-3, -2, -1)).to(torch.uint8)
    for image, level in zip(flat, expected, strict=True):
        assert (image == level).all()
