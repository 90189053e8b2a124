"""`cosmos-policy train`: fit a small checkpoint to recorded episodes on one machine."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DatasetError


@dataclass(frozen=True)
class Options:
    """Train the nano model: tokenizer first, then the joint policy / world-model / value objective.

    Stops and resumes at will: run the same command again and it continues where it was.

    Example:
        cosmos-policy train --data demos --out checkpoints/mine --steps 10000 --threads 2
    """

    data: tuple[Path, ...]
    """Folders of episode_*.hdf5; failed episodes teach the world model and the value only."""
    out: Path
    """Checkpoint folder to write (also holds the resumable state and the curves)."""
    embodiment: str = "aloha_sim"
    """Contract name or YAML path."""
    steps: int = 10_000
    """Optimiser steps."""
    batch_size: int = 16
    """Samples per step."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    tokenizer_steps: int = 3000
    """Optimiser steps of the image tokenizer."""
    tokenizer_images: int = 40_000
    """Images the tokenizer is trained on, drawn at random."""
    gamma: float = 0.99
    """Discount per control step of the value label."""
    value_input: Literal["all", "future", "action"] = "future"
    """What value samples see: all, future, action."""
    action_weight: float = 5.0
    """Weight of the action frame in the loss (the paper: 1)."""
    query_share: float = 0.3
    """Share of policy samples drawn near the steps at which the robot asks."""
    held_out: float = 0.05
    """Share of episodes kept for validation, drawn by seed."""
    smallest_range: float = 0.05
    """Joints that move less than this in the demonstrations are scaled by it [rad or gripper units]."""
    seed: int = 0
    """Seed of weights, split, batches and noise."""
    threads: int = 0
    """CPU threads; 0: the library's default."""
    workers: int = field(default_factory=lambda: min(os.cpu_count() or 1, 8))
    """Processes that decode images."""
    json: bool = False
    """Print one JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Train and export; returns the exit status."""
    import torch

    from cosmos_policy_core.training.curves import plot_curves
    from cosmos_policy_core.training.mixture import Mixture, MixtureConfig
    from cosmos_policy_core.training.objective import ObjectiveConfig
    from cosmos_policy_core.training.preparation import prepare, start_at_mean
    from cosmos_policy_core.training.trainer import CURVES_FILE, OptimiserConfig, Trainer

    if options.threads:
        torch.set_num_threads(options.threads)
    started = time.monotonic()
    contract = Embodiment.load(options.embodiment)
    policy, episodes, broken = prepare(options, contract)
    for sentence in broken:
        print(f"left out: {sentence}")
    train, held_out = split(len(episodes), options.held_out, options.seed)
    mixture = Mixture(
        [episodes[index] for index in train],
        policy.config,
        MixtureConfig(query_share=options.query_share),
        policy.text,
        contract.executed_steps,
        options.seed,
    )
    print(
        f"{len(train)} episodes ({len(mixture.demos)} succeeded, {len(mixture.failures)} failed) to train on, "
        f"{len(held_out)} held out, {len(broken)} left out"
    )
    start_at_mean(policy, mixture)
    objective = ObjectiveConfig(
        value_input=options.value_input, action_weight=options.action_weight, reduce="predicted", scale=1.0
    )
    optimiser = OptimiserConfig(
        steps=options.steps, batch_size=options.batch_size, learning_rate=options.learning_rate, seed=options.seed
    )
    trainer = Trainer(policy, mixture, [episodes[index] for index in held_out], objective, optimiser, options.out)
    if trainer.resume():
        print(f"resuming at step {trainer.step} of {options.steps}")
    trainer.run()
    plot_curves(options.out / CURVES_FILE, options.out / "curves.png")
    (options.out / "training.json").write_text(json.dumps(asdict(options), indent=2, default=str) + "\n")
    summary = {
        "checkpoint": str(options.out),
        "steps": trainer.step,
        "seconds": round(time.monotonic() - started, 1),
        **trainer.validate(),
    }
    print(json.dumps(summary) if options.json else f"wrote {options.out}: {summary}")
    return 0


def split(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Split episode indices into training and held-out ones, by seed.

    Raises:
        DatasetError: too few episodes to hold one out.
    """
    held = max(1, round(count * share)) if share > 0 else 0
    if held >= count:
        raise DatasetError(
            f"{count} episodes can't be split with {share:.0%} held out. Collect more, or use --held-out 0."
        )
    order = np.random.default_rng(seed).permutation(count)
    return sorted(order[held:].tolist()), sorted(order[:held].tolist())
