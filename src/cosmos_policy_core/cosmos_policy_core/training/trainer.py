"""The training loop: one process, resumable to the step, exponential moving average, curves on disk."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cosmos_policy_core.errors import CheckpointError
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_core.model.diffusion import NoiseDistribution
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.training import validation
from cosmos_policy_core.training.encoded import EncodedEpisode
from cosmos_policy_core.training.measures import describe
from cosmos_policy_core.training.mixture import Mixture
from cosmos_policy_core.training.objective import ObjectiveConfig, compute_loss

STATE_FILE = "training_state.pt"
CURVES_FILE = "curves.csv"


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW with linear warm-up and a single cosine to a tenth of a percent."""

    steps: int = 10_000
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    seed: int = 0

    def factor(self, step: int) -> float:
        """Learning-rate factor of a step."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return 1e-3 + (1 - 1e-3) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class Trainer:
    """Train a policy's network in place.

    Every random draw of step k comes from (seed, k), so a run that is killed and resumed repeats itself exactly.
    """

    def __init__(
        self,
        policy: CosmosPolicy,
        mixture: Mixture,
        held_out: Sequence[EncodedEpisode],
        objective: ObjectiveConfig,
        optimiser: OptimiserConfig,
        folder: Path,
        noise: NoiseDistribution | None = None,
    ) -> None:
        self.policy, self.mixture, self.held_out = policy, mixture, held_out
        self.objective, self.options, self.folder = objective, optimiser, folder
        self.noise = noise or NoiseDistribution()
        self.network = policy.network.train().requires_grad_(True)
        self.average = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.adam = torch.optim.AdamW(
            self.network.parameters(),
            lr=optimiser.learning_rate,
            betas=optimiser.betas,
            weight_decay=optimiser.weight_decay,
            fused=True,
        )
        self.step = 0
        self._roles = [camera.role for camera in policy.contract.cameras]

    def run(self, save_every: float = 120.0, validate_every: int = 1000, log_every: int = 50) -> None:
        """Train to the last step; saves state every `save_every` seconds and at the end, then exports the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        saved, totals, note = time.monotonic(), _Running(), ""
        with Progress(*columns) as progress:
            task = progress.add_task("training", total=self.options.steps, completed=self.step, note="")
            while self.step < self.options.steps:
                totals.add(self.advance())
                if self.step % log_every == 0:
                    means = totals.take()
                    self._log(means)
                    note = (
                        f"loss {means['loss']:.3f}  action L1 {means.get('demo_sample_action_l1_loss', math.nan):.3f}"
                    )
                if self.step % validate_every == 0 or self.step == self.options.steps:
                    self._log({f"held_out_{name}": value for name, value in self.validate().items()})
                if time.monotonic() - saved > save_every:
                    self.save_state()
                    saved = time.monotonic()
                progress.update(task, completed=self.step, note=note)
        self.save_state()
        self.export(self.folder)

    def advance(self) -> Mapping[str, float]:
        """Make one optimiser step and return its numbers: loss, gradient norm, latent L1 per kind and modality."""
        batch = self.mixture.batch(self.step, self.options.batch_size).to(self.policy.device)
        generator = torch.Generator().manual_seed(_stream(self.options.seed, self.step))
        config = self.policy.config
        sigma = self.noise.sample(len(batch.kind), config.layout.frames, generator).float().to(self.policy.device)
        noise = torch.randn(batch.latents.shape, generator=generator).to(self.policy.device)
        for group in self.adam.param_groups:
            group["lr"] = self.options.learning_rate * self.options.factor(self.step)
        loss = compute_loss(self.network, batch, sigma, noise, config.layout, self.objective, config.prediction)
        self.adam.zero_grad(set_to_none=True)
        loss.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip_norm)
        self.adam.step()
        self._update_average()
        self.step += 1
        return {"loss": loss.total.item(), "grad_norm": norm.item(), **describe(loss, batch.kind, self._roles)}

    @torch.no_grad()
    def _update_average(self) -> None:
        # A young average follows the weights closely, so that it forgets the initialisation.
        decay = min(self.options.ema_decay, (1 + self.step) / (10 + self.step))
        current = self.network.state_dict()
        names = list(self.average)
        torch._foreach_lerp_([self.average[name] for name in names], [current[name] for name in names], 1 - decay)

    @torch.inference_mode()
    def validate(self, steps: tuple[float, ...] = (0.0, 0.4, 0.72)) -> dict[str, float]:
        """Errors of sampled chunks and values on held-out episodes, at shares of the episode.

        Keys `action_l1_<share>`, normalised, on successes that are no rollouts, and `mean_chunk_l1_<share>`, the error
        of always answering with the mean chunk; see `validation.value_errors` for the others.
        """
        weights = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        self.network.eval()
        try:
            demonstrations = [episode for episode in self.held_out if episode.success and not episode.rollout]
            errors = validation.action_errors(self.policy, self.mixture, demonstrations, steps)
            return {**errors, **validation.value_errors(self.policy, self.mixture, self.held_out)}
        finally:
            self.network.load_state_dict(weights)
            self.network.train()

    # Persistence -------------------------------------------------------------------------------------------------

    def save_state(self) -> None:
        """Write everything a resumed run needs, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / STATE_FILE
        partial = path.with_suffix(".partial")
        state = {
            "step": self.step,
            "seed": self.options.seed,
            "network": self.network.state_dict(),
            "average": self.average,
            "adam": self.adam.state_dict(),
        }
        torch.save(state, partial)
        partial.replace(path)

    def resume(self) -> bool:
        """Continue from the folder's state, if there is one.

        Raises:
            CheckpointError: the state belongs to another network or seed, or is damaged.
        """
        path = self.folder / STATE_FILE
        if not path.exists():
            return False
        try:
            state = torch.load(path, map_location=self.policy.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.adam.load_state_dict(state["adam"])
        except Exception as error:
            raise CheckpointError(
                f"{path}: can't resume from it ({type(error).__name__}: {error}). "
                "It was written for another configuration or is damaged; move it away to start afresh."
            ) from error
        if state["seed"] != self.options.seed:
            raise CheckpointError(f"{path}: was trained with seed {state['seed']}; use it, or another output folder.")
        self.average, self.step = state["average"], state["step"]
        return True

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a checkpoint folder."""
        weights = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        try:
            save_policy(self.policy, folder)
        finally:
            self.network.load_state_dict(weights)

    def _log(self, row: Mapping[str, float]) -> None:
        with (self.folder / CURVES_FILE).open("a", newline="") as file:
            writer = csv.writer(file)
            for name, value in row.items():
                writer.writerow((self.step, name, f"{value:.6g}"))


class _Running:
    """Means of named numbers since the last look."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._values.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        means = {name: float(np.mean(values)) for name, values in self._values.items()}
        self._values.clear()
        return means


def _stream(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
