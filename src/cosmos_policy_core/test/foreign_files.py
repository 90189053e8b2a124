"""Tiny files in the layouts of other recorders, written by hand."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import cosmos_policy_core
from cosmos_policy_core.data import jpeg
from cosmos_policy_core.embodiment import Embodiment

FOLDER = Path(cosmos_policy_core.__file__).parent / "embodiments"


def small(name: str) -> Embodiment:
    """Load a shipped contract with images of a size that tests can afford."""
    text = (FOLDER / f"{name}.yaml").read_text()
    for old, new in (
        ("width: 640, height: 480", "width: 64, height: 48"),
        ("width: 256, height: 256", "width: 32, height: 32"),
        ("width: 224, height: 224", "width: 32, height: 32"),
        ("resize_before: [256, 256]", "resize_before: [32, 32]"),
    ):
        text = text.replace(old, new)
    return Embodiment.from_yaml(text, source=f"{name}.yaml")


def picture(step: int, view: int = 0, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Draw smooth picture whose red tells the view and whose blue tells the step."""
    across = np.linspace(0, 40, width)[None, :].repeat(height, axis=0)
    return np.stack([across + 60 * view + 20, across + 90, np.full_like(across, 8 * step)], axis=-1).astype(np.uint8)


def numbers(length: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (length, width)).astype(np.float32)


def write_raw_aloha(path: Path, length: int = 5, *, padded: bool, **attributes: Any) -> Path:
    """Write what the ALOHA recorder writes: RGB arrays, or those compressed as if they were BGR, padded with zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["action"] = numbers(length, 14)
        for index, name in enumerate(("qpos", "qvel", "effort")):
            file[f"observations/{name}"] = numbers(length, 14, index + 1).astype(np.float64)
        for view, camera in enumerate(("cam_high", "cam_left_wrist", "cam_low", "cam_right_wrist")):
            pictures = [picture(step, view) for step in range(length)]
            name = f"observations/images/{camera}"
            if not padded:
                file[name] = np.stack(pictures)
                continue
            coded = [_as_if_bgr(image) for image in pictures]
            longest = max(map(len, coded))
            file[name] = np.stack([np.frombuffer(data.ljust(longest, b"\0"), dtype=np.uint8) for data in coded])
        file.attrs["sim"], file.attrs["compress"] = False, padded
        file.attrs.update(attributes)
    return path


def _as_if_bgr(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image[..., ::-1])).save(stream, format="JPEG", quality=50)
    return stream.getvalue()


def write_images(group: h5py.Group, name: str, length: int, view: int, *, compressed: bool) -> None:
    """Write the images of one camera as arrays, or as JPEGs of varying length under `<name>_jpeg`."""
    pictures = [picture(step, view, 32, 32) for step in range(length)]
    if not compressed:
        group[name] = np.stack(pictures)
        return
    dataset = group.create_dataset(f"{name}_jpeg", (length,), dtype=h5py.vlen_dtype(np.uint8))
    for step, image in enumerate(pictures):
        dataset[step] = np.frombuffer(jpeg.encode(image), dtype=np.uint8)


def write_demos(
    path: Path, views: tuple[str, ...], width: int, *, compressed: bool, count: int = 2, instruction: str = ""
) -> Path:
    """Write a task file of LIBERO or RoboCasa with demonstrations of 4, 5, ... steps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for index in range(count):
            group, length = file.create_group(f"data/demo_{index}"), 4 + index
            group["actions"] = numbers(length, width, index).astype(np.float64)
            group["robot_states"] = numbers(length, 9, index + 50).astype(np.float64)
            for view, name in enumerate(views):
                write_images(group, f"obs/{name}", length, view, compressed=compressed)
            if instruction:
                group.attrs["task_description"] = instruction
    return path


def write_rollout(path: Path, cameras: int, *, compressed: bool, success: Any = True, length: int = 4) -> Path:
    """Write one rollout of LIBERO (2 cameras) or RoboCasa (3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["actions"], file["proprio"] = numbers(length, 7), numbers(length, 9, 1)
        for view, name in enumerate(("wrist_images", "primary_images", "secondary_images")[:cameras]):
            write_images(file, name, length, view, compressed=compressed)
        file.attrs["success"], file.attrs["task_description"] = success, "open the drawer"
    return path
