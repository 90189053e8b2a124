"""Calibration files: read as written by ROS's tool, refused where they do not fit the camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aloha_hardware.camera.calibration import load_calibration
from aloha_hardware.camera.errors import CameraError


def content(**changes: Any) -> dict[str, Any]:
    return {
        "image_width": 64,
        "image_height": 48,
        "camera_name": "cam_high",
        "distortion_model": "plumb_bob",
        "camera_matrix": {"rows": 3, "cols": 3, "data": [50.0, 0, 32, 0, 51, 24, 0, 0, 1]},
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, 0.2, 0, 0, 0]},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
        "projection_matrix": {"rows": 3, "cols": 4, "data": [50, 0, 32, 0, 0, 51, 24, 0, 0, 0, 1, 0]},
    } | changes


def write(path: Path, calibration: Any) -> str:
    path.write_text(yaml.safe_dump(calibration))
    return str(path)


def test_a_calibration_is_read(tmp_path: Path) -> None:
    calibration = load_calibration(write(tmp_path / "a.yaml", content()), 64, 48)
    assert calibration.k[:6] == [50.0, 0.0, 32.0, 0.0, 51.0, 24.0]
    assert (calibration.distortion_model, calibration.d[:2], len(calibration.p)) == ("plumb_bob", [0.1, 0.2], 12)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image_width": 640}, "is for 640x48, not 64x48"),
        ({"distortion_model": "fisheye"}, "'fisheye' is unknown. Use one of: plumb_bob"),
        ({"camera_matrix": {"data": [1.0] * 8}}, "camera_matrix.data must be 9 numbers"),
        ({"camera_matrix": {"data": [float("nan")] * 9}}, "camera_matrix.data must be 9 numbers"),
        ({"projection_matrix": "no"}, "projection_matrix.data must be 12 numbers"),
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(CameraError, match=reason):
        load_calibration(write(tmp_path / "a.yaml", content(**changes)), 64, 48)


def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="No such file"):
        load_calibration(str(tmp_path / "missing.yaml"), 64, 48)
    with pytest.raises(CameraError, match="not a calibration"):
        load_calibration(write(tmp_path / "a.yaml", ["list"]), 64, 48)
    with pytest.raises(CameraError, match="image_width is missing"):
        load_calibration(write(tmp_path / "a.yaml", {"camera_name": "cam_high"}), 64, 48)
