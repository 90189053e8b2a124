"""Hand-made episodes for tests: small, deterministic, with real JPEGs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.embodiment import Embodiment


def make_episode(contract: Embodiment, length: int = 6, seed: int = 0, **changes: Any) -> Episode:
    """Make an episode whose images tell camera and step by their brightness."""
    rng = np.random.default_rng(seed)
    jpegs = {
        camera.name: [
            jpeg.encode(np.full((camera.height, camera.width, 3), 40 * index + step, dtype=np.uint8))
            for step in range(length)
        ]
        for index, camera in enumerate(contract.cameras)
    }
    values: dict[str, Any] = {
        "actions": rng.uniform(-1, 1, (length, contract.action_dim)).astype(np.float32),
        "proprio": rng.uniform(-1, 1, (length, contract.proprio_dim)).astype(np.float32),
        "jpegs": jpegs,
        "instruction": "transfer the cube to the left arm",
        "success": True,
        "success_score": 1.0,
        "seed": seed,
    }
    return Episode(**(values | changes))
