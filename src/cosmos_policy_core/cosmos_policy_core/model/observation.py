"""What a query is asked about: images, proprioception and the instruction of one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Observation:
    """One instant of the robot.

    images: camera name -> (H, W, 3) uint8 RGB, as acquired.
    proprio: (P,) in robot units, contract order.
    instruction: the task in words.
    """

    images: Mapping[str, NDArray[np.uint8]]
    proprio: NDArray[np.float64]
    instruction: str
