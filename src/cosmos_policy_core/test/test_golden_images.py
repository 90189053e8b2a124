"""Camera images reach the model exactly as the reference prepares them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_cases import Case, cases

from cosmos_policy_core.errors import ObservationError
from cosmos_policy_core.model.images import average_images, central_crop, prepare_images, to_display, to_model_range


def grey_levels(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape and one.dtype == other.dtype == np.uint8
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@cases("images")
def test_resizing_cropping_and_averaging_match_the_reference(case: Case) -> None:
    images, size = case["in_images"], case.config["size"]
    assert grey_levels(prepare_images(images, size, center_crop=False), case["out_resized"]) == 0
    assert grey_levels(central_crop(case["out_resized"]), case["out_center_crop"]) <= 1
    assert grey_levels(average_images(images), case["out_averaged_prediction"]) == 0


@cases("images")
@pytest.mark.parametrize("jpeg", [0, 1])
@pytest.mark.parametrize("crop", [0, 1])
def test_the_whole_preparation_matches_the_reference(case: Case, jpeg: int, crop: int) -> None:
    prepared = prepare_images(
        case["in_images"], case.config["size"], jpeg_quality=95 if jpeg else None, center_crop=bool(crop)
    )
    assert grey_levels(prepared, case[f"out_prepared_jpeg{jpeg}_aug{crop}"]) <= (3 if jpeg else 1)


def test_a_flipped_image_is_upside_down_per_camera() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    flipped = prepare_images(images, 16, flip_vertical=True, center_crop=False)
    np.testing.assert_array_equal(flipped, images[:, ::-1])


def test_an_image_without_colour_is_refused() -> None:
    with pytest.raises(ObservationError, match="height, width, 3"):
        prepare_images([np.zeros((16, 16), np.uint8)], 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_model_range_and_display_are_inverse_on_grey_levels(dtype: torch.dtype) -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    shown = to_display(to_model_range(levels, dtype))
    # Display cuts off instead of rounding, so that rounding noise may cost one level.
    assert ((levels.int() - shown.int()).abs() <= 1).all()
    assert to_model_range(levels, dtype)[[0, 255]].tolist() == [-1.0, 1.0]


def test_the_deployed_range_is_reached_by_rounded_steps_as_in_training() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    divided = (levels.float() / 127.5).bfloat16()
    assert torch.equal(to_model_range(levels, torch.bfloat16), (divided.float() - 1).bfloat16())
    assert not torch.equal(to_model_range(levels, torch.bfloat16), to_model_range(levels).bfloat16())
