"""Cameras of a contract, their place in the latent sequence, and what happens to an image before the model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cosmos_policy_core.embodiment.base import Contract, Name, Topic

Role = Literal["wrist", "wrist2", "primary", "secondary"]

# Latent frames hold the views in this order (wrists before scene cameras); a role may be absent.
ROLE_ORDER: tuple[str, ...] = ("wrist", "wrist2", "primary", "secondary")


class Camera(Contract):
    """One camera; its position in the contract's list is its position in the latent sequence."""

    name: Name
    role: Role
    topic: Topic
    encoding: Literal["rgb8"]
    width: int = Field(gt=0, description="[px]")
    height: int = Field(gt=0, description="[px]")
    rate: float = Field(gt=0, description="[Hz]")


class Images(Contract):
    """Facts about images that live robot, recorder and trainer must share."""

    resize_before: tuple[int, int] | None = Field(description="height, width of a first bicubic resize; null: none")
    flip_vertical: bool = Field(description="turn live images upside down first; stored ones are upright")
    jpeg_quality: int | None = Field(ge=1, le=100, description="JPEG round trip before the model; null: none")


def order_problem(cameras: tuple[Camera, ...]) -> str | None:
    """Say what is wrong with a list of cameras, or return None."""
    for attribute in ("name", "topic", "role"):
        values = [getattr(camera, attribute) for camera in cameras]
        for index, value in enumerate(values):
            if value in values[:index]:
                first = values.index(value)
                return f"cameras[{index}].{attribute}: '{value}' is already used by cameras[{first}]. Use each once."
    roles = [camera.role for camera in cameras]
    right = sorted(roles, key=ROLE_ORDER.index)
    if list(roles) != right:
        order = ", ".join(right)
        return f"cameras: the roles come as {', '.join(roles)}. Order the cameras as the latent frames are: {order}."
    return None
