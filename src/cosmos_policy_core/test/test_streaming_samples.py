"""Samples made on the way: the same wherever they are made, none stopped by a broken image, encoded as in inference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from episodes import make_episode
from policies import tiny_policy

from cosmos_policy_core.data.dataset import EpisodeDataset
from cosmos_policy_core.data.sampling import POLICY_MIX, Kind, StratifiedSampler
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DatasetError
from cosmos_policy_core.model.augmentation import AugmentationConfig
from cosmos_policy_core.model.diffusion import NoiseDistribution
from cosmos_policy_core.model.tokenizer import WanTokenizer
from cosmos_policy_core.training.sequences import encode_sequences
from cosmos_policy_core.training.stream import Parts, Place, SampleStream, loader

CONTRACT = Embodiment.load("aloha_sim")
DEMOS = [make_episode(CONTRACT, 6, seed=seed) for seed in range(2)]
POLICY = tiny_policy()


def with_broken(camera: str, step: int) -> Any:
    jpegs = {name: list(frames) for name, frames in DEMOS[0].jpegs.items()}
    jpegs[camera][step] = b"\xff\xd8 no picture"
    return replace(DEMOS[0], jpegs=jpegs, source="demo_0.hdf5")


def stream(episodes: list[Any] | None = None, augmentation: AugmentationConfig | None = None) -> SampleStream:
    data = EpisodeDataset(episodes or DEMOS, [], POLICY.statistics, POLICY.config.horizon, 0.9)
    sampler = StratifiedSampler(data.pools, POLICY_MIX, seed=0)
    return SampleStream(data, sampler, POLICY.config, CONTRACT, augmentation, NoiseDistribution(), seed=0)


def parts(made: SampleStream, rank: int, processes: int) -> Parts:
    return Parts(made.sampler, range(2), size=8, per_process=2, rank=rank, processes=processes)


def test_processes_share_a_batch_without_gap_or_overlap() -> None:
    alone = [place for part in parts(stream(), 0, 1) for place in part]
    shared = [place for rank in (0, 1) for part in parts(stream(), rank, 2) for place in part]
    assert len(alone) == 16 and set(shared) == set(alone)
    assert all(isinstance(value, int) for value in vars(alone[0]).values())


def test_a_sample_is_the_same_wherever_and_whenever_it_is_made() -> None:
    made = stream(augmentation=AugmentationConfig())
    place = Place(step=3, row=5, kind=Kind.WORLD, episode=1, at=2)
    first, again = made[place], stream(augmentation=AugmentationConfig())[place]
    for name in ("images", "noise", "sigma"):
        assert torch.equal(first[name], again[name])
    other = made[replace(place, row=6)]
    assert not torch.equal(first["noise"], other["noise"]) and not torch.equal(first["images"], other["images"])


def test_worker_processes_hand_out_what_one_process_makes() -> None:
    made = stream()
    here, there = (list(loader(made, parts(made, 0, 1), workers)) for workers in (0, 1))
    assert len(here) == len(there) == 8
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.noise, other.noise)


def test_current_and_future_images_are_those_of_the_two_steps() -> None:
    sample = stream()[Place(0, 0, Kind.POLICY, 0, 1)]
    assert sample["images"].shape == (6, 3, 64, 64) and sample["images"].dtype == torch.uint8
    # `make_episode` tells camera and step by the brightness; a chunk of 50 leads to the last of six steps.
    brightness = sample["images"].float().mean(dim=(1, 2, 3))
    np.testing.assert_allclose(brightness, [1, 41, 81, 5, 45, 85], atol=1.5)


def test_an_unreadable_image_is_named_and_another_sample_of_the_kind_takes_its_place() -> None:
    made = stream([with_broken("cam_high", 2), DEMOS[1]])
    sample = made[Place(0, 0, Kind.VALUE, 0, 2)]
    assert sample["kind"] == Kind.VALUE
    assert len(sample["broken"]) >= 1
    assert "demo_0.hdf5: cam_high[2]: the JPEG cannot be decoded" in sample["broken"][0]
    assert made[Place(0, 0, Kind.VALUE, 1, 2)]["broken"] == []


def test_nothing_but_unreadable_images_ends_the_run() -> None:
    broken = with_broken("cam_high", 5)  # the last step is the future of every chunk
    with pytest.raises(DatasetError, match=r"10 unreadable samples in a row.*demo_0\.hdf5"):
        stream([broken])[Place(0, 0, Kind.POLICY, 0, 0)]


def test_a_causal_tokenizer_sees_in_training_what_it_sees_in_inference() -> None:
    torch.manual_seed(0)
    tokenizer = WanTokenizer(base_dim=8).eval()
    config = POLICY.config
    images = torch.randint(0, 256, (3, 6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    whole = encode_sequences(images, config, tokenizer, torch.device("cpu"), torch.float32, at_once=2)
    layout = config.layout
    POLICY.tokenizer, before = tokenizer, POLICY.tokenizer
    try:
        seen = POLICY.encode_images(images[:, :3].movedim(-3, -1))
    finally:
        POLICY.tokenizer = before
    torch.testing.assert_close(whole[:, :, : layout.action], seen[:, :, : layout.action], rtol=1e-4, atol=1e-4)
    assert (whole[:, :, layout.value] == 0).all()
    # The future is not what inference fills in, and does not reach back: the encoder is causal.
    other = images.clone()
    other[:, 3:] = 0
    changed = encode_sequences(other, config, tokenizer, torch.device("cpu"), torch.float32)
    assert torch.allclose(changed[:, :, : layout.action], whole[:, :, : layout.action], atol=1e-5)
    assert not torch.allclose(changed[:, :, list(layout.future_images)], whole[:, :, list(layout.future_images)])


def test_a_still_tokenizer_encodes_current_and_future_images_alike() -> None:
    images = stream()[Place(0, 0, Kind.POLICY, 0, 1)]["images"][None]
    layout = POLICY.config.layout
    whole = encode_sequences(images, POLICY.config, POLICY.tokenizer, torch.device("cpu"), torch.float32)
    seen = POLICY.encode_images(images[:, 3:].movedim(-3, -1))
    assert torch.equal(whole[:, :, list(layout.future_images)], seen[:, :, list(layout.images)])
