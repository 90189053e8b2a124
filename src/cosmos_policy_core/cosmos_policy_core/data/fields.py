"""Arrays and labels of an HDF5 file, read strictly: what is missing or of the wrong type is named, never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data.episode import Attribute
from cosmos_policy_core.errors import EpisodeError


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an episode file for reading.

    Raises:
        EpisodeError: when it does not exist, is not HDF5, or breaks while it is read.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise EpisodeError(f"{path}: no such file. Check the path.") from None
    except (OSError, KeyError) as error:
        raise EpisodeError(f"{path}: is not a readable episode ({error}). Delete it and record it again.") from None


def array(group: h5py.Group, name: str, where: object) -> NDArray[np.float32]:
    """Read a dataset of floating-point numbers as float32."""
    if name not in group:
        raise EpisodeError(f"{where}: has no dataset '{name}'. Record it again or convert it to this layout.")
    data = group[name][()]
    if not np.issubdtype(data.dtype, np.floating):
        raise EpisodeError(f"{where}: '{name}' holds {data.dtype}, not floating-point numbers. Convert the file again.")
    return np.asarray(data, dtype=np.float32)


def flag(group: h5py.Group, name: str, where: object) -> bool:
    """Read a true-or-false attribute; bool("False") is True, so text never passes."""
    value = group.attrs.get(name)
    if not isinstance(value, bool | np.bool_):
        raise EpisodeError(f"{where}: attribute '{name}' is {value!r}, not true or false. Label the episode again.")
    return bool(value)


def score(group: h5py.Group, success: bool, where: object) -> float:
    """Read `success_score`; a file without one has 1 for a success and 0 for a failure."""
    value = plain(group.attrs.get("success_score", float(success)))
    if isinstance(value, str | bool):
        raise EpisodeError(f"{where}: attribute 'success_score' is {value!r}, not a number. Label the episode again.")
    return float(value)


def text(group: h5py.Group, name: str, where: object) -> str:
    """Read a text attribute; a missing one is empty."""
    value = plain(group.attrs.get(name, ""))
    if not isinstance(value, str):
        raise EpisodeError(f"{where}: attribute '{name}' is {value!r}, not text. Write the instruction into it.")
    return value


def plain(value: Any) -> Attribute:
    """Make an attribute a plain Python value."""
    if isinstance(value, bytes):
        return value.decode()
    item = value.item() if isinstance(value, np.generic) else value
    return item if isinstance(item, str | bool | int | float) else str(item)
