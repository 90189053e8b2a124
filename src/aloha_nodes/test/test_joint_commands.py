"""Commands that no arm could have meant are refused with a reason."""

from __future__ import annotations

import math

import pytest

from aloha_nodes.joint_commands import objection

ARM = ("waist", "shoulder")


def test_any_order_and_a_part_of_the_joints_is_fine() -> None:
    assert objection(["shoulder"], [0.1], ARM) == ""
    assert objection(["shoulder", "waist"], [0.1, 0.2], ARM) == ""


@pytest.mark.parametrize(
    ("names", "positions", "why"),
    [
        ([], [], "0 names"),
        (["waist"], [0.1, 0.2], "1 names but 2 positions"),
        (["waist", "waist"], [0.1, 0.2], "named twice"),
        (["wheel"], [0.1], "unknown joints ['wheel']; the arm has ['waist', 'shoulder']"),
        (["waist"], [math.nan], "not finite: [nan]; send radians"),
    ],
)
def test_what_cannot_be_meant_is_refused(names: list[str], positions: list[float], why: str) -> None:
    assert why in objection(names, positions, ARM)
