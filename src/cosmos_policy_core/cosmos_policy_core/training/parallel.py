"""Several processes as one trainer: who takes part, and how the network is spread over them (FSDP2).

The network knows nothing of this. Started without torchrun, the one process is a group of its own and runs the same
code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.model.transformer import DiffusionTransformer


@dataclass(frozen=True)
class Group:
    """The processes of a run, as one of them sees it."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Add up a tensor over all processes."""
        total = values.detach().clone()
        dist.all_reduce(total)
        return total

    def wait(self) -> None:
        """Wait until every process is here."""
        dist.barrier(device_ids=[self.device.index] if self.device.type == "cuda" else None)


@contextmanager
def joined(device: Literal["auto", "cpu", "cuda"] = "auto") -> Iterator[Group]:
    """Join the group that torchrun started, or a group of one; leave it at the end."""
    cuda = torch.cuda.is_available() if device == "auto" else device == "cuda"
    if cuda and not torch.cuda.is_available():
        raise ConfigurationError("compute.device: cuda, and PyTorch finds no GPU. Use auto or cpu.")
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(own)
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"  # checkpoints gather on CPUs
    if "RANK" in os.environ:
        dist.init_process_group(backend)
    else:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield Group(dist.get_rank(), dist.get_world_size(), own)
    finally:
        dist.destroy_process_group()


def spread(
    network: DiffusionTransformer,
    group: Group,
    compute: torch.dtype,
    *,
    shard_size: int | None = None,
    activation_checkpointing: bool = False,
) -> None:
    """Shard a network's weights in place: float32 masters and gradients, computation in `compute`.

    Args:
        network: on the group's device, the same on every process.
        shard_size: processes that share one copy; the copies of several such teams are kept equal.
        activation_checkpointing: recompute every block in the backward pass instead of keeping its activations.

    Raises:
        ConfigurationError: the processes do not divide into such teams.
    """
    blocks = cast(nn.ModuleList, network.blocks)
    if activation_checkpointing:
        for index, block in enumerate(blocks):
            blocks[index] = checkpoint_wrapper(block)
    mesh = _mesh(group, shard_size)
    # Only the whole network's inputs are cast: inside, the rotary tables stay float32, as in the reference.
    inner = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32, cast_forward_inputs=False)
    outer = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32, cast_forward_inputs=True)
    for block in blocks:
        fully_shard(block, mesh=mesh, mp_policy=inner)
    fully_shard(network, mesh=mesh, mp_policy=outer)


def synchronise(network: DiffusionTransformer, gradients: bool) -> None:
    """Say whether the next backward pass exchanges gradients; all but the last part of a batch need not."""
    cast(FSDPModule, network).set_requires_gradient_sync(gradients)


def gather_no_more(network: DiffusionTransformer) -> None:
    """Return to shards what a forward pass without a backward pass left gathered."""
    cast(FSDPModule, network).reshard()


def _mesh(group: Group, shard_size: int | None) -> DeviceMesh:
    shard_size = min(shard_size or group.size, group.size)
    if group.size % shard_size:
        raise ConfigurationError(
            f"compute.shard_size {shard_size}: {group.size} processes don't divide into teams of that size. "
            "Set it to a divisor, or to null for one team."
        )
    if shard_size == group.size:
        return init_device_mesh(group.device.type, (group.size,))
    names = ("replicate", "shard")
    return init_device_mesh(group.device.type, (group.size // shard_size, shard_size), mesh_dim_names=names)
