"""`cosmos-policy train`: fit a small checkpoint to recorded episodes on one machine, afresh or from another one."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from cosmos_policy_core.embodiment import Embodiment

if TYPE_CHECKING:
    from cosmos_policy_core.training.preparation import Prepared
    from cosmos_policy_core.training.trainer import Trainer


@dataclass(frozen=True)
class Options:
    """Train the nano model: tokenizer first, then the joint policy / world-model / value objective.

    Stops and resumes at will: run the same command again and it continues where it was.

    Example:
        cosmos-policy train --data demos --out checkpoints/mine --steps 10000 --threads 2

    A planning checkpoint, fine-tuned on what came of rollouts, to imagine and to value:
        cosmos-policy train --from checkpoints/mine --data demos --rollouts rollouts --out checkpoints/planning
            --mix planning --value-input future --hidden-frames noise --steps 3000
    """

    data: tuple[Path, ...]
    """Folders of demonstrations; failed episodes among them teach the world model and the value only."""
    out: Path
    """Checkpoint folder to write (also holds the resumable state and the curves)."""
    rollouts: tuple[Path, ...] = ()
    """Folders of rollouts of any outcome; they teach the world model and the value, never the policy."""
    start: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Checkpoint to start from: a folder, or the name of a shipped one. Its tokenizer and statistics are kept."""
    fresh_tokenizer: bool = False
    """Train a new tokenizer although the start checkpoint has one; its network then has to learn the new latents."""
    new_task: bool = False
    """The start checkpoint is of another task: train its tokenizer on, and scale numbers by these demonstrations."""
    mix: Literal["nano", "policy", "planning"] = "nano"
    """Shares of policy, world-model and value samples: nano 60/20/20, policy 50/25/25, planning 10/45/45."""
    auxiliary: bool = True
    """Policy samples also predict the future and its value, beside world-model and value samples; without, a batch
    teaches actions and nothing else (an ablation of the paper: such a checkpoint cannot plan)."""
    embodiment: str = "aloha_sim"
    """Contract name or YAML path."""
    steps: int = 10_000
    """Optimiser steps."""
    batch_size: int = 16
    """Samples per step."""
    learning_rate: float | None = None
    """Peak learning rate; 1e-3, or 3e-4 from a checkpoint."""
    tokenizer_steps: int = 3000
    """Optimiser steps of the image tokenizer."""
    tokenizer_images: int = 40_000
    """Images the tokenizer is trained on, drawn at random."""
    gamma: float | None = None
    """Discount per control step of the value label; the start checkpoint's, or 0.99."""
    value_input: Literal["all", "future", "action"] | None = None
    """What value samples see: all is V(s, a, s'), future V(s'), action Q(s, a); the start checkpoint's, or future."""
    hidden_frames: Literal["denoised", "noise"] | None = None
    """What V(s') and Q(s, a) samples hold where they must not see: denoised, as published (the truth under noise),
    or noise (nothing leaks); the start checkpoint's, or denoised."""
    sigma_min: float | None = None
    """Lowest noise level of sampling; the start checkpoint's, or 4. Lower decides between modes that lie closer."""
    action_steps: int | None = None
    """Denoising steps of a chunk; the start checkpoint's, or 5."""
    action_weight: float = 5.0
    """Weight of the action frame in the loss (the paper: 1)."""
    noise_mean: float = 4.0
    """Centre of the log-normal training noise (published: 4); lower resolves finer modes of the actions."""
    noise_high: float = 85.0
    """Upper end of the uniform training noise (published: 85)."""
    query_share: float | None = None
    """Share of policy samples drawn near the steps at which the robot asks; 0.3 in the nano mix, else 0."""
    held_out: float = 0.05
    """Share of episodes kept for validation, drawn by seed."""
    smallest_range: float = 0.05
    """Joints that move less than this in the demonstrations are scaled by it [rad or gripper units]."""
    seed: int = 0
    """Seed of weights, split, batches and noise."""
    threads: int = 0
    """CPU threads; 0: the library's default."""
    workers: int = 0
    """Processes that decode images; 0: one per core, at most 8."""
    json: bool = False
    """Print one JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Train and export; returns the exit status."""
    import torch

    from cosmos_policy_core.data.episode import unlabelled_sentence
    from cosmos_policy_core.data.seeds import RECORD_FILE, evaluation_sentence
    from cosmos_policy_core.training.curves import plot_curves
    from cosmos_policy_core.training.preparation import prepare
    from cosmos_policy_core.training.trainer import CURVES_FILE

    if options.threads:
        torch.set_num_threads(options.threads)
    started = time.monotonic()
    options = replace(
        options,
        learning_rate=options.learning_rate or (1e-3 if options.start is None else 3e-4),
        workers=options.workers or min(os.cpu_count() or 1, 8),
    )
    prepared = prepare(options, Embodiment.load(options.embodiment))
    for sentence in prepared.left_out:
        print(f"left out: {sentence}")
    if prepared.unlabelled:
        print(unlabelled_sentence(prepared.unlabelled))
    if sentence := evaluation_sentence(prepared.seeds):
        print(sentence)
    trainer = _trainer(options, prepared)
    if trainer.resume():
        print(f"resuming at step {trainer.step} of {options.steps}")
    trainer.run()
    plot_curves(options.out / CURVES_FILE, options.out / "curves.png")
    record = _record(options, trainer, prepared.seeds)
    (options.out / RECORD_FILE).write_text(json.dumps(record, indent=2, default=str) + "\n")
    summary = {
        "checkpoint": str(options.out),
        "steps": trainer.step,
        "seconds": round(time.monotonic() - started, 1),
        **trainer.validate(),
    }
    print(json.dumps(summary) if options.json else f"wrote {options.out}: {summary}")
    return 0


def _trainer(options: Options, prepared: Prepared) -> Trainer:
    """Split the episodes and put the trainer together."""
    from cosmos_policy_core.data.sampling import MIXES
    from cosmos_policy_core.data.split import split_episodes
    from cosmos_policy_core.model.diffusion import NoiseDistribution
    from cosmos_policy_core.training.mixture import Mixture
    from cosmos_policy_core.training.objective import ObjectiveConfig
    from cosmos_policy_core.training.preparation import start_at_mean
    from cosmos_policy_core.training.trainer import OptimiserConfig, Trainer

    policy, episodes = prepared.policy, prepared.episodes
    train, held_out = split_episodes(episodes, options.held_out, options.seed)
    mix = MIXES[options.mix]
    if options.query_share is not None:
        mix = replace(mix, query_share=options.query_share)
    if not options.auxiliary:
        mix = replace(mix, demonstrations=1.0)
    chosen = [episodes[index] for index in train]
    mixture = Mixture(chosen, policy.config, mix, policy.text, policy.contract.executed_steps, options.seed)
    failed = sum(not episode.success for episode in chosen)
    rollouts = sum(episode.success and episode.rollout for episode in chosen)
    print(
        f"{len(train)} episodes ({len(train) - failed - rollouts} demonstrations, {rollouts} successful rollouts, "
        f"{failed} failures) to train on, {len(held_out)} held out, "
        f"{len(prepared.left_out)} left out"
    )
    if options.start is None or options.new_task:
        start_at_mean(policy, mixture)
    objective = ObjectiveConfig(
        value_input=policy.config.value_input,
        hidden_frames=policy.config.hidden_frames,
        separate_losses=not options.auxiliary,
        action_weight=options.action_weight,
        reduce="predicted",
        scale=1.0,
    )
    assert options.learning_rate is not None
    optimiser = OptimiserConfig(
        steps=options.steps, batch_size=options.batch_size, learning_rate=options.learning_rate, seed=options.seed
    )
    noise = NoiseDistribution(log_mean=math.log(options.noise_mean), uniform_high=options.noise_high)
    validation = [episodes[index] for index in held_out]
    return Trainer(policy, mixture, validation, objective, optimiser, options.out, noise)


def _record(options: Options, trainer: Trainer, seeds: tuple[int, ...]) -> dict[str, object]:
    """Say what the checkpoint was trained with, options that were left open included."""
    from cosmos_policy_core.data.seeds import KEY, compact, learned_seeds

    config = trainer.policy.config
    before = learned_seeds(options.start) if options.start is not None and not options.new_task else set()
    return {
        **asdict(options),
        "gamma": config.gamma,
        "value_input": config.value_input,
        "hidden_frames": config.hidden_frames,
        "mixture": asdict(trainer.mixture.mix),
        "started_from": trainer.policy.identity if options.start is not None else None,
        KEY: compact(before.union(seeds)),
    }
