"""Faster on an accelerator, the same answer: applied from outside, so that the network stays readable.

At batch 1 a block of the 2B network is some sixty small kernels, which a CPU launches no faster than a GPU runs them.
`compile_blocks` fuses the small ones between the matrix products, `join_projections` makes those fewer and larger, and
`GraphedNetwork` launches all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from cosmos_policy_core.model.denoise import Network
from cosmos_policy_core.model.transformer import DiffusionTransformer, TextContext

ATTENTION = (
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
)
"""Fastest first on Hopper; one that can't do a call (such as added scores) is passed over."""

Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], object], Tensor]]
"""Records a computation: returns what repeats it, and the tensor that holds the result after each repetition."""


def attention(device: torch.device) -> AbstractContextManager[object]:
    """Choose the attention kernels of a device for what runs inside; a CPU has one."""
    if device.type != "cuda":
        return nullcontext()
    return sdpa_kernel(list(ATTENTION), set_priority=True)


def compile_blocks(network: DiffusionTransformer, backend: str = "inductor") -> None:
    """Compile every block on first use, in place; names of tensors stay as they are.

    Blocks share their code, so they are compiled once: seconds instead of the minutes that the whole network takes.
    Another batch size compiles once more, for all sizes.
    """
    for block in network.blocks:
        block.compile(backend=backend, fullgraph=True)


def join_projections(network: DiffusionTransformer) -> None:
    """Let every self-attention project with one matrix product instead of three, in place."""
    for block in network.blocks:
        block.self_attn.join()


def record_cuda(run: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
    """Record a computation as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # compilation and the libraries' own set-up must not be recorded
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()
    return graph.replay, result


@dataclass
class _Recording:
    """One recorded shape: where its inputs are written, what repeats it, where its result stands."""

    inputs: tuple[Tensor, ...]
    text: TextContext
    source: TextContext
    replay: Callable[[], object]
    result: Tensor

    def say(self, text: TextContext) -> None:
        """Make another instruction the recorded one."""
        if _same(text, self.source):
            return
        for mine, given in zip(_tensors(self.text), _tensors(text), strict=True):
            mine.copy_(given)
        self.source = text  # kept alive, so that no other instruction can take its place in memory


class GraphedNetwork:
    """A network whose small batches are recorded once per shape and then repeated.

    Not for training. Weights must stay where they are.

    Args:
        largest_batch: batches above run as they are: there the device is the slower one.
        record: how a computation is recorded.
    """

    def __init__(self, network: DiffusionTransformer, largest_batch: int = 2, record: Capture = record_cuda) -> None:
        self.network, self.largest_batch, self._record = network, largest_batch, record
        self._recordings: dict[tuple[object, ...], _Recording] = {}

    @property
    def dtype(self) -> torch.dtype:
        return self.network.dtype

    def __call__(
        self,
        x: Tensor,
        times: Tensor,
        text: TextContext | Tensor,
        condition_mask: Tensor,
        padding_mask: Tensor | None = None,
        *,
        which: Tensor | None = None,
    ) -> Tensor:
        """Run the network; arguments as `DiffusionTransformer.forward`."""
        if isinstance(text, Tensor) or len(x) > self.largest_batch or padding_mask is not None or which is None:
            return self.network(x, times, text, condition_mask, padding_mask, which=which)
        inputs = (x, times, condition_mask, which)
        key = (*(tensor.shape for tensor in inputs), text.keys_values[0][0].shape, text.scores is None)
        recording = self._recordings.get(key)
        if recording is None:
            recording = self._recordings[key] = self._recorded(inputs, text)
        for mine, given in zip(recording.inputs, inputs, strict=True):
            mine.copy_(given)
        recording.say(text)
        recording.replay()
        return recording.result.clone()

    def _recorded(self, inputs: tuple[Tensor, ...], text: TextContext) -> _Recording:
        x, times, mask, which = own = tuple(tensor.clone() for tensor in inputs)
        pairs = tuple((keys.clone(), values.clone()) for keys, values in text.keys_values)
        context = TextContext(pairs, None if text.scores is None else text.scores.clone())
        replay, result = self._record(lambda: self.network(x, times, context, mask, which=which))
        return _Recording(own, context, text, replay, result)


def accelerated(
    network: DiffusionTransformer, *, fused: bool = False, graphs: bool = False, backend: str = "inductor"
) -> Network:
    """Prepare a network for fast sampling.

    Args:
        fused: join its projections and compile its blocks.
        graphs: repeat recorded launches; on a CUDA device only.
    """
    if fused:
        join_projections(network)
        compile_blocks(network, backend)
    return GraphedNetwork(network) if graphs and network.device.type == "cuda" else network


def _tensors(text: TextContext) -> list[Tensor]:
    tensors = [tensor for pair in text.keys_values for tensor in pair]
    return tensors if text.scores is None else [*tensors, text.scores]


def _same(one: TextContext, other: TextContext) -> bool:
    """Whether two contexts are views of the same memory: what sampling hands on is expanded anew for every call."""
    first, second = one.keys_values[0][0], other.keys_values[0][0]
    return first.data_ptr() == second.data_ptr() and first.shape == second.shape and first.stride() == second.stride()
