"""Arrays and labels of an HDF5 file, read strictly: what is missing or of the wrong type is named, never guessed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
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
    if not isinstance(group[name], h5py.Dataset):
        raise EpisodeError(f"{where}: '{name}' is a group, not a dataset of numbers. Convert the file again.")
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
    value = _attribute(group, "success_score", where, float(success))
    if isinstance(value, str | bool):
        raise EpisodeError(f"{where}: attribute 'success_score' is {value!r}, not a number. Label the episode again.")
    return float(value)


def integer(group: h5py.Group, name: str, where: object, default: int) -> int:
    """Read a whole-number attribute; a missing one is `default`."""
    value = _attribute(group, name, where, default)
    if isinstance(value, str | bool) or not float(value).is_integer():
        raise EpisodeError(f"{where}: attribute '{name}' is {value!r}, not a whole number. Correct or delete it.")
    return int(value)


def text(group: h5py.Group, name: str, where: object) -> str:
    """Read a text attribute; a missing one is empty."""
    value = _attribute(group, name, where, "")
    if not isinstance(value, str):
        raise EpisodeError(f"{where}: attribute '{name}' is {value!r}, not text. Write the instruction into it.")
    return value


def others(group: h5py.Group, known: Collection[str], where: object) -> dict[str, Attribute]:
    """Read all attributes but the known ones."""
    return {name: _attribute(group, name, where, "") for name in group.attrs if name not in known}


def plain(value: Any, where: object) -> Attribute:
    """Make a stored value a plain Python one; `where` names it in the error about text that is not UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise EpisodeError(f"{where} is {bytes(value)!r}, not text in UTF-8. Write it again.") from None
    item = value.item() if isinstance(value, np.generic) else value
    return item if isinstance(item, str | bool | int | float) else str(item)


def _attribute(group: h5py.Group, name: str, where: object, default: Attribute) -> Attribute:
    return plain(group.attrs.get(name, default), f"{where}: attribute '{name}'")
