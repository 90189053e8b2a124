"""Read PyTorch files and instruction caches without running anything that is inside them.

A pickle is a program. Weight files go through PyTorch's weights-only loader; instruction caches, which are plain
pickles, through an unpickler that knows three harmless names and refuses every other.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosmos_policy_core.errors import CheckpointError

ZIP = b"PK\x03\x04"
PICKLE = b"\x80"
LFS_POINTER = b"version https://git-lfs"


def read_weights(path: Path) -> dict[str, Any]:
    """Read a flat state dict; tensors stay on disk until they are touched, where the file allows it.

    Values that are not tensors (empty states of other libraries) are kept: whether they matter is the caller's.

    Raises:
        CheckpointError: missing, truncated, not a PyTorch file, not a flat dict, or holding more than data.
    """
    with_pages = _starts_with(path) == ZIP
    try:
        # Libraries of the reference leave byte buffers beside the weights; a buffer of bytes does nothing.
        with torch.serialization.safe_globals([io.BytesIO, bytes]):
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=with_pages)
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from None
    except Exception as error:
        raise _damaged(path, error) from None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise CheckpointError(
            f"{path}: holds a {type(state).__name__} where a flat dict of named tensors was expected. "
            "Give a model file of NVIDIA's repositories."
        )
    nested = [name for name, value in state.items() if isinstance(value, dict)]
    if nested:
        raise CheckpointError(
            f"{path}: {nested[0]!r} is a dict inside the dict, so this is a training state, not a model file. "
            "Save the flat dict of `net.*` tensors on its own."
        )
    return state


def read_instructions(path: Path) -> dict[str, Tensor]:
    """Read an instruction cache `*_t5_embeddings.pkl`: a dict from sentence to embedding, as stored.

    Raises:
        CheckpointError: missing, damaged, or holding anything but tensors and strings; nothing of it was run.
    """
    start = _starts_with(path)
    cache: Any
    if start == ZIP:
        cache = read_weights(path)
    else:
        try:
            with path.open("rb") as file:
                cache = _TensorUnpickler(file, path).load()
        except CheckpointError:
            raise
        except Exception as error:
            raise _damaged(path, error) from None
    if not isinstance(cache, dict) or not cache:
        raise CheckpointError(f"{path}: is not a dict of instructions. Give NVIDIA's *_t5_embeddings.pkl.")
    for instruction, embedding in cache.items():
        if not isinstance(instruction, str) or not isinstance(embedding, Tensor):
            raise CheckpointError(
                f"{path}: an entry maps {type(instruction).__name__} to {type(embedding).__name__}; it must map a "
                "sentence to a tensor. Give NVIDIA's *_t5_embeddings.pkl."
            )
    return cache


class _TensorUnpickler(pickle.Unpickler):
    """Admit what pickling a dict of tensors writes, with our own functions in place of PyTorch's."""

    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        admitted: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch.storage", "_load_from_bytes"): self._storage,
            ("collections", "OrderedDict"): OrderedDict,
        }
        try:
            return admitted[module, name]
        except KeyError:
            raise _refused(self._path, f"it asks for {module}.{name}") from None

    def _storage(self, data: bytes) -> torch.TypedStorage:
        """Stand in for PyTorch's function of this name, which would unpickle anything."""
        try:
            storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise _refused(self._path, str(error)) from None
        if not isinstance(storage, torch.TypedStorage):
            raise TypeError(f"a {type(storage).__name__} where a storage belongs")
        return storage


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *ignored: Any) -> Tensor:
    """Lay a tensor over a storage, within its bounds; gradients and hooks are left behind."""
    if not isinstance(storage, torch.TypedStorage) or not _whole([offset, *shape, *stride]):
        raise TypeError("a tensor that is not laid over a storage by whole numbers")
    whole = torch.empty(0, dtype=storage.dtype).set_(storage)
    return whole.as_strided(tuple(shape), tuple(stride), offset)  # refuses what reaches beyond the storage


def _whole(numbers: list[Any]) -> bool:
    return all(type(number) is int and number >= 0 for number in numbers)


def _starts_with(path: Path) -> bytes:
    """Return the file's kind by its first bytes.

    Raises:
        CheckpointError: missing, empty, a pointer to a large file, or no PyTorch file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(LFS_POINTER))
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({error.strerror}). Check the path.") from None
    if start.startswith(LFS_POINTER):
        raise CheckpointError(
            f"{path}: is a Git LFS pointer, not the file itself. Run `git lfs pull` in its repository."
        )
    for kind in (ZIP, PICKLE):
        if start.startswith(kind):
            return kind
    what = "is empty" if not start else "is not a PyTorch file"
    raise CheckpointError(f"{path}: {what}. Download it again and compare its size with the repository's.")


def _refused(path: Path, why: str) -> CheckpointError:
    first = why.splitlines()[0] if why else ""
    for line in why.splitlines():
        if "Unsupported" in line or "GLOBAL" in line:
            first = line.strip()
            break
    return CheckpointError(
        f"{path}: holds more than tensors and strings ({first}), so it was not read further and nothing in it was run. "
        "Take the file from NVIDIA's repository, or don't trust it."
    )


def _damaged(path: Path, error: Exception) -> CheckpointError:
    first = str(error).split(". ")[0].splitlines()
    return CheckpointError(
        f"{path}: truncated or damaged at {path.stat().st_size} bytes ({first[0] if first else type(error).__name__}). "
        "Download it again and compare its size with the repository's."
    )
