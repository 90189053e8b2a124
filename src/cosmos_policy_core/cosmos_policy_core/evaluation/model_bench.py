"""How long each query of a model takes, and how much of the device's arithmetic it uses."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.evaluation.timing import Timing, describe_machine, matmul_ceiling, measure
from cosmos_policy_core.model.acceleration import attention
from cosmos_policy_core.model.answers import Scene
from cosmos_policy_core.model.flops import forward_flops
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy

STAGES = ("encode", "forward", "chunk", "future", "value", "decode")


@dataclass(frozen=True)
class Stage:
    """One measured query. calls: evaluations of the network, one per sample; none in stages of the tokenizer."""

    name: str
    timing: Timing
    calls: int
    tflops: float

    def as_dict(self, ceiling: float) -> dict[str, float]:
        """Say it for machines; shares are of the ceiling."""
        said = {"median_s": self.timing.median_s, "p99_s": self.timing.p99_s, "runs": self.timing.runs}
        return said | ({"tflops": self.tflops, "share": self.tflops / ceiling} if self.calls else {})


@dataclass(frozen=True)
class ModelBench:
    """What was measured. tflops: of one network call, the smallest batch. Memory: the process's or the device's."""

    size: str
    device: str
    dtype: str
    stages: tuple[Stage, ...]
    left_out: tuple[str, ...]
    tflops: float
    ceiling_tflops: float
    peak_memory_gb: float

    def as_dict(self) -> dict[str, Any]:
        """Say it for machines."""
        return {
            "size": self.size,
            "device": self.device,
            "dtype": self.dtype,
            "stages": {stage.name: stage.as_dict(self.ceiling_tflops) for stage in self.stages},
            "left_out": list(self.left_out),
            "tflops": self.tflops,
            "ceiling_tflops": self.ceiling_tflops,
            "peak_memory_gb": self.peak_memory_gb,
        }


@dataclass(frozen=True)
class _Job:
    name: str
    call: Callable[[], object]
    calls: int


def bench_model(
    policy: CosmosPolicy,
    observation: Observation,
    *,
    batches: Sequence[int] = (1, 2, 4, 8),
    stages: Sequence[str] = STAGES,
    runs: int = 20,
    warm_up: int = 2,
    announce: Callable[[str], None] = lambda name: None,
) -> ModelBench:
    """Time every query of a policy.

    Args:
        batches: of a single network call.
        stages: which of `STAGES`; the others are named as left out.
        announce: told the name of each stage before it is timed.

    Raises:
        ConfigurationError: an unknown stage, or nothing to run.
    """
    unknown = [name for name in stages if name not in STAGES]
    if unknown or not stages or runs < 1 or (not batches and "forward" in stages):
        raise ConfigurationError(
            f"stages {', '.join(stages) or 'none'}, {runs} runs: give stages out of {', '.join(STAGES)}, at least one "
            "run and at least one batch."
        )
    if policy.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(policy.device)
    measured = []
    with torch.inference_mode(), attention(policy.device):
        scene = policy.encode(observation)
        per_call = forward_flops(policy.config, text_tokens=scene.text.keys_values[0][0].shape[2])
        for job in _jobs(policy, observation, scene, batches, stages):
            announce(job.name)
            timing = measure(job.call, policy.device, runs, warm_up)
            measured.append(Stage(job.name, timing, job.calls, job.calls * per_call / timing.median_s / 1e12))
    of_network = [stage.tflops for stage in measured if stage.calls]
    peak = _peak_memory(policy.device)
    return ModelBench(
        size=policy.config.size,
        device=describe_machine(policy.device),
        dtype=str(policy.network.dtype).removeprefix("torch."),
        stages=tuple(measured),
        left_out=tuple(name for name in STAGES if name not in stages),
        tflops=of_network[0] if of_network else 0.0,
        ceiling_tflops=matmul_ceiling(policy.device, policy.network.dtype),
        peak_memory_gb=peak,
    )


def _jobs(
    policy: CosmosPolicy, observation: Observation, scene: Scene, batches: Sequence[int], stages: Sequence[str]
) -> Iterator[_Job]:
    """List what is timed, in the order of a plan; what a stage needs is made before it."""
    config, steps = policy.config, policy.config.steps
    if "encode" in stages:
        yield _Job("encode", lambda: policy.encode(observation), 0)
    for batch in batches if "forward" in stages else ():
        yield _Job(f"forward_b{batch}", _forward(policy, scene, batch), batch)
    if not set(stages) & {"chunk", "future", "value", "decode"}:
        return
    if "chunk" in stages:
        yield _Job(f"chunk_{steps.action}_steps", lambda: policy.propose(scene), _evaluations(policy, steps.action))
    proposals = policy.propose(scene, steps=1)
    if "future" in stages:
        calls = _evaluations(policy, steps.future)
        yield _Job(f"future_{steps.future}_steps", lambda: policy.imagine(scene, proposals, 1), calls)
    futures = policy.imagine(scene, proposals, 1, 1)
    if "value" in stages:
        calls = _evaluations(policy, steps.value)
        yield _Job(f"value_{steps.value}_steps", lambda: policy.evaluate(scene, futures, 1), calls)
    if "decode" in stages:
        yield _Job(f"decode_{len(config.cameras)}_images", lambda: policy.decode(proposals.latents, scene), 0)


def _forward(policy: CosmosPolicy, scene: Scene, batch: int) -> Callable[[], object]:
    """One network call as sampling makes it, on noise."""
    layout, shape = policy.config.layout, (batch, *policy.config.latent_shape)
    generator = torch.Generator(policy.device).manual_seed(0)
    latents = torch.randn(shape, generator=generator, device=policy.device).to(policy.network.dtype)
    mask = torch.zeros(batch, 1, *shape[2:], device=policy.device)
    mask[:, :, : layout.action] = 1
    times = torch.tensor([[0.0, 0.9]], device=policy.device, dtype=policy.network.dtype).expand(batch, -1)
    which = (mask[:, 0, :, 0, 0] == 0).long()
    text = scene.text.expand(batch)
    return lambda: policy.denoiser(latents, times, text, mask, which=which)


def _evaluations(policy: CosmosPolicy, steps: int) -> int:
    return len(policy.config.schedule.evaluations(steps))


def _peak_memory(device: torch.device) -> float:
    """GB that the device's allocator held at most, or the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
