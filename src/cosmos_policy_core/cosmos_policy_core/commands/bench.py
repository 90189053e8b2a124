"""`cosmos-policy bench`: speed of model and planner on this machine, the cost of seams, the timing of the graph."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from cosmos_policy_core.commands import bench_control, bench_faults, bench_recorder, bench_seams
from cosmos_policy_core.commands.described import explanation
from cosmos_policy_core.errors import ConfigurationError

if TYPE_CHECKING:
    from cosmos_policy_core.model.observation import Observation
    from cosmos_policy_core.model.policy import CosmosPolicy
    from cosmos_policy_core.planning.planner import Plan


@dataclass(frozen=True)
class Machine:
    """What is measured, and where."""

    size: Literal["nano", "2b"] = "nano"
    """nano: the shipped checkpoint; 2b: the published network with random weights, as slow as trained ones."""
    checkpoint: str | None = None
    """Measure this checkpoint instead: a folder, a shipped name or a hub id."""
    device: str = "cpu"
    """cpu or cuda."""
    dtype: Literal["bfloat16", "float32"] | None = None
    """What the network computes in; bfloat16 on a GPU and float32 on a CPU by default."""
    fused: bool = False
    """Compile the blocks of the network, which fuses what lies between matrix products."""
    graphs: bool = False
    """Replay recorded launches for small batches; CUDA only."""
    threads: int = 0
    """CPU threads; 0: the library's default."""
    json: bool = False
    """Print a JSON object as the last line."""


@dataclass(frozen=True)
class Model(Machine):
    """Time each query of one model: encode, one network call by batch, a chunk, a future, a value, decode.

    Example:
        cosmos-policy bench model --size 2b --device cuda --fused --graphs
    """

    batches: tuple[int, ...] = (1, 2, 4, 8)
    """Samples in a single network call."""
    stages: tuple[Literal["encode", "forward", "chunk", "future", "value", "decode"], ...] = (
        "encode",
        "forward",
        "chunk",
        "future",
        "value",
        "decode",
    )
    """What to time; a slow machine may leave some out."""
    runs: int = 20
    """Timed calls per stage."""
    warm_up: int = 2
    """Calls per stage before those that count."""


@dataclass(frozen=True)
class Planner(Machine):
    """Time whole plans, best of N batched, against the published way: candidate by candidate, member by member.

    Example:
        cosmos-policy bench planner --candidates 8
    """

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
    one_by_one: bool = True
    """Time the published execution, too: every candidate and member alone."""


Options = (
    Annotated[Model, tyro.conf.subcommand("model", description=explanation(Model))]
    | Annotated[Planner, tyro.conf.subcommand("planner", description=explanation(Planner))]
    | Annotated[bench_seams.Seams, tyro.conf.subcommand("seams", description=explanation(bench_seams.Seams))]
    | Annotated[bench_control.Control, tyro.conf.subcommand("control", description=explanation(bench_control.Control))]
    | Annotated[
        bench_recorder.Recorder, tyro.conf.subcommand("recorder", description=explanation(bench_recorder.Recorder))
    ]
    | Annotated[bench_faults.Faults, tyro.conf.subcommand("faults", description=explanation(bench_faults.Faults))]
)


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Measure and print the speed of one part on this machine.

    Examples:
        cosmos-policy bench model --size 2b --device cuda --fused --graphs
        cosmos-policy bench control --seconds 30
    """
    if isinstance(options, bench_seams.Seams):
        return bench_seams.run(options)
    if isinstance(options, bench_control.Control):
        return bench_control.run(options)
    if isinstance(options, bench_faults.Faults):
        return bench_faults.run(options)
    if isinstance(options, bench_recorder.Recorder):
        return bench_recorder.run(options)
    _check(options)
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    policy = _policy(options)
    if options.fused or options.graphs:
        policy.accelerate(fused=options.fused, graphs=options.graphs)
    summary = _model(options, policy) if isinstance(options, Model) else _planner(options, policy)
    if options.json:
        print(json.dumps(summary))
    return 0


def _check(options: Model | Planner) -> None:
    if options.runs < 1:
        raise ConfigurationError(f"--runs {options.runs}: nothing to measure. Ask for at least one run.")
    if options.threads < 0:
        raise ConfigurationError(f"--threads {options.threads}: not a number of threads. Use 0 for the default.")


def _policy(options: Machine) -> CosmosPolicy:
    """Load the checkpoint, or draw a network of the published size straight into the device's memory."""
    import torch

    from cosmos_policy_core.embodiment import Embodiment
    from cosmos_policy_core.model.config import PolicyConfig
    from cosmos_policy_core.model.policy import CosmosPolicy
    from cosmos_policy_core.model.untrained import random_policy

    try:
        device = torch.empty(0, device=options.device).device
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise ConfigurationError(f"--device {options.device}: not usable here ({first}). Use cpu, or cuda.") from None
    dtype = getattr(torch, options.dtype) if options.dtype else None
    if options.checkpoint is None and options.size == "2b":
        default = torch.float32 if device.type == "cpu" else torch.bfloat16
        return random_policy(PolicyConfig(), Embodiment.load("aloha"), "fold shirt", device, dtype or default)
    return CosmosPolicy.from_pretrained(options.checkpoint or "nano_transfer_cube", device, dtype)


def _model(options: Model, policy: CosmosPolicy) -> dict[str, Any]:
    from cosmos_policy_core.evaluation.model_bench import bench_model

    console = Console(stderr=True)
    with console.status("") as status:
        result = bench_model(
            policy,
            _observation(policy),
            batches=options.batches,
            stages=options.stages,
            runs=options.runs,
            warm_up=options.warm_up,
            announce=lambda name: status.update(f"timing {name}"),
        )
    how = " ".join(word for word in ("fused", "graphs") if getattr(options, word)) or "plain"
    table = Table(
        *("stage", "median [ms]", "p99 [ms]", "TFLOP/s", "of ceiling"),
        title=f"{policy.identity}, {result.dtype}, {how}, on {result.device}",
    )
    for stage in result.stages:
        rate = [f"{stage.tflops:.3g}", f"{stage.tflops / result.ceiling_tflops:.0%}"] if stage.calls else ["", ""]
        table.add_row(stage.name, f"{stage.timing.median_s * 1e3:.1f}", f"{stage.timing.p99_s * 1e3:.1f}", *rate)
    console.print(table)
    console.print(
        f"ceiling, a large matrix product: {result.ceiling_tflops:.3g} TFLOP/s; peak memory "
        f"{result.peak_memory_gb:.2f} GB; {options.runs} runs"
        + (f"; not timed: {', '.join(result.left_out)}" if result.left_out else "")
    )
    return result.as_dict() | {"fused": options.fused, "graphs": options.graphs}


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
    serial = None
    if options.one_by_one:
        runs = max(2, options.runs // 2)
        serial = measure(lambda: decide_serially(planner, observation, 0), policy.device, runs, warm_up=0)
    speedup = None if serial is None else serial.median_s / batched.median_s
    times = {name: [plan.stages[name] for plan in plans] for name in plans[0].stages}
    stages = {name: float(np.median(seconds)) for name, seconds in times.items()}
    tails = {name: float(np.quantile(seconds, 0.99)) for name, seconds in times.items()}
    text_tokens = policy.encode(observation).text.keys_values[0][0].shape[2]
    per_call = forward_flops(policy.config, text_tokens=text_tokens)
    rate = plans[0].network_calls * per_call / batched.median_s / 1e12
    ceiling = matmul_ceiling(policy.device, policy.network.dtype)
    machine = describe_machine(policy.device)
    title = f"{options.preset}: best of {options.candidates} x {options.futures} x {options.values} on {machine}"
    table = Table("stage", "median [ms]", "p99 [ms]", title=title)
    for name in stages:
        table.add_row(name, f"{stages[name] * 1e3:.1f}", f"{tails[name] * 1e3:.1f}")
    console = Console(stderr=True)
    console.print(table)
    alone = "" if serial is None else f"; one by one {serial.median_s:.3f} s: {speedup:.1f} times as long"
    console.print(f"plan {batched.median_s:.3f} s median, {batched.p99_s:.3f} s p99{alone}")
    console.print(
        f"{plans[0].network_calls} network evaluations, {rate / ceiling:.0%} of a large matrix product's rate; "
        f"{plans[0].spent} values predicted, {plans[0].saved} left out"
    )
    return {
        "size": policy.config.size,
        "device": machine,
        "preset": options.preset,
        "candidates": options.candidates,
        "ensemble": [options.futures, options.values],
        "median_s": batched.median_s,
        "p99_s": batched.p99_s,
        "speedup_over_serial": speedup,
        "stages": stages,
        "stages_p99": tails,
        "network_calls": plans[0].network_calls,
        "values_spent": plans[0].spent,
        "values_saved": plans[0].saved,
        "tflops": rate,
        "ceiling_tflops": ceiling,
        "flop_share": rate / ceiling,
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
