"""Episodes as HDF5 files, in the published rollout layout with one JPEG per step and camera.

One file per episode, `episode_000000.hdf5`: variable-length uint8 datasets `primary_images_jpeg`,
`wrist_left_images_jpeg`, `wrist_right_images_jpeg`; `action` and `observations/{qpos,qvel,effort}` as (L, 14) float32;
attributes `sim`, `task_description`, `success`, `success_score`, `seed` and `embodiment`, the contract's YAML.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import h5py
import numpy as np

from cosmos_policy_core.data import fields
from cosmos_policy_core.data.episode import Episode, check
from cosmos_policy_core.data.provenance import check_contract
from cosmos_policy_core.embodiment import Camera, Embodiment
from cosmos_policy_core.errors import EpisodeError

DATASETS = {
    "primary": "primary_images_jpeg",
    "secondary": "secondary_images_jpeg",
    "wrist": "wrist_left_images_jpeg",
    "wrist2": "wrist_right_images_jpeg",
}
FALLBACKS = {"wrist": "wrist_images_jpeg"}  # what recorders with a single wrist camera write
ATTRIBUTES = ("sim", "task_description", "success", "success_score", "seed", "embodiment")


def episode_path(folder: Path, index: int) -> Path:
    """Name the file of an episode."""
    return folder / f"episode_{index:06d}.hdf5"


def episode_paths(folder: Path) -> list[Path]:
    """List the episodes of a folder in order.

    Raises:
        EpisodeError: when the folder is missing or holds none.
    """
    paths = sorted(Path(folder).glob("episode_*.hdf5"))
    if not paths:
        raise EpisodeError(
            f"{folder}: holds no episode_*.hdf5. Collect some with `cosmos-policy collect-demos --out {folder}`."
        )
    return paths


def write_episode(path: Path, episode: Episode, contract: Embodiment) -> None:
    """Write an episode; under its final name there is either a whole file or none.

    Raises:
        EpisodeError: when the episode does not fit the contract.
    """
    check(episode, contract)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with h5py.File(partial, "w") as file:
            _write(file, episode, contract)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write(file: h5py.File, episode: Episode, contract: Embodiment) -> None:
    file["action"] = np.asarray(episode.actions, dtype=np.float32)
    zeros = np.zeros_like(episode.proprio, dtype=np.float32)
    for name, array in (("qpos", episode.proprio), ("qvel", episode.velocities), ("effort", episode.efforts)):
        file[f"observations/{name}"] = zeros if array is None else np.asarray(array, dtype=np.float32)
    for camera in contract.cameras:
        frames = episode.jpegs[camera.name]
        dataset = file.create_dataset(DATASETS[camera.role], (len(frames),), dtype=h5py.vlen_dtype(np.uint8))
        for step, data in enumerate(frames):
            dataset[step] = np.frombuffer(data, dtype=np.uint8)
    for name, value in episode.extra.items():
        file.attrs[name] = value
    file.attrs["sim"] = contract.simulation is not None
    file.attrs["task_description"] = episode.instruction
    file.attrs["success"] = episode.success
    file.attrs["success_score"] = float(episode.success_score)
    file.attrs["seed"] = episode.seed
    file.attrs["embodiment"] = contract.to_yaml()


def read_episode(path: Path, contract: Embodiment) -> Episode:
    """Read an episode; images stay in the file until they are asked for.

    Raises:
        EpisodeError: naming file and fault, when it is damaged or was recorded under another contract.
    """
    path = Path(path)
    with fields.opened(path) as file:
        episode = _read(file, path, contract)
    check(episode, contract)
    return episode


def _read(file: h5py.File, path: Path, contract: Embodiment) -> Episode:
    check_contract(fields.text(file, "embodiment", path), path, contract)
    success = fields.flag(file, "success", path)
    return Episode(
        actions=fields.array(file, "action", path),
        proprio=fields.array(file, "observations/qpos", path),
        velocities=fields.array(file, "observations/qvel", path) if "observations/qvel" in file else None,
        efforts=fields.array(file, "observations/effort", path) if "observations/effort" in file else None,
        jpegs={camera.name: _frames(file, camera, path) for camera in contract.cameras},
        instruction=fields.text(file, "task_description", path),
        success=success,
        success_score=fields.score(file, success, path),
        seed=fields.integer(file, "seed", path, 0),
        source=str(path),
        extra=fields.others(file, ATTRIBUTES, path),
    )


def _frames(file: h5py.File, camera: Camera, path: Path) -> StoredJpegs:
    for name in (DATASETS[camera.role], FALLBACKS.get(camera.role)):
        if name is not None and name in file:
            return StoredJpegs(path, name, len(file[name]))
    raise EpisodeError(
        f"{path}: has no dataset '{DATASETS[camera.role]}' with the images of {camera.name}. Record it again."
    )


class StoredJpegs(Sequence[bytes]):
    """The JPEGs of one camera, fetched from the file one by one; opens the file per access, so it may be pickled."""

    def __init__(self, path: Path, dataset: str, length: int) -> None:
        self._path, self._dataset, self._length = path, dataset, length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Fetch one JPEG, or a slice of them with a single opening of the file."""
        try:
            with h5py.File(self._path, "r") as file:
                dataset = file[self._dataset]
                if isinstance(index, slice):
                    return [dataset[step].tobytes() for step in range(*index.indices(self._length))]
                return bytes(dataset[range(self._length)[index]].tobytes())
        except (OSError, KeyError) as error:
            raise EpisodeError(f"{self._path}: '{self._dataset}' cannot be read ({error}). Record it again.") from None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self[:])
