"""`cosmos-policy bench`: speed of the model and of the planner on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from cosmos_policy_core.model.observation import Observation
    from cosmos_policy_core.model.policy import CosmosPolicy
    from cosmos_policy_core.planning.planner import Plan


@dataclass(frozen=True)
class Model:
    """Time each query of one checkpoint: encode, one network call, a chunk, a future, a value.

    Example:
        cosmos-policy bench model --checkpoint nano_transfer_cube --threads 1
    """

    checkpoint: str = "nano_transfer_cube"
    """Checkpoint folder, or the name of a shipped one."""
    device: str = "cpu"
    """cpu or cuda."""
    runs: int = 20
    """Timed calls per stage."""
    threads: int = 0
    """CPU threads; 0: the library's default."""
    json: bool = False
    """Print a JSON object as the last line."""


@dataclass(frozen=True)
class Planner:
    """Time whole plans, best of N batched, against the published way: candidate by candidate, member by member.

    Example:
        cosmos-policy bench planner --candidates 8
    """

    checkpoint: str = "nano_transfer_cube"
    """Checkpoint folder, or the name of a shipped one; it imagines and values as well."""
    device: str = "cpu"
    """cpu or cuda."""
    candidates: int = 8
    """Chunks per plan."""
    futures: int = 3
    """Imagined futures per chunk."""
    values: int = 5
    """Value predictions per future."""
    preset: Literal["reference", "default"] = "default"
    """The published planner number for number, or ours (independent noise, pruning)."""
    runs: int = 5
    """Timed plans."""
    threads: int = 0
    """CPU threads; 0: the library's default."""
    json: bool = False
    """Print a JSON object as the last line."""


Options = Annotated[Model, tyro.conf.subcommand("model")] | Annotated[Planner, tyro.conf.subcommand("planner")]


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Measure and print."""
    import torch

    from cosmos_policy_core.model.policy import CosmosPolicy

    if options.threads:
        torch.set_num_threads(options.threads)
    policy = CosmosPolicy.from_pretrained(options.checkpoint, options.device)
    summary = _model(options, policy) if isinstance(options, Model) else _planner(options, policy)
    if options.json:
        print(json.dumps(summary))
    return 0


def _model(options: Model, policy: CosmosPolicy) -> dict[str, Any]:
    import torch

    from cosmos_policy_core.evaluation.timing import describe_machine, matmul_ceiling, measure
    from cosmos_policy_core.model.flops import forward_flops

    observation = _observation(policy)
    scene = policy.encode(observation)
    proposals = policy.propose(scene)
    futures = policy.imagine(scene, proposals, 1)
    config, times = policy.config, torch.zeros(1, policy.config.layout.frames, device=policy.device)
    latents = proposals.latents.to(policy.network.dtype)
    mask = torch.zeros(1, 1, *config.latent_shape[1:], device=policy.device)
    with torch.inference_mode():
        stages = {
            "encode": measure(lambda: policy.encode(observation), policy.device, options.runs),
            "network_call": measure(
                lambda: policy.network(latents, times, scene.text, mask), policy.device, options.runs
            ),
            f"chunk_{config.steps.action}_steps": measure(lambda: policy.propose(scene), policy.device, options.runs),
            f"future_{config.steps.future}_steps": measure(
                lambda: policy.imagine(scene, proposals, 1), policy.device, options.runs
            ),
            f"value_{config.steps.value}_steps": measure(
                lambda: policy.evaluate(scene, futures, 1), policy.device, options.runs
            ),
            "decode": measure(lambda: policy.decode(proposals.latents), policy.device, options.runs),
        }
    rate = forward_flops(config) / stages["network_call"].median_s / 1e12
    ceiling = matmul_ceiling(policy.device, policy.network.dtype)
    machine = describe_machine(policy.device)
    table = Table("stage", "median [ms]", "p99 [ms]", title=f"{config.size} on {machine}")
    for name, timing in stages.items():
        table.add_row(name, f"{timing.median_s * 1e3:.1f}", f"{timing.p99_s * 1e3:.1f}")
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f"network: {rate:.3f} TFLOP/s, {rate / ceiling:.0%} of a large matrix product ({ceiling:.3f} TFLOP/s)"
    )
    return {
        "size": config.size,
        "device": machine,
        "stages": {name: {"median_s": timing.median_s, "p99_s": timing.p99_s} for name, timing in stages.items()},
        "tflops": rate,
        "ceiling_tflops": ceiling,
        "peak_memory_gb": _peak_memory(policy),
    }


def _planner(options: Planner, policy: CosmosPolicy) -> dict[str, Any]:
    import numpy as np

    from cosmos_policy_core.evaluation.serial import decide_serially
    from cosmos_policy_core.evaluation.timing import describe_machine, matmul_ceiling, measure
    from cosmos_policy_core.model.flops import forward_flops
    from cosmos_policy_core.planning.planner import BestOfN
    from cosmos_policy_core.planning.presets import preset

    observation = _observation(policy)
    planner = BestOfN(
        policy, policy, options.candidates, options.futures, options.values, settings=preset(options.preset)
    )
    plans: list[Plan] = []
    batched = measure(lambda: plans.append(planner.decide(observation, 0)), policy.device, options.runs, warm_up=1)
    plans = plans[1:]
    serial = measure(
        lambda: decide_serially(planner, observation, 0), policy.device, max(2, options.runs // 2), warm_up=0
    )
    times = {name: [plan.stages[name] for plan in plans] for name in plans[0].stages}
    stages = {name: float(np.median(seconds)) for name, seconds in times.items()}
    tails = {name: float(np.quantile(seconds, 0.99)) for name, seconds in times.items()}
    rate = plans[0].network_calls * forward_flops(policy.config) / batched.median_s / 1e12
    ceiling = matmul_ceiling(policy.device, policy.network.dtype)
    machine = describe_machine(policy.device)
    title = f"{options.preset}: best of {options.candidates} x {options.futures} x {options.values} on {machine}"
    table = Table("stage", "median [ms]", "p99 [ms]", title=title)
    for name in stages:
        table.add_row(name, f"{stages[name] * 1e3:.1f}", f"{tails[name] * 1e3:.1f}")
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f"plan {batched.median_s:.3f} s median, {batched.p99_s:.3f} s p99; one by one {serial.median_s:.3f} s: "
        f"{serial.median_s / batched.median_s:.1f} times as long"
    )
    console.print(
        f"{plans[0].network_calls} network evaluations, {rate / ceiling:.0%} of a large matrix product's rate; "
        f"{plans[0].spent} values predicted, {plans[0].saved} left out"
    )
    return {
        "size": policy.config.size,
        "device": machine,
        "preset": options.preset,
        "median_s": batched.median_s,
        "p99_s": batched.p99_s,
        "speedup_over_serial": serial.median_s / batched.median_s,
        "stages": stages,
        "stages_p99": tails,
        "network_calls": plans[0].network_calls,
        "values_spent": plans[0].spent,
        "values_saved": plans[0].saved,
        "tflops": rate,
        "ceiling_tflops": ceiling,
    }


def _observation(policy: CosmosPolicy) -> Observation:
    """Make an observation of the right shape: noise images, proprioception at the start pose."""
    import numpy as np

    from cosmos_policy_core.model.observation import Observation

    rng = np.random.default_rng(0)
    images = {
        camera.name: rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)
        for camera in policy.contract.cameras
    }
    return Observation(images, policy.contract.start_action, policy.text.instructions[0])


def _peak_memory(policy: CosmosPolicy) -> float:
    import resource

    import torch

    if policy.device.type == "cuda":
        return torch.cuda.max_memory_allocated(policy.device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
