"""The training loop at scale: sharded, accumulated, streamed from disk, resumable to the step (paper section 4).

A step's samples, noise and learning rate come from (seed, step) alone, so a run is the same on one process and on
many, and after it was killed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cosmos_policy_core.data.dataset import EpisodeDataset
from cosmos_policy_core.data.sampling import Sampler, StratifiedSampler, make_sampler
from cosmos_policy_core.errors import CheckpointError, ModelError
from cosmos_policy_core.training import sharded
from cosmos_policy_core.training.assembly import Assembled
from cosmos_policy_core.training.export import export
from cosmos_policy_core.training.logs import open_logs
from cosmos_policy_core.training.measures import measure
from cosmos_policy_core.training.objective import Batch, compute_loss, divisor, silent_loss
from cosmos_policy_core.training.parallel import Group, gather_no_more, spread, synchronise
from cosmos_policy_core.training.run_config import RunConfig
from cosmos_policy_core.training.schedule import learning_rate_factor
from cosmos_policy_core.training.sequences import encode_sequences
from cosmos_policy_core.training.stream import Parts, Samples, SampleStream, loader
from cosmos_policy_core.training.tally import Tally


class SpreadTrainer:
    """Train a policy's network on all processes of a group; they must call everything here together."""

    def __init__(self, config: RunConfig, assembled: Assembled, group: Group, out: Path) -> None:
        self.config, self.assembled, self.group, self.out = config, assembled, group, out
        self.policy = assembled.policy
        self.dtype = getattr(torch, config.compute.dtype)
        self.accumulation = config.accumulation(group.size)
        assert isinstance(self.policy.tokenizer, nn.Module)
        self.policy.tokenizer.to(group.device, self.dtype).eval().requires_grad_(False)
        self.network = self.policy.network.to(group.device, torch.float32).requires_grad_(True)
        spread(
            self.network,
            group,
            self.dtype,
            shard_size=config.compute.shard_size,
            activation_checkpointing=config.compute.activation_checkpointing,
        )
        options = config.optimiser
        self.adam = torch.optim.AdamW(
            self.network.parameters(),
            lr=options.learning_rate,
            betas=options.betas,
            eps=options.epsilon,
            weight_decay=options.weight_decay,
            fused=True,
        )
        self.cycles = tuple(cycle.cycle for cycle in options.cycles)
        self.roles = [camera.role for camera in self.policy.contract.cameras]
        self._rows = self._sampler()
        self._tally = Tally(group, self.accumulation)
        self._named: set[str] = set()
        self.step = 0

    def run(self) -> None:
        """Train to the last step, from the newest state if there is one, and export the checkpoint.

        Raises:
            CheckpointError: the start weights turn out to be none, or a state does not belong to this run.
            ModelError: the loss is not finite any more.
        """
        config = self.config
        self.step = sharded.resume(self.out, self.network, self.adam, self._record())
        if self.step:
            self._say(f"resuming at step {self.step} of {config.steps}")
        logs = open_logs(config.logging.to, self.out, self.step) if self.group.leads else []
        samples = self._samples(self._sampler(), self.assembled.training, range(self.step, config.steps))
        clock = _Clock(self.step)
        while self.step < config.steps:
            self.advance(samples)
            row = self._numbers(clock) if self._due(config.logging.every) or self.step == 1 else {}
            if self._due(config.validation.every):
                row |= self.validate()
            for log in logs:
                log.write(self.step, row)
            self._keep()
        for log in logs:
            log.close()
        self.export(self.out)

    def advance(self, samples: Iterator[Samples]) -> None:
        """Make one optimiser step from the next parts of the stream."""
        config = self.config
        whole = self._divisor(self._rows, self.step, config.batch.size)
        rate = config.optimiser.learning_rate * learning_rate_factor(self.step, self.cycles)
        for settings in self.adam.param_groups:
            settings["lr"] = rate
        totals = torch.zeros(2, device=self.group.device)  # losses of the network and of a silent one
        for part in range(self.accumulation):
            synchronise(self.network, part == self.accumulation - 1)
            totals += self._backward(next(samples), whole)
        if self.step == 0 and config.start.weights == "checkpoint":
            self._check_start(totals)
        norm = self._clip()
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self._tally.add({"grad_norm": torch.stack([norm, torch.ones_like(norm)])})
        self._tally.add({"learning_rate": torch.tensor([rate, 1.0])})
        self.step += 1

    def _backward(self, samples: Samples, whole: float) -> torch.Tensor:
        """Add a part's share to the gradients; returns its loss and, in the first step, a silent network's."""
        batch, sigma, noise = self._batch(samples)
        config = self.policy.config
        parameters = (batch, sigma, noise, config.layout, self.config.objective, config.prediction, whole)
        loss = compute_loss(self.network, *parameters)
        # Gradients are averaged over processes, and the loss is a share of the sum over all of them.
        (loss.total * self.group.size).backward()
        self._tally.add(measure(loss, batch.kind, self.roles))
        self._tally.add_part("loss", loss.total)
        self._tally.add_part("replaced_samples", len(samples.broken))
        self._name(samples.broken)
        silent = silent_loss(*parameters) if self.step == 0 else torch.zeros_like(loss.total)
        return torch.stack([loss.total.detach(), silent.detach()])

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure loss and modalities on held-out episodes, always the same samples under the same noise.

        A kind of sample that the held-out episodes have nothing for is left out.
        """
        held_out = self.assembled.held_out
        if held_out is None:
            return {}
        config = self.policy.config
        size = self.config.batch.per_process * self.group.size
        steps = range(self.config.validation.batches)
        mix = held_out.pools.served(self.config.sampling.mix)
        sampler = StratifiedSampler(held_out.pools, mix, self.config.seed)
        tally = Tally(self.group, 1)
        for step, samples in zip(steps, self._samples(sampler, held_out, steps, size), strict=True):
            whole = self._divisor(sampler, step, size)
            batch, sigma, noise = self._batch(samples)
            objective, prediction = self.config.objective, config.prediction
            loss = compute_loss(self.network, batch, sigma, noise, config.layout, objective, prediction, whole)
            tally.add(measure(loss, batch.kind, self.roles))
            tally.add_part("loss", loss.total)
        gather_no_more(self.network)
        return {f"validation_{name}": value for name, value in tally.take().items()}

    def export(self, folder: Path) -> None:
        """Write a checkpoint folder."""
        weights = sharded.whole_weights(self.network)
        if self.group.leads:
            export(self.policy, weights, self.config, self.step, folder, self.assembled.learned)
            self._say(f"wrote {folder}")
        self.group.wait()

    # Parts -------------------------------------------------------------------------------------------------------

    def _sampler(self) -> Sampler:
        sampling = self.config.sampling
        every = self.policy.contract.executed_steps
        return make_sampler(sampling.policy, self.assembled.training.pools, sampling.mix, self.config.seed, every)

    def _divisor(self, sampler: Sampler, step: int, size: int) -> float:
        """What the losses of a step's parts are divided by; every process knows the kinds of the whole batch."""
        kinds = torch.from_numpy(sampler.rows(step, size)[:, 0].copy())
        config = self.policy.config
        return divisor(kinds, config.layout, self.config.objective, config.latent_shape[0])

    def _samples(
        self, sampler: Sampler, data: EpisodeDataset, steps: range, size: int | None = None
    ) -> Iterator[Samples]:
        """Stream this process's parts of the batches of some steps; validation goes without augmentation."""
        config, training = self.config, size is None
        stream = SampleStream(
            data,
            sampler,
            self.policy.config,
            self.policy.contract,
            config.augmentation if training else None,
            config.noise,
            config.seed,
        )
        per_process = config.batch.per_process
        parts = Parts(sampler, steps, size or config.batch.size, per_process, self.group.rank, self.group.size)
        return loader(stream, parts, config.compute.workers if training else 0)

    def _batch(self, samples: Samples) -> tuple[Batch, torch.Tensor, torch.Tensor]:
        """Bring samples to the device and tokenize their images; numbers are rounded to the computation's dtype."""
        device = self.group.device
        latents = encode_sequences(
            samples.images,
            self.policy.config,
            self.policy.tokenizer,
            device,
            self.dtype,
            self.config.compute.encode_at_once,
        )
        numbers = {
            name: getattr(samples, name).to(device, self.dtype).float()
            for name in ("proprio", "future_proprio", "actions", "value")
        }
        text = torch.stack([self.policy.text[instruction] for instruction in samples.instructions]).to(device)
        batch = Batch(latents=latents, kind=samples.kind.to(device), text=text, **numbers)
        return batch, samples.sigma.to(device), samples.noise.to(device)

    def _clip(self) -> torch.Tensor:
        """Replace gradients that are not finite by zero, as published, and limit the norm; returns the norm before."""
        for parameter in self.network.parameters():
            if parameter.grad is not None:
                torch.nan_to_num_(parameter.grad.to_local(), nan=0.0, posinf=0.0, neginf=0.0)  # type: ignore[attr-defined]
        norm: Any = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimiser.clip_norm)
        whole: torch.Tensor = norm.full_tensor()
        return whole

    def _check_start(self, totals: torch.Tensor) -> None:
        """Refuse start weights that know no more than silence, before the first step changes them.

        Raises:
            CheckpointError: their loss on the first batch is not well below a silent network's.
        """
        ours, silent = self.group.sum(totals).tolist()
        share = ours / silent
        self._say(f"start weights: {share:.2f} of a silent network's loss")
        if not share <= self.config.start.highest_loss:
            raise CheckpointError(
                f"checkpoint {self.policy.identity}: its loss on the first batch is {share:.2f} of a silent network's; "
                f"trained weights stay below {self.config.start.highest_loss:g}. These are random, or belong to "
                "another layout. Import the start weights again, or train from scratch on purpose: "
                "--set start.weights=fresh."
            )

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _keep(self) -> None:
        """Write the state, and a checkpoint on the way, if it is time."""
        saving = self.config.saving
        if self._due(saving.every):
            sharded.save(self.out, self.step, self.network, self.adam, self._record(), saving.keep, self.group)
        if saving.export_every and self.step % saving.export_every == 0 and self.step < self.config.steps:
            self.export(self.out / "exports" / f"step_{self.step:08d}")

    def _numbers(self, clock: _Clock) -> dict[str, float]:
        """Take the means since the last time, and say the most important ones."""
        row = self._tally.take()
        if not math.isfinite(row["loss"]):
            raise ModelError(
                f"step {self.step}: the loss is {row['loss']}. Lower the learning rate, or look for outliers with "
                "`cosmos-policy statistics`; earlier states are in the run's folder."
            )
        row["seconds_per_step"] = clock.lap(self.step)
        self._say(
            f"step {self.step}/{self.config.steps}  loss {row['loss']:.4f}  "
            f"action L1 {row.get('demo_sample_action_l1_loss', math.nan):.4f}  {row['seconds_per_step']:.2f} s/step"
        )
        return row

    def _record(self) -> dict[str, Any]:
        """What a state must agree with to be resumed."""
        config = self.config
        return {
            "seed": config.seed,
            "batch": config.batch.size,
            "start": self.policy.identity,
            **config.model_dump(mode="json", include={"sampling", "objective", "augmentation", "noise", "optimiser"}),
        }

    def _name(self, broken: list[str]) -> None:
        """Name every unreadable sample once."""
        for sentence in broken:
            if sentence not in self._named:
                self._named.add(sentence)
                print(f"left out: {sentence}", flush=True)

    def _say(self, sentence: str) -> None:
        if self.group.leads:
            print(sentence, flush=True)


class _Clock:
    """Seconds per step since the last look."""

    def __init__(self, step: int) -> None:
        self._time, self._step = time.monotonic(), step

    def lap(self, step: int) -> float:
        now = time.monotonic()
        seconds = (now - self._time) / (step - self._step)
        self._time, self._step = now, step
        return seconds
