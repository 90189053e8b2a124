"""The latent sequence of the published robots, frame by frame."""

from __future__ import annotations

import pytest

from cosmos_policy_core.model.layout import LatentLayout, Query


def test_three_cameras_give_the_eleven_frames_of_aloha() -> None:
    layout = LatentLayout(3)
    assert layout.frames == 11
    assert (layout.blank, layout.proprio, list(layout.images), layout.action) == (0, 1, [2, 3, 4], 5)
    assert (layout.future_proprio, list(layout.future_images), layout.value) == (6, [7, 8, 9], 10)


def test_two_cameras_give_the_nine_frames_of_libero() -> None:
    layout = LatentLayout(2)
    assert (layout.frames, layout.action, layout.value) == (9, 4, 8)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query.POLICY, (0, 1, 2, 3, 4)),
        (Query.WORLD, (0, 1, 2, 3, 4, 5)),
        (Query.VALUE, tuple(range(10))),
        (Query.FUTURE_VALUE, (0, 6, 7, 8, 9)),
        (Query.ACTION_VALUE, (0, 1, 2, 3, 4, 5)),
        (Query.BLIND_VALUE, (0,)),
    ],
)
def test_each_query_sees_its_own_frames(query: Query, expected: tuple[int, ...]) -> None:
    layout = LatentLayout(3)
    assert layout.conditioned(query) == expected
    assert layout.condition_mask(query).nonzero().flatten().tolist() == list(expected)


def test_a_robot_without_cameras_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        LatentLayout(0)
