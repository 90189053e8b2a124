"""`torchrun -m cosmos_policy_core.training CONFIG ...`: train on one GPU, on many, or on this laptop."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
import yaml

from cosmos_policy_core.data.episode import unlabelled_sentence
from cosmos_policy_core.data.seeds import evaluation_sentence
from cosmos_policy_core.errors import CosmosPolicyError
from cosmos_policy_core.training.assembly import Assembled, Paths, assemble_run
from cosmos_policy_core.training.parallel import Group, joined
from cosmos_policy_core.training.run_config import RunConfig, load
from cosmos_policy_core.training.spread_trainer import SpreadTrainer

USER_ERROR = 2


@dataclass(frozen=True)
class Options:
    """Fine-tune a checkpoint with the published recipe. Run the same command again and it continues where it was.

    Example:
        torchrun --nproc-per-node 8 -m cosmos_policy_core.training aloha --from checkpoints/base --data aloha/train
            --out runs/aloha

        python -m cosmos_policy_core.training nano --from nano_transfer_cube --data demos --out runs/nano
    """

    config: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CONFIG")]
    """libero, robocasa, aloha, aloha_planning, aloha_planning_noise, aloha_planning_q, aloha_planning_q_noise, nano; or
    a YAML file."""
    start: Annotated[str, tyro.conf.arg(name="from")]
    """Checkpoint to start from: a folder, the name of a shipped one, or a hub id."""
    data: tuple[Path, ...]
    """Folders of demonstrations; failed episodes among them count as rollouts."""
    out: Path
    """Folder of the run, which becomes the checkpoint."""
    rollouts: tuple[Path, ...] = ()
    """Folders of rollouts of any outcome."""
    set: tuple[str, ...] = ()
    """Changes of the configuration, such as batch.per_process=4 steps=1000."""
    threads: int = 0
    """CPU threads per process; 0: the library's default."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> None:
    """Train and export."""
    if options.threads:
        torch.set_num_threads(options.threads)
    config = load(options.config, options.set)
    paths = Paths(options.start, options.data, options.rollouts, options.out)
    with joined(config.compute.device) as group:
        assembled = assemble_run(config, paths)
        if group.leads:
            options.out.mkdir(parents=True, exist_ok=True)
            _announce(config, options, group, assembled)
        group.wait()
        SpreadTrainer(config, assembled, group, options.out).run()


def _announce(config: RunConfig, options: Options, group: Group, assembled: Assembled) -> None:
    """Say what is missing, and write down the configuration as it runs."""
    left_out = assembled.left_out
    for sentence in left_out:
        print(f"left out: {sentence}", flush=True)
    for kind in assembled.whole:
        print(f"no {kind} are held out for validation: no task has two of them", flush=True)
    if assembled.unlabelled:
        print(unlabelled_sentence(assembled.unlabelled), flush=True)
    if sentence := evaluation_sentence(assembled.seeds):
        print(sentence, flush=True)
    if assembled.partial and not config.sampling.absolute_scale:
        print(
            f"{assembled.partial} rollouts with a score between 0 and 1 get the values of full successes, as "
            "published. Use --set sampling.absolute_scale=true to keep their scale.",
            flush=True,
        )
    print(
        f"processes: {group.size} on {group.device.type}; batches of {config.batch.size}, each process "
        f"{config.accumulation(group.size)} x {config.batch.per_process}; episodes left out: {len(left_out)}",
        flush=True,
    )
    (options.out / "run.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


if __name__ == "__main__":
    try:
        tyro.cli(main, prog="cosmos_policy_core.training")
    except CosmosPolicyError as error:
        print(f"cosmos_policy_core.training: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
