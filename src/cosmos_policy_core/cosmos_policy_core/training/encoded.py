"""Episodes turned into latents once: what a frozen tokenizer makes of them never changes during training."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmos_policy_core.data import jpeg, layouts
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.layouts import LeftOut
from cosmos_policy_core.data.returns import monte_carlo_returns
from cosmos_policy_core.data.seeds import check_learned
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DatasetError, EpisodeError
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.images import prepare_images
from cosmos_policy_core.model.policy import CosmosPolicy


@dataclass(frozen=True)
class EncodedEpisode:
    """One episode ready to be sampled from.

    latents: (L, cameras, C, h, w) float16. proprio, actions: (L, P), (L, A) normalised float32.
    values: (L,) returns in [-1, 1]. where: its name in messages. rollout: no demonstration, whatever its outcome.
    """

    latents: Tensor
    proprio: Tensor
    actions: Tensor
    values: Tensor
    instruction: str
    success: bool
    seed: int
    where: str = ""
    rollout: bool = False

    def __len__(self) -> int:
        return len(self.actions)


def read_episodes(
    folders: Sequence[Path], contract: Embodiment, *, rollouts: bool = False
) -> tuple[list[Episode], list[str]]:
    """Read the episodes of several folders, in any known layout; a broken one is named and left out.

    Of published data, which comes in folders `train` and `val`, it takes `train`.

    Args:
        rollouts: these are no demonstrations, so one without a label is left out as well.

    Returns:
        Episodes in order, and one sentence per episode that was left out, or per folder whose `val` part was.

    Raises:
        DatasetError: no episode is left, or one is of a seed that nobody may learn from.
    """
    episodes: list[Episode] = []
    broken: list[str] = []
    for folder in folders:
        found, left_out = layouts.scan(folder)
        broken += [item.reason for item in left_out]
        found, aside = layouts.without_validation(found, folder)
        if aside:
            broken.append(
                f"{folder}: {len(aside)} episodes in folders 'val' are set aside, because others are in 'train'. "
                "Give those folders with --data to train on them as well."
            )
        for result in layouts.read_all(found, contract):
            if isinstance(result, LeftOut):
                broken.append(result.reason)
            elif rollouts and not result.labelled:
                broken.append(
                    f"{result.where}: carries no label, and what came of a rollout must be known. Write the attribute "
                    "'success' into it, or give demonstrations with --data."
                )
            else:
                episodes.append(result)
    if not episodes:
        raise DatasetError(f"{', '.join(map(str, folders))}: no readable episode. First problem: {broken[0]}")
    check_learned(episodes, contract)
    return episodes, broken


def prepared_images(
    episode: Episode, contract: Embodiment, config: PolicyConfig, steps: Sequence[int] | None = None
) -> NDArray[np.uint8]:
    """Decode and resize the camera images of an episode, or of some of its steps: (L, cameras, S, S, 3).

    Stored images are upright and went through the contract's JPEG already, so neither is done again.

    Raises:
        EpisodeError: naming file, camera and step of an image that cannot be decoded.
    """
    if config.center_crop:
        raise DatasetError(
            "this trainer encodes images once, without augmentation, and the checkpoint was trained with random crops. "
            "Use `torchrun -m cosmos_policy_core.training`."
        )
    per_camera = []
    for name in config.cameras:
        # One opening of the file per camera; step by step would open it for every image.
        stored = episode.jpegs[name][:]
        wanted = range(len(stored)) if steps is None else steps
        images = [jpeg.decode(stored[step], f"{episode.where}: {name}[{step}]") for step in wanted]
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


def prepare_each(
    episodes: Sequence[Episode],
    contract: Embodiment,
    config: PolicyConfig,
    workers: int,
    steps: Sequence[Sequence[int]] | None = None,
) -> Iterator[NDArray[np.uint8] | LeftOut]:
    """Prepare the images of one episode after the other in several processes; a broken one is handed out as such.

    Only a few episodes are in memory at a time.

    Args:
        steps: per episode, the steps that are wanted; all by default.
    """
    text = contract.to_yaml()
    chosen = steps if steps is not None else [None] * len(episodes)
    jobs = [(episode, text, config, wanted) for episode, wanted in zip(episodes, chosen, strict=True)]
    if workers <= 1:
        yield from map(_prepare, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[NDArray[np.uint8] | LeftOut]] = deque()
        for job in jobs:
            waiting.append(pool.submit(_prepare, job))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _prepare(job: tuple[Episode, str, PolicyConfig, Sequence[int] | None]) -> NDArray[np.uint8] | LeftOut:
    torch.set_num_threads(1)
    episode, contract, config, steps = job
    try:
        return prepared_images(episode, Embodiment.from_yaml(contract), config, steps)
    except EpisodeError as error:
        return LeftOut(episode.where, str(error))


@torch.inference_mode()
def encode_episode(
    episode: Episode,
    images: NDArray[np.uint8],
    policy: CosmosPolicy,
    gamma: float,
    *,
    rollout: bool = False,
    batch: int = 64,
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
        where=episode.where,
        rollout=rollout,
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
