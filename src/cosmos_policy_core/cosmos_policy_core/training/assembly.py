"""Start checkpoint, episodes and configuration put together: everything a run needs before it is spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cosmos_policy_core.data.dataset import EpisodeDataset
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.seeds import learned_seeds, scene_seeds
from cosmos_policy_core.data.split import split_pools
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.model.checkpoint import load_policy
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.model.transformer import DiffusionTransformer
from cosmos_policy_core.training.encoded import demonstration_statistics, read_episodes
from cosmos_policy_core.training.run_config import RunConfig


@dataclass(frozen=True)
class Paths:
    """Where a run reads and writes. start: checkpoint folder, shipped name or hub id."""

    start: str
    data: tuple[Path, ...]
    rollouts: tuple[Path, ...]
    out: Path


@dataclass(frozen=True)
class Assembled:
    """A policy whose network is to be trained (float32, on the CPU), episodes, and what was left out of them."""

    policy: CosmosPolicy
    training: EpisodeDataset
    held_out: EpisodeDataset | None
    left_out: list[str]
    unlabelled: int = 0  # demonstrations that nobody labelled as such
    partial: int = 0  # rollouts with a score between 0 and 1
    seeds: tuple[int, ...] = ()  # of the simulated scenes among the episodes
    learned: tuple[int, ...] = ()  # the same, and those that the start checkpoint learned from
    whole: tuple[str, ...] = ()  # kinds of episodes of which none could be held out


def assemble_run(config: RunConfig, paths: Paths) -> Assembled:
    """Load the start checkpoint and read the episodes' numbers; images stay on disk.

    Raises:
        CosmosPolicyError: what does not fit, where, and the remedy.
    """
    contract = Embodiment.load(config.embodiment)
    policy = load_policy(paths.start, torch.device("cpu"), torch.float32)
    policy.check(contract)
    policy.contract = contract  # live images have to be prepared as these episodes' are read
    given, left_out = read_episodes(paths.data, contract)
    demonstrations = [episode for episode in given if episode.success]
    rollouts = [episode for episode in given if not episode.success]
    if paths.rollouts:
        more, broken = read_episodes(paths.rollouts, contract, rollouts=True)
        rollouts += more
        left_out += broken
    if config.start.statistics == "demonstrations":
        policy.statistics = demonstration_statistics(demonstrations, contract, config.start.smallest_range)
    policy.text = with_instructions(policy, (episode.instruction for episode in [*demonstrations, *rollouts]))
    if config.start.weights == "fresh":
        policy.network = DiffusionTransformer(policy.config.transformer)
        policy.network.initialise(torch.Generator().manual_seed(config.seed))
    successes = [len(episode) for episode in [*demonstrations, *rollouts] if episode.success]
    longest = max(successes, default=policy.config.episode_steps)
    policy.config = policy.config.model_copy(update={**_learned(config), "episode_steps": longest})
    training, held_out, whole = _split(config, policy, demonstrations, rollouts)
    unlabelled = sum(not episode.labelled for episode in given)
    seeds = tuple(scene_seeds([*given, *rollouts], contract))
    known = learned_seeds(paths.start) if config.start.weights == "checkpoint" else set()
    return Assembled(
        policy,
        training,
        held_out,
        left_out,
        unlabelled,
        partial=sum(0 < episode.success_score < 1 for episode in rollouts),
        seeds=seeds,
        learned=tuple(sorted(known.union(seeds))),
        whole=whole,
    )


def with_instructions(policy: CosmosPolicy, instructions: Iterable[str]) -> TextEmbeddings:
    """Return the policy's embeddings and those of new instructions, where hashing words gives them.

    Raises:
        InstructionError: an instruction that T5 would have to embed.
    """
    unknown = set(instructions) - set(policy.text.instructions)
    if unknown and policy.config.text.kind == "hash":
        tokens, channels = policy.config.text.tokens, policy.config.transformer.crossattn_emb_channels
        return policy.text.merged(TextEmbeddings.hashed(unknown, tokens, channels))
    for instruction in sorted(unknown):
        policy.text[instruction]  # missing now is better than missing after an hour
    return policy.text


def _learned(config: RunConfig) -> dict[str, object]:
    """What the trained checkpoint has to remember of the run, so that inference asks it the same way."""
    if config.objective.value_input == "blind":
        raise ConfigurationError("objective.value_input: no query sees nothing at all. Use all, future or action.")
    return {
        "center_crop": config.augmentation is not None and config.augmentation.crop,
        "value_input": config.objective.value_input,
        "hidden_frames": config.objective.hidden_frames,
        "gamma": config.sampling.gamma,
    }


def _split(
    config: RunConfig, policy: CosmosPolicy, demonstrations: Sequence[Episode], rollouts: Sequence[Episode]
) -> tuple[EpisodeDataset, EpisodeDataset | None, tuple[str, ...]]:
    """Hold out a share of demonstrations and of rollouts, task by task; also name the pools that have none to spare."""
    pools, share = {"demonstrations": demonstrations, "rollouts": rollouts}, config.validation.share
    split = split_pools(pools, share, config.seed)
    kept = [[pools[name][index] for index in train] for name, (train, _) in split.items()]
    held = [[pools[name][index] for index in validation] for name, (_, validation) in split.items()]
    whole = [name for name, (train, validation) in split.items() if share > 0 and train and not validation]

    def dataset(parts: list[list[Episode]]) -> EpisodeDataset:
        return EpisodeDataset(
            parts[0],
            parts[1],
            policy.statistics,
            policy.config.horizon,
            config.sampling.gamma,
            demonstrations_are_rollouts=config.sampling.demonstrations_are_rollouts,
            absolute_scale=config.sampling.absolute_scale,
        )

    return dataset(kept), dataset(held) if share > 0 else None, tuple(whole)
