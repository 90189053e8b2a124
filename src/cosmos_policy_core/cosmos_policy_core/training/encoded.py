"""Episodes turned into latents once: what a frozen tokenizer makes of them never changes during training."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from cosmos_policy_core.data import jpeg, layouts
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.returns import monte_carlo_returns
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DatasetError
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.images import prepare_images
from cosmos_policy_core.model.policy import CosmosPolicy


@dataclass(frozen=True)
class EncodedEpisode:
    """One episode ready to be sampled from.

    latents: (L, cameras, C, h, w) float16. proprio, actions: (L, P), (L, A) normalised float32.
    values: (L,) returns in [-1, 1].
    """

    latents: Tensor
    proprio: Tensor
    actions: Tensor
    values: Tensor
    instruction: str
    success: bool
    seed: int

    def __len__(self) -> int:
        return len(self.actions)


def read_episodes(folders: Sequence[Path], contract: Embodiment) -> tuple[list[Episode], list[str]]:
    """Read the episodes of several folders, in any known layout; a broken one is named and left out.

    Returns:
        Episodes in order, and one sentence per episode that was left out.

    Raises:
        DatasetError: no episode is left.
    """
    episodes: list[Episode] = []
    broken: list[str] = []
    for folder in folders:
        found, left_out = layouts.scan(folder)
        broken += [item.reason for item in left_out]
        for result in layouts.read_all(found, contract):
            if isinstance(result, Episode):
                episodes.append(result)
            else:
                broken.append(result.reason)
    if not episodes:
        raise DatasetError(f"{', '.join(map(str, folders))}: no readable episode. First problem: {broken[0]}")
    return episodes, broken


def prepared_images(episode: Episode, contract: Embodiment, config: PolicyConfig) -> NDArray[np.uint8]:
    """Decode and resize all camera images of an episode: (L, cameras, S, S, 3).

    Stored images are upright and went through the contract's JPEG already, so neither is done again.
    """
    if config.center_crop:
        raise DatasetError(
            "this trainer encodes images once, without augmentation; set center_crop to false in the configuration."
        )
    per_camera = []
    for name in config.cameras:
        # One opening of the file per camera; step by step would open it for every image.
        stored = episode.jpegs[name][:]
        images = [jpeg.decode(data, f"{episode.where}: {name}[{step}]") for step, data in enumerate(stored)]
        per_camera.append(
            prepare_images(
                images,
                config.image_size,
                resize_before=contract.images.resize_before,
                flip_vertical=False,
                jpeg_quality=None,
                center_crop=False,
            )
        )
    return np.stack(per_camera, axis=1)


def prepare_all(
    episodes: Sequence[Episode], contract: Embodiment, config: PolicyConfig, workers: int
) -> list[NDArray[np.uint8]]:
    """Prepare the images of every episode in several processes, with a progress bar."""
    jobs = [(episode, contract.to_yaml(), config) for episode in episodes]
    if workers <= 1:
        return [_prepare(job) for job in track(jobs, description="images")]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(track(pool.map(_prepare, jobs, chunksize=4), total=len(jobs), description="images"))


def _prepare(job: tuple[Episode, str, PolicyConfig]) -> NDArray[np.uint8]:
    torch.set_num_threads(1)
    episode, contract, config = job
    return prepared_images(episode, Embodiment.from_yaml(contract), config)


@torch.inference_mode()
def encode_episode(
    episode: Episode, images: NDArray[np.uint8], policy: CosmosPolicy, gamma: float, batch: int = 64
) -> EncodedEpisode:
    """Encode one episode with the policy's tokenizer and statistics."""
    layout = policy.config.layout
    parts = [
        policy.encode_images(torch.from_numpy(images[start : start + batch]))[:, :, list(layout.images)].half()
        for start in range(0, len(images), batch)
    ]
    latents = torch.cat(parts).transpose(1, 2).contiguous()
    returns = monte_carlo_returns(len(episode), episode.success_score, gamma, absolute_scale=True)
    return EncodedEpisode(
        latents=latents.cpu().clone(),
        proprio=_normalised(policy.statistics.normalize_proprio(episode.proprio)),
        actions=_normalised(policy.statistics.normalize_actions(episode.actions)),
        values=torch.from_numpy(np.asarray(returns, dtype=np.float32)),
        instruction=episode.instruction,
        success=episode.success,
        seed=episode.seed,
    )


def demonstration_statistics(episodes: Sequence[Episode], contract: Embodiment, smallest_range: float) -> Statistics:
    """Summarise the successful episodes; joints that hardly move get a range of `smallest_range` to be scaled by.

    Raises:
        DatasetError: no episode succeeded.
    """
    good = [episode for episode in episodes if episode.success]
    if not good:
        raise DatasetError("none of the episodes succeeded; demonstrations must. Collect or label some first.")
    statistics = Statistics.of(
        np.concatenate([episode.actions for episode in good]), np.concatenate([episode.proprio for episode in good])
    ).widened(smallest_range)
    statistics.require_spread(contract.action_names, proprio_names=contract.proprio_names)
    return statistics


def _normalised(array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))
