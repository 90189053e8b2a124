"""What the core derives for drivers and cameras is what their nodes declare: neither package may import the other."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from aloha_hardware.arm_settings import ArmSettings
from aloha_hardware.camera.settings import SOURCES, CameraSettings
from cosmos_policy_core.embodiment import Embodiment, Hardware
from cosmos_policy_core.embodiment.hardware import EXTERNAL, Source


@pytest.mark.parametrize("contract", ["aloha", "aloha_sim"])
@pytest.mark.parametrize("hardware", Hardware.names())
def test_a_driver_accepts_what_the_contract_says(contract: str, hardware: str) -> None:
    embodiment, cell = Embodiment.load(contract), Hardware.load(hardware)
    for arm in embodiment.arms:
        settings = ArmSettings(**cell.arm_settings(embodiment, arm))
        assert settings.pose("start")[-1] == pytest.approx(arm.gripper.values.joint_close)
        assert settings.command_timeout == 0.08


def test_a_camera_accepts_what_the_contract_says() -> None:
    for camera in Embodiment.load("aloha").cameras:
        CameraSettings(**(Hardware.load("emulated").camera_settings(camera) or {})).check()


def test_both_sides_know_the_same_sources_of_pictures() -> None:
    assert set(get_args(Source)) == {*SOURCES, EXTERNAL}


def test_every_key_of_a_hardware_file_is_a_parameter() -> None:
    arm = Hardware.model_validate({"arms": {"a": {}}}).arms["a"]
    own = {"driver", "emulated", "external", "gripper"}  # the gripper angles of a leader become its limits
    assert set(type(arm).model_fields) - own <= {field.name for field in fields(ArmSettings)}
