"""What is plugged in where: the part of a robot that differs from one cell to the next and no checkpoint depends on."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PrivateAttr

from cosmos_policy_core.embodiment import reading
from cosmos_policy_core.embodiment.arms import Arm
from cosmos_policy_core.embodiment.base import Contract, Name
from cosmos_policy_core.embodiment.cameras import Camera
from cosmos_policy_core.errors import ContractError

if TYPE_CHECKING:
    from cosmos_policy_core.embodiment.contract import Embodiment

FOLDER = reading.FOLDER / "hardware"
EXTERNAL = "external"

Source = Literal["v4l2", "realsense", "images", "video", "pattern", "external"]
Parameters = dict[str, bool | int | float | str]


class ArmHardware(Contract):
    """How an arm is reached. Empty values are the driver's own defaults."""

    port: str = Field(default="", description="serial port; empty: /dev/ttyDXL_<arm>")
    adapter_serial: str = Field(default="", description="serial number of the USB adapter; empty: not checked")
    models: tuple[str, ...] = Field(default=(), description="ID=MODEL where the kit carries another motor")
    emulated: bool = Field(default=False, description="start an emulator of the motors at the port")
    external: bool = Field(default=False, description="another node drives the arm, on the contract's topics")
    gripper_horn_radius: float | None = Field(default=None, gt=0, description="of the gripper's linkage [m]")
    gripper_arm_length: float | None = Field(default=None, gt=0, description="of the gripper's linkage [m]")
    gripper: tuple[float, float] | None = Field(
        default=None, description="a leader's motor angles, closed and open [rad]; absent: its generation's"
    )
    driver: Parameters = Field(default_factory=dict, description="any other parameter of arm_driver_node")


class CameraHardware(Contract):
    """How a camera is reached. Absent values are the contract's or the node's own."""

    source: Source
    device: str = Field(default="", description="path, serial number behind an underscore, folder or file")
    pixel_format: str | None = None
    exposure: int | None = Field(default=None, ge=0, description="[µs]; 0: automatic")
    calibration: str | None = None
    rate: float | None = Field(default=None, gt=0, description="[Hz]")
    node: Parameters = Field(default_factory=dict, description="any other parameter of camera_node")


class Hardware(Contract):
    """The ports and devices of one cell, by the names the contract gives its arms and cameras."""

    description: str = ""
    arms: dict[Name, ArmHardware] = Field(default_factory=dict)
    cameras: dict[Name, CameraHardware] = Field(default_factory=dict)

    _source: str = PrivateAttr(default="<hardware>")

    @classmethod
    def load(cls, name_or_path: str | Path) -> Hardware:
        """Read a shipped file (by name) or any YAML file (by path).

        Raises:
            ContractError: naming file, key and remedy.
        """
        path = _find(str(name_or_path))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ContractError(
                f"{path}: cannot be read ({error}). Use one of: {', '.join(cls.names())}, or a YAML file."
            ) from None
        source = f"config/embodiments/hardware/{path.name}" if path.parent == FOLDER else str(path)
        hardware = reading.validate(cls, text, source)
        hardware._source = source
        return hardware

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the files that ship with the package."""
        return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))

    @property
    def source(self) -> str:
        """Where it was read from, for messages."""
        return self._source

    def arm(self, name: str) -> ArmHardware:
        """How an arm is reached; one that is not listed is at the port of its name."""
        return self.arms.get(name, ArmHardware())

    def arm_settings(self, contract: Embodiment, arm: Arm) -> dict[str, Any]:
        """Return the parameters of an arm's driver: the contract's numbers, and where the arm is plugged in.

        The gripper's limits are motor angles [rad] here, its speed too; its pose stays 0 closed .. 1 open.
        """
        assert contract.safety is not None  # every contract with arms has it
        here, constants = self.arm(arm.name), arm.gripper.values
        stroke = constants.joint_open - constants.joint_close
        settings: dict[str, Any] = {
            "arm": arm.name,
            "port": here.port,
            "adapter_serial": here.adapter_serial,
            "models": list(here.models),
            "state_topic": arm.state_topic,
            "command_topic": arm.command_topic,
            "partners": [other.name for other in contract.arms if other is not arm],
            "joint_names": list(arm.command_names),
            "lower": [*arm.lower[:-1], constants.joint_close],
            "upper": [*arm.upper[:-1], constants.joint_open],
            "velocity": [*arm.velocity[:-1], arm.velocity[-1] * stroke],
            "start_pose": list(arm.start_pose),
            "sleep_pose": list(arm.sleep_pose),
            "rate": contract.state_rate,
            "command_timeout": contract.safety.command_timeout,
            "gripper_horn_radius": here.gripper_horn_radius,
            "gripper_arm_length": here.gripper_arm_length,
        }
        return _given(settings) | here.driver

    def camera_settings(self, camera: Camera) -> dict[str, Any] | None:
        """Return the parameters of a camera's node; None where another node publishes its pictures.

        Raises:
            ContractError: nobody says where the camera is.
        """
        here = self.cameras.get(camera.name)
        if here is None:
            raise ContractError(
                f"{self.source}: cameras: {camera.name} is missing. Say where it is plugged in, or source: {EXTERNAL}."
            )
        if here.source == EXTERNAL:
            return None
        if not here.device and here.source != "pattern":
            raise ContractError(
                f"{self.source}: cameras.{camera.name}: device is empty. Write the camera's into a copy of the "
                "file and give that as hardware; 'cosmos-policy doctor' lists the cameras it finds."
            )
        settings = {
            "camera": camera.name,
            "source": here.source,
            "device": here.device,
            "image_topic": camera.topic,
            "encoding": camera.encoding,
            "width": camera.width,
            "height": camera.height,
            "rate": here.rate or camera.rate,
            "pixel_format": here.pixel_format,
            "exposure": here.exposure,
            "calibration": here.calibration,
        }
        return _given(settings) | here.node


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the node's own default decides; ROS cannot tell the type of an empty list either."""
    return {name: value for name, value in settings.items() if value is not None and value != []}


def _find(text: str) -> Path:
    if "/" in text or text.endswith((".yaml", ".yml")):
        return Path(text).expanduser()
    names = Hardware.names()
    if text not in names:
        close = difflib.get_close_matches(text, names, n=1)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        raise ContractError(f"hardware: '{text}' is unknown. {hint}Use one of: {', '.join(names)}, or a YAML file.")
    return FOLDER / f"{text}.yaml"
