"""One episode: what the robot saw, felt and was told to do, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import jpeg
from cosmos_policy_core.embodiment import Camera, Embodiment
from cosmos_policy_core.errors import EpisodeError

Attribute = str | bool | int | float


@dataclass(frozen=True)
class Episode:
    """L control steps. Action t is the target commanded after observation t.

    `actions` and `proprio` are (L, A) and (L, P) float32 in robot units (rad; grippers 0 closed .. 1 open).
    `jpegs` holds one encoded image per step and camera, upright, as acquired or after the contract's first resize.
    They are JPEGs wherever the contract compresses images, else PNGs. A reader may fetch them only when asked.
    `labelled` is False where nobody said what came of it, and `success` is what demonstrations are taken for.
    """

    actions: NDArray[np.float32]
    proprio: NDArray[np.float32]
    jpegs: Mapping[str, Sequence[bytes]]
    instruction: str
    success: bool
    success_score: float
    seed: int = 0
    source: str = ""
    velocities: NDArray[np.float32] | None = None
    efforts: NDArray[np.float32] | None = None
    extra: Mapping[str, Attribute] = field(default_factory=dict)
    labelled: bool = True

    def __len__(self) -> int:
        return len(self.actions)

    def image(self, camera: str, step: int) -> NDArray[np.uint8]:
        """Decode the (H, W, 3) RGB image of one camera at one step.

        Raises:
            EpisodeError: when the camera is unknown or the JPEG is damaged.
        """
        if camera not in self.jpegs:
            raise EpisodeError(f"{self.where}: has no camera '{camera}'. It has {', '.join(self.jpegs)}.")
        return jpeg.decode(self.jpegs[camera][step], f"{self.where}: {camera}[{step}]")

    @property
    def where(self) -> str:
        """Name of the episode in messages."""
        return self.source or f"episode of seed {self.seed}"


def check(episode: Episode, contract: Embodiment) -> None:
    """Refuse an episode that does not fit the contract.

    Raises:
        EpisodeError: naming the episode and what is wrong with it.
    """
    where, length = episode.where, len(episode)
    if length == 0:
        raise EpisodeError(f"{where}: has no steps. Delete it.")
    shapes = {
        "action": (episode.actions, contract.action_dim),
        "observations/qpos": (episode.proprio, contract.proprio_dim),
        "observations/qvel": (episode.velocities, contract.proprio_dim),
        "observations/effort": (episode.efforts, contract.proprio_dim),
    }
    for name, (array, width) in shapes.items():
        if array is not None:
            names = contract.action_names if name == "action" else contract.proprio_names
            _check_array(array, (length, width), f"{where}: {name}", contract, names)
    for camera in contract.cameras:
        frames = episode.jpegs.get(camera.name)
        if frames is None:
            raise EpisodeError(f"{where}: has no images of {camera.name}. Record it under contract '{contract.name}'.")
        if len(frames) != length:
            raise EpisodeError(f"{where}: {len(frames)} images of {camera.name} for {length} steps. Record it again.")
        found = jpeg.size(frames[0], f"{where}: {camera.name}[0]")
        if found not in image_sizes(camera, contract):
            raise EpisodeError(
                f"{where}: {camera.name} is {found[0]}x{found[1]}, not {camera.width}x{camera.height} as in "
                f"{contract.source}. "
                f"Use the contract it was recorded under."
            )
    if not isinstance(episode.success, bool):
        raise EpisodeError(f"{where}: success is {episode.success!r}, not a true or false. Label the episode again.")
    if not (math.isfinite(episode.success_score) and 0.0 <= episode.success_score <= 1.0):
        raise EpisodeError(f"{where}: success_score {episode.success_score} is outside 0..1. Label the episode again.")
    if not episode.instruction.strip():
        raise EpisodeError(f"{where}: task_description is empty. Write the instruction into it.")


def unlabelled_sentence(count: int) -> str:
    """Say that nobody said what came of some episodes, and what they count as."""
    return f"{count} {'file carries' if count == 1 else 'files carry'} no label, taken as demonstrations."


def image_sizes(camera: Camera, contract: Embodiment) -> set[tuple[int, int]]:
    """Widths and heights a stored image may have: as acquired, or after the contract's first resize."""
    first = contract.images.resize_before
    return {(camera.width, camera.height)} | ({(first[1], first[0])} if first else set())


def _check_array(
    array: NDArray[np.float32], shape: tuple[int, int], where: str, contract: Embodiment, names: Sequence[str]
) -> None:
    if array.shape != shape:
        raise EpisodeError(f"{where} has shape {array.shape}, not {shape}. Record it under contract '{contract.name}'.")
    if not np.isfinite(array).all():
        step, column = np.argwhere(~np.isfinite(array))[0]
        raise EpisodeError(
            f"{where}[{step}] is not finite for {names[column]}. Leave the episode out or record it again."
        )
