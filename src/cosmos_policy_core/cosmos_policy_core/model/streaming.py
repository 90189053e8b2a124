"""Write safetensors files tensor by tensor: a file larger than memory needs the memory of its largest tensor."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from cosmos_policy_core.errors import CheckpointError

_CODES = {torch.bfloat16: "BF16", torch.float32: "F32"}
DTYPES = tuple(_CODES)
"""Of weights; float16 has too small a range for these networks."""

Progress = Callable[[int], None]


def all_finite(tensor: Tensor) -> bool:
    """Whether a floating tensor holds neither NaN nor infinity; in one pass, which counts at 2B."""
    return tensor.numel() == 0 or all(bool(torch.isfinite(end)) for end in torch.aminmax(tensor))


def stream_tensors(
    tensors: Mapping[str, Tensor], path: Path, progress: Progress | None = None, *, finite: bool = True
) -> None:
    """Write a safetensors file, whole or not at all; views, shared and expanded tensors become tensors of their own.

    Args:
        tensors: bfloat16 or float32, on any device; read one after another.
        progress: told the bytes of every tensor written.
        finite: refuse NaN and infinity.

    Raises:
        CheckpointError: a tensor holds NaN or infinity.
    """
    entries, end = {}, 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        entries[name] = {"dtype": _CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            for name, tensor in tensors.items():
                own = tensor.detach().cpu().contiguous()
                if finite and not all_finite(own):
                    raise CheckpointError(f"{name} holds NaN or infinity. The file is damaged; download it again.")
                file.write(own.reshape(-1).view(torch.uint8).numpy().data)
                if progress is not None:
                    progress(own.numel() * own.element_size())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
