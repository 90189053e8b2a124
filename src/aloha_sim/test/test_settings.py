"""A setting that cannot work is named, with its remedy."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from aloha_sim import scene
from aloha_sim.cell import Cell
from aloha_sim.errors import SimError
from aloha_sim.settings import CellSettings


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"task": "juggling"}, "task: 'juggling' is unknown.*transfer_cube, hurried_transfer, insertion"),
        ({"arms": ["one"]}, "arms: .*exactly two"),
        ({"joint_names": ["waist"]}, "joint_names: .*List 7 and 2"),
        ({"start_action": [0.0] * 13}, "start_action: needs 14"),
        ({"command_rate": 40.0}, "command_rate: 40.0 Hz is no multiple"),
        ({"object_x_range": [0.2, 0.0]}, "object_x_range: needs a lower and an upper"),
        ({"light_shift": -1.0}, "light_shift: -1.0 is not within 0 to 1"),
        ({"colour_shift": 3.0}, "colour_shift: 3.0 is not within 0 to 1"),
    ],
)
def test_a_bad_setting_is_named_with_its_remedy(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(SimError, match=named):
        CellSettings(**wrong)


def test_a_misspelt_setting_is_not_ignored() -> None:
    with pytest.raises(SimError, match="camera unknown. Known: task"):
        Cell(camera=["cam_high"])


def test_a_camera_the_cell_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(SimError, match="no camera 'cam_low'. It has: .*cam_high"):
        Cell(cameras=["cam_low"], mesh_reduction=0.0)


def test_without_gym_aloha_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SimError, match="pip install --no-deps gym-aloha"):
        scene.build_model()
