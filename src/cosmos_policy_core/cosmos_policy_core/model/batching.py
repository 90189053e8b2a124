"""How many samples go through the network at once: a limit that is found, not guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

ACTIVATIONS_PER_TOKEN = 24
"""Live numbers per token and channel at the peak of a block: residual, q, k, v, rotary copies in float32, MLP."""


ENOUGH_TOKENS = 18_000
"""That keep any device busy: eight samples of the 2B network. More at once takes memory and saves no time."""


class BatchLimit:
    """Split batches for the network, and halve them when the device runs out of memory.

    The limit only ever falls: what did not fit once is not tried again.
    """

    def __init__(self, samples: int) -> None:
        self.samples = max(1, samples)

    def run(self, part: Callable[[slice], Tensor], total: int) -> Tensor:
        """Call `part` on consecutive slices of about equal size that cover range(total).

        Returns:
            The parts' results, concatenated.

        Raises:
            torch.cuda.OutOfMemoryError: a single sample does not fit.
        """
        done: list[Tensor] = []
        start = 0
        while start < total:
            calls = -(-(total - start) // self.samples)
            stop = start + -(-(total - start) // calls)
            try:
                done.append(part(slice(start, stop)))
                start = stop
                continue
            except torch.cuda.OutOfMemoryError:
                if stop - start == 1:
                    raise
            # Outside of the handler: the exception would keep the tensors of the failed call alive.
            self.samples = (stop - start) // 2
            torch.cuda.empty_cache()
        return done[0] if len(done) == 1 else torch.cat(done)


def samples_in_memory(tokens: int, channels: int, bytes_per_number: int, share: float = 0.5) -> int | None:
    """Samples whose activations fit into a share of the free main memory; None where the system does not say.

    A machine without an accelerator starts to swap long before an allocation fails, so trying is no option there.
    """
    available = available_memory()
    if available is None:
        return None
    return max(1, int(share * available / (tokens * channels * bytes_per_number * ACTIVATIONS_PER_TOKEN)))


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Free main memory in bytes, None where unknown."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
