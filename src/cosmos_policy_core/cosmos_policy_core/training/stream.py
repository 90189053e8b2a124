"""Samples straight from the files: two steps of an episode are read, decoded and augmented when their turn comes.

Memory stays bounded by a few batches per process; of an episode only the numbers are kept. Everything random about a
sample comes from (seed, step, place in the batch), so it does not matter which process makes it, or how often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cosmos_policy_core.data.dataset import EpisodeDataset
from cosmos_policy_core.data.sampling import Sampler
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DatasetError, EpisodeError
from cosmos_policy_core.model.augmentation import Augmentation, AugmentationConfig
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.diffusion import NoiseDistribution
from cosmos_policy_core.model.images import prepare_images

ATTEMPTS = 10  # samples tried in the place of an unreadable one


@dataclass(frozen=True)
class Place:
    """A sample of a run: which row of which step's batch it is, and what the sampler said."""

    step: int
    row: int
    kind: int
    episode: int
    at: int


@dataclass(frozen=True)
class Samples:
    """A part of a batch, before tokenization.

    images: (B, 2 * cameras, 3, S, S) uint8, current ones first. noise: (B, C, T, h, w). sigma, kind, value: (B,).
    broken: one sentence per sample that had to be replaced.
    """

    images: Tensor
    noise: Tensor
    sigma: Tensor
    kind: Tensor
    proprio: Tensor
    future_proprio: Tensor
    actions: Tensor
    value: Tensor
    instructions: list[str]
    broken: list[str]


class SampleStream(Dataset[dict[str, Any]]):
    """Make the sample of a place.

    Args:
        sampler: names another sample where one is unreadable.
        augmentation: one draw per sample, for all its images; None leaves them as they are.
    """

    def __init__(
        self,
        data: EpisodeDataset,
        sampler: Sampler,
        config: PolicyConfig,
        contract: Embodiment,
        augmentation: AugmentationConfig | None,
        noise: NoiseDistribution,
        seed: int,
    ) -> None:
        self.data, self.sampler, self.config, self.contract = data, sampler, config, contract
        self.augmentation, self.noise, self.seed = augmentation, noise, seed

    def __getitem__(self, place: Place) -> dict[str, Any]:
        """Make a sample; an unreadable one is replaced by another of its kind, and named.

        Raises:
            DatasetError: one unreadable episode after the other.
        """
        rng = np.random.default_rng([self.seed, place.step, place.row])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        episode, at = place.episode, place.at
        broken: list[str] = []
        for _ in range(ATTEMPTS):
            try:
                sample = self.data.sample(place.kind, episode, at)
                images = self._images(episode, (sample.step, sample.future))
                break
            except EpisodeError as error:
                broken.append(str(error))
                episode, at = self.sampler.substitute(place.kind, rng)
        else:
            raise DatasetError(f"{ATTEMPTS} unreadable samples in a row; look with inspect-data. Last: {broken[-1]}")
        frames = self.config.layout.frames
        if self.augmentation is not None:
            images = Augmentation.draw(self.augmentation, images.shape[-1], generator).apply(images)
        return {
            "images": images,
            "sigma": self.noise.sample(1, frames, generator)[0].float(),
            "noise": torch.randn(self.config.latent_shape, generator=generator),
            "kind": torch.tensor(int(sample.kind)),
            "proprio": torch.from_numpy(sample.proprio),
            "future_proprio": torch.from_numpy(sample.future_proprio),
            "actions": torch.from_numpy(sample.actions),
            "value": torch.tensor(sample.value, dtype=torch.float32),
            "instructions": sample.instruction,
            "broken": broken,
        }

    def _images(self, episode: int, steps: Sequence[int]) -> Tensor:
        """(2 * cameras, 3, S, S) uint8; stored images are upright and compressed already."""
        source = self.data.episodes[episode]
        pictures = [source.image(camera, step) for step in steps for camera in self.config.cameras]
        prepared = prepare_images(
            pictures,
            self.config.image_size,
            resize_before=self.contract.images.resize_before,
            flip_vertical=False,
            jpeg_quality=None,
            center_crop=False,
        )
        return torch.from_numpy(prepared).movedim(-1, -3)


class Parts:
    """The places of one process, part by part: `parts` of them make its share of a step's batch."""

    def __init__(self, sampler: Sampler, steps: range, size: int, per_process: int, rank: int, processes: int) -> None:
        self.sampler, self.steps, self.size = sampler, steps, size
        self.per_process, self.rank, self.processes = per_process, rank, processes

    def __iter__(self) -> Iterator[list[Place]]:
        for step in self.steps:
            rows = self.sampler.rows(step, self.size)
            for first in range(self.rank * self.per_process, self.size, self.processes * self.per_process):
                part = range(first, first + self.per_process)
                yield [Place(step, row, *map(int, rows[row])) for row in part]


def collate(samples: Sequence[dict[str, Any]]) -> Samples:
    """Stack samples into a part of a batch."""
    lists = {"instructions", "broken"}
    stacked = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0] if name not in lists}
    broken = [sentence for sample in samples for sentence in sample["broken"]]
    return Samples(**stacked, instructions=[sample["instructions"] for sample in samples], broken=broken)


def loader(stream: SampleStream, parts: Parts, workers: int) -> Iterator[Samples]:
    """Make the parts of a batch in worker processes, ahead of time and in order; in this process for 0 workers."""
    batches: Any = parts  # any iterable of lists will do
    context = "forkserver" if workers else None  # a plain fork may copy a lock that a thread holds
    return iter(
        DataLoader(
            stream,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=collate,
            multiprocessing_context=context,
        )
    )
