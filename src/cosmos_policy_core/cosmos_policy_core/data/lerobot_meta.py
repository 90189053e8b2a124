"""What a LeRobot dataset says about itself: features, statistics and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.embodiment import Embodiment

VERSION = "v3.0"
CHUNK = 1000  # files per folder
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

Stats = dict[str, list[Any]]


def image_key(camera: str) -> str:
    """Name a camera's images as LeRobot does."""
    return f"observation.images.{camera}"


def number_stats(values: NDArray[Any]) -> Stats:
    """Compute statistics of (L, D) or (L,) values, per dimension."""
    table = values.reshape(len(values), -1).astype(np.float64)
    stats: Stats = {
        "min": table.min(axis=0).tolist(),
        "max": table.max(axis=0).tolist(),
        "mean": table.mean(axis=0).tolist(),
        "std": table.std(axis=0).tolist(),
        "count": [len(table)],
    }
    return stats | {name: np.quantile(table, share, axis=0).tolist() for name, share in QUANTILES.items()}


def image_stats(histogram: NDArray[np.int64], frames: int) -> Stats:
    """Compute statistics of images from their (3, 256) grey levels, per channel in 0..1, each as [[value]]."""
    levels, total = np.arange(256) / 255.0, histogram.sum(axis=1)
    mean = (histogram * levels).sum(axis=1) / total
    variance = (histogram * (levels - mean[:, None]) ** 2).sum(axis=1) / total
    share = np.cumsum(histogram, axis=1) / total[:, None]
    values = {
        "min": [levels[np.flatnonzero(row)[0]] for row in histogram],
        "max": [levels[np.flatnonzero(row)[-1]] for row in histogram],
        "mean": mean,
        "std": np.sqrt(variance),
        **{name: [levels[np.searchsorted(row, part)] for row in share] for name, part in QUANTILES.items()},
    }
    nested: Stats = {name: [[[float(value)]] for value in channels] for name, channels in values.items()}
    return nested | {"count": [frames]}


def info(
    episodes: int, frames: int, tasks: int, sizes: Mapping[str, Sequence[int]], contract: Embodiment
) -> dict[str, Any]:
    """Describe a dataset as `meta/info.json` does; `sizes` are (height, width) per camera."""
    rate = contract.control_rate
    features: dict[str, Any] = {
        "observation.state": _vector(contract.proprio_names),
        "action": _vector(contract.action_names),
    }
    for camera in contract.camera_names:
        features[image_key(camera)] = _video(sizes[camera][0], sizes[camera][1], rate)
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    for name in ("frame_index", "episode_index", "index", "task_index"):
        features[name] = {"dtype": "int64", "shape": [1], "names": None}
    return {
        "codebase_version": VERSION,
        "robot_type": contract.name,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": int(rate) if float(rate).is_integer() else rate,
        "splits": {"train": f"0:{episodes}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": features,
    }


def _vector(names: tuple[str, ...]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [len(names)], "names": list(names)}


def _video(height: int, width: int, rate: float) -> dict[str, Any]:
    info = {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": rate,
        "video.channels": 3,
        "has_audio": False,
    }
    return {"dtype": "video", "shape": [height, width, 3], "names": ["height", "width", "channels"], "info": info}
