"""Calibration files as ROS's camera_calibration writes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aloha_hardware.camera.errors import CameraError

MATRICES = {"camera_matrix": 9, "rectification_matrix": 9, "projection_matrix": 12}
COEFFICIENTS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}
REMEDY = "Write it with ros2 run camera_calibration cameracalibrator."


@dataclass(frozen=True)
class Calibration:
    """A pinhole camera: row-major matrices as in sensor_msgs/CameraInfo. k[0] is 0 where it is not calibrated."""

    width: int
    height: int
    distortion_model: str = ""
    d: list[float] = field(default_factory=list)
    k: list[float] = field(default_factory=lambda: [0.0] * 9)
    r: list[float] = field(default_factory=lambda: [0.0] * 9)
    p: list[float] = field(default_factory=lambda: [0.0] * 12)


def load_calibration(path: str, width: int, height: int) -> Calibration:
    """Read a calibration made at a picture size [px].

    Raises:
        CameraError: the file cannot be read, lacks a key, or is of another size.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise CameraError(f"{path}: {error.strerror}. Set calibration to a file, or to nothing.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CameraError(f"{path}: this is not YAML. {REMEDY}") from error
    if not isinstance(content, dict):
        raise CameraError(f"{path}: this is not a calibration. {REMEDY}")
    size = (_value(content, "image_width", path), _value(content, "image_height", path))
    if size != (width, height):
        raise CameraError(
            f"{path}: the calibration is for {size[0]}x{size[1]}, not {width}x{height}. Calibrate at the size in use."
        )
    model = str(_value(content, "distortion_model", path))
    if model not in COEFFICIENTS:
        raise CameraError(f"{path}: distortion_model '{model}' is unknown. Use one of: {', '.join(COEFFICIENTS)}.")
    matrices = {name: _numbers(content, name, count, path) for name, count in MATRICES.items()}
    return Calibration(
        width=width,
        height=height,
        distortion_model=model,
        d=_numbers(content, "distortion_coefficients", COEFFICIENTS[model], path),
        k=matrices["camera_matrix"],
        r=matrices["rectification_matrix"],
        p=matrices["projection_matrix"],
    )


def _value(content: dict[str, Any], key: str, path: str) -> Any:
    if key not in content:
        raise CameraError(f"{path}: {key} is missing. {REMEDY}")
    return content[key]


def _numbers(content: dict[str, Any], key: str, count: int, path: str) -> list[float]:
    entry = _value(content, key, path)
    data = entry.get("data") if isinstance(entry, dict) else None
    try:
        numbers = [float(number) for number in data or ()]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise CameraError(f"{path}: {key}.data must be {count} numbers. {REMEDY}")
    return numbers
