"""From episode folders to a policy, fresh or of an existing checkpoint, and episodes in its latent space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from rich.progress import track

from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.layouts import LeftOut
from cosmos_policy_core.data.seeds import scene_seeds
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError, DatasetError
from cosmos_policy_core.model.checkpoint import TOKENIZER_FILE, load_strictly, read_tensors
from cosmos_policy_core.model.config import HiddenFrames, PolicyConfig
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.tokenizer import ImageTokenizer
from cosmos_policy_core.model.untrained import nano_for, untrained_policy
from cosmos_policy_core.training.assembly import with_instructions
from cosmos_policy_core.training.encoded import (
    EncodedEpisode,
    demonstration_statistics,
    encode_episode,
    prepare_each,
    read_episodes,
)
from cosmos_policy_core.training.mixture import Mixture
from cosmos_policy_core.training.objective import inject_all
from cosmos_policy_core.training.tokenizer_training import train_tokenizer

GAMMA = 0.99  # where neither the user nor the start checkpoint says anything


class Options(Protocol):
    """The options of `cosmos-policy train` that matter here."""

    @property
    def data(self) -> tuple[Path, ...]: ...
    @property
    def rollouts(self) -> tuple[Path, ...]: ...
    @property
    def start(self) -> str | None: ...
    @property
    def fresh_tokenizer(self) -> bool: ...
    @property
    def new_task(self) -> bool: ...
    @property
    def out(self) -> Path: ...
    @property
    def tokenizer_steps(self) -> int: ...
    @property
    def tokenizer_images(self) -> int: ...
    @property
    def gamma(self) -> float | None: ...
    @property
    def sigma_min(self) -> float | None: ...
    @property
    def action_steps(self) -> int | None: ...
    @property
    def value_input(self) -> Literal["all", "future", "action"] | None: ...
    @property
    def hidden_frames(self) -> HiddenFrames | None: ...
    @property
    def smallest_range(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def workers(self) -> int: ...


@dataclass(frozen=True)
class Prepared:
    """A policy to train, episodes in its latent space, and one sentence per episode that was left out.

    unlabelled: demonstrations that nobody labelled as such. seeds: of the simulated scenes among the episodes.
    """

    policy: CosmosPolicy
    episodes: list[EncodedEpisode]
    left_out: list[str]
    unlabelled: int = 0
    seeds: tuple[int, ...] = ()


def prepare(options: Options, contract: Embodiment) -> Prepared:
    """Read episodes, make or load the policy with its tokenizer, encode every episode."""
    episodes, left_out = read_episodes(options.data, contract)
    rollouts: list[Episode] = []
    if options.rollouts:
        rollouts, more = read_episodes(options.rollouts, contract, rollouts=True)
        left_out += more
    everything = [*episodes, *rollouts]
    if options.start is None:
        policy = _fresh_policy(options, contract, everything, episodes)
    else:
        policy = _start_policy(options, contract, everything, episodes)
    gamma = options.gamma or policy.config.gamma or GAMMA
    config = policy.config
    policy.config = config.model_copy(
        update={
            "gamma": gamma,
            **_sampling(options, config),
            "episode_steps": max(map(len, filter(_succeeded, everything)), default=config.episode_steps),
            "value_input": options.value_input or config.value_input,
            "hidden_frames": options.hidden_frames or config.hidden_frames,
        }
    )
    encoded: list[EncodedEpisode] = []
    prepared = prepare_each(everything, contract, policy.config, options.workers)
    for index, images in enumerate(track(prepared, description="latents", total=len(everything))):
        if isinstance(images, LeftOut):
            left_out.append(images.reason)
            continue
        rollout = index >= len(episodes)
        encoded.append(encode_episode(everything[index], images, policy, gamma, rollout=rollout))
    if not encoded:
        raise DatasetError(f"no episode is left to train on ({len(left_out)} left out). First problem: {left_out[0]}")
    unlabelled = sum(not episode.labelled for episode in episodes)
    return Prepared(policy, encoded, left_out, unlabelled, tuple(scene_seeds(everything, contract)))


def _sampling(options: Options, config: PolicyConfig) -> dict[str, object]:
    """Return how the checkpoint shall sample, where the options say it."""
    steps, schedule = config.steps, config.schedule
    sigma_min = schedule.sigma_min if options.sigma_min is None else options.sigma_min
    action = steps.action if options.action_steps is None else options.action_steps
    if not 0 < sigma_min < schedule.sigma_max:
        raise ConfigurationError(f"--sigma-min is {sigma_min:g}. Use a level above 0 and below {schedule.sigma_max:g}.")
    if action < 1:
        raise ConfigurationError(f"--action-steps is {action}. Use at least 1.")
    return {
        "steps": steps.model_copy(update={"action": action}),
        "schedule": replace(schedule, sigma_min=sigma_min),
    }


def _succeeded(episode: Episode) -> bool:
    return bool(episode.success)


def _fresh_policy(
    options: Options, contract: Embodiment, everything: Sequence[Episode], demonstrations: Sequence[Episode]
) -> CosmosPolicy:
    config = nano_for(contract)
    return untrained_policy(
        contract,
        {episode.instruction for episode in everything},
        config,
        _tokenizer(options, contract, config, everything),
        demonstration_statistics(demonstrations, contract, options.smallest_range),
        options.seed,
    )


def _start_policy(
    options: Options, contract: Embodiment, everything: Sequence[Episode], demonstrations: Sequence[Episode]
) -> CosmosPolicy:
    """Load the checkpoint to start from; its statistics stay, because its weights know no other scale.

    For a new task they are the demonstrations', and the tokenizer is trained on from where it was.
    """
    assert options.start is not None
    policy = CosmosPolicy.from_pretrained(options.start)
    policy.check(contract)
    policy.contract = contract  # live images have to be prepared as these episodes' are read
    if options.fresh_tokenizer or options.new_task:
        known = policy.tokenizer if isinstance(policy.tokenizer, ImageTokenizer) else None
        train_on = None if options.fresh_tokenizer else known
        policy.tokenizer = _tokenizer(options, contract, policy.config, everything, train_on)
    if options.new_task:
        policy.statistics = demonstration_statistics(demonstrations, contract, options.smallest_range)
    policy.text = with_instructions(policy, (episode.instruction for episode in everything))
    return policy


def _tokenizer(
    options: Options,
    contract: Embodiment,
    config: PolicyConfig,
    episodes: Sequence[Episode],
    start: ImageTokenizer | None = None,
) -> ImageTokenizer:
    """Train the tokenizer, from another one if given, or take the one an interrupted run already trained."""
    path = options.out / TOKENIZER_FILE
    if path.exists():
        tokenizer = ImageTokenizer(config.image_size, config.transformer.in_channels, config.tokenizer.widths)
        load_strictly(tokenizer, read_tensors(path), path)
        return tokenizer.eval()
    images = _some_images(options, contract, config, episodes)
    tokenizer = train_tokenizer(images, steps=options.tokenizer_steps, seed=options.seed, start=start)
    options.out.mkdir(parents=True, exist_ok=True)
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tokenizer.state_dict().items()}, path)
    return tokenizer


def _some_images(
    options: Options, contract: Embodiment, config: PolicyConfig, episodes: Sequence[Episode]
) -> NDArray[np.uint8]:
    """Draw steps at random and prepare their images: (N, S, S, 3)."""
    pairs = np.array([(index, step) for index, episode in enumerate(episodes) for step in range(len(episode))])
    wanted = max(options.tokenizer_images // len(config.cameras), 2)
    drawn = pairs[np.sort(np.random.default_rng(options.seed).permutation(len(pairs))[:wanted])]
    indices = np.unique(drawn[:, 0]).tolist()
    steps = [drawn[drawn[:, 0] == index, 1].tolist() for index in indices]
    chosen = [episodes[index] for index in indices]
    prepared = track(
        prepare_each(chosen, contract, config, options.workers, steps), description="images", total=len(chosen)
    )
    parts = [images.reshape(-1, *images.shape[2:]) for images in prepared if not isinstance(images, LeftOut)]
    if not parts:
        raise DatasetError(
            "not one camera image can be decoded. Look at the folders with `cosmos-policy inspect-data`."
        )
    return np.concatenate(parts)


@torch.no_grad()
def start_at_mean(policy: CosmosPolicy, mixture: Mixture, samples: int = 512) -> None:
    """Set the output biases of vector frames to the data's mean, so that training starts from the mean chunk.

    Only for networks with own weights for vector frames that predict x0.
    """
    own, config = policy.network.vector_frames, policy.config
    if own is None or config.prediction != "x0":
        return
    batch = mixture.batch(step=-1 % 2**31, size=samples)
    mean = inject_all(batch.latents, config.layout, batch).mean(dim=0)[:, own.frames]
    patch = config.transformer.patch_spatial
    own.bias_out.copy_(rearrange(mean, "c f (h p1) (w p2) -> f (h w) (p1 p2 c)", p1=patch, p2=patch))
