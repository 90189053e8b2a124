"""ALOHA episodes of other recorders: raw HDF5 with images inside, and preprocessed HDF5 with one film per camera.

Both hold `action` and `observations/{qpos,qvel,effort}`. A raw file has `observations/images/<camera>`, as arrays or as
JPEGs padded with zeros; a preprocessed one names its films in `observations/video_paths/<camera>`. Files without labels
are taken as demonstrations and say so (`Episode.labelled`); the task of those without one is the folder's. Files that
this module writes carry their contract as the attribute `embodiment`, as YAML.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import fields, jpeg
from cosmos_policy_core.data.episode import Episode, check
from cosmos_policy_core.data.frames import ArrayFrames, Frames, PaddedJpegFrames, Source, pictures
from cosmos_policy_core.data.mp4 import Mp4Frames, write_mp4
from cosmos_policy_core.data.provenance import check_contract
from cosmos_policy_core.embodiment import Camera, Embodiment
from cosmos_policy_core.errors import EpisodeError

# What a task folder's name contains -> the instruction the published policy knows.
INSTRUCTIONS = {
    "fold_shirt": "fold shirt",
    "candies_in_bowl": "put candies in bowl",
    "candy_in_bag": "put candy in bag",
    "flatten_shirt": "flatten shirt",
    "brown_chicken_wing_on_plate": "put brown chicken wing on plate",
    "purple_eggplant_on_plate": "put purple eggplant on plate",
}
RAW, FILMS = "observations/images", "observations/video_paths"
LABELS = ("sim", "compress", "task_description", "success", "success_score", "seed", "embodiment")


def read(path: Path, contract: Embodiment, instruction: str | None = None) -> Episode:
    """Read a raw or preprocessed episode; images stay where they are until they are asked for.

    Args:
        instruction: used where neither the file nor its folder says what the task was.

    Raises:
        EpisodeError: naming file and fault.
    """
    with fields.opened(path) as file:
        check_contract(fields.text(file, "embodiment", path), path, contract)
        labelled = "success" in file.attrs
        success = fields.flag(file, "success", path) if labelled else True
        episode = Episode(
            actions=fields.array(file, "action", path),
            proprio=fields.array(file, "observations/qpos", path),
            velocities=fields.array(file, "observations/qvel", path) if "observations/qvel" in file else None,
            efforts=fields.array(file, "observations/effort", path) if "observations/effort" in file else None,
            jpegs={camera.name: Frames(_source(file, path, camera), camera, contract) for camera in contract.cameras},
            instruction=fields.text(file, "task_description", path) or folder_instruction(path, instruction),
            success=success,
            success_score=fields.score(file, success, path),
            seed=fields.integer(file, "seed", path, 0),
            labelled=labelled,
            source=str(path),
            extra=fields.others(file, LABELS, path),
        )
    check(episode, contract)
    return episode


def folder_instruction(path: Path, otherwise: str | None = None) -> str:
    """Tell the instruction from the nearest folder above a file that is named after a published task.

    Raises:
        EpisodeError: when there is none and no other instruction was given.
    """
    for folder in path.resolve().parents:
        for part, instruction in INSTRUCTIONS.items():
            if part in folder.name:
                return instruction
    if otherwise:
        return otherwise
    raise EpisodeError(
        f"{path}: does not say what the task was. Write the attribute 'task_description' into the file, give an "
        f"instruction, or name its folder after one of: {', '.join(INSTRUCTIONS)}."
    )


def _source(file: h5py.File, path: Path, camera: Camera) -> Source:
    if FILMS in file:
        return Mp4Frames(path.parent / _film(file, path, camera))
    name = f"{RAW}/{camera.name}"
    if name not in file:
        raise EpisodeError(f"{path}: has no dataset '{name}'. Record it again with all cameras of the contract.")
    dataset = file[name]
    if dataset.ndim == 2 and dataset.dtype == np.uint8:
        return PaddedJpegFrames(path, name, len(dataset))
    return ArrayFrames(path, name, len(dataset))


def _film(file: h5py.File, path: Path, camera: Camera) -> str:
    name = f"{FILMS}/{camera.name}"
    if name not in file:
        raise EpisodeError(f"{path}: has no '{name}' with the film of the camera. Convert the episode again.")
    film = str(fields.plain(file[name][()], f"{path}: '{name}'"))
    if Path(film).name != film:  # a file that was downloaded must not point out of its folder
        raise EpisodeError(f"{path}: the film '{film}' of {camera.name} is not a plain file name. Convert it again.")
    return film


def write_raw(path: Path, episode: Episode, contract: Embodiment) -> None:
    """Write an episode in the layout of the original ALOHA recorder, images as arrays of camera size.

    Raises:
        EpisodeError: when the episode does not fit the contract.
    """
    check(episode, contract)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with h5py.File(partial, "w") as file:
            _write(file, episode, contract, {})
            for name, frames in episode.jpegs.items():
                _write_images(file, f"{RAW}/{name}", frames, f"{episode.where}: {name}")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_images(file: h5py.File, name: str, frames: Sequence[bytes], where: str) -> None:
    dataset = None
    for step, picture in enumerate(pictures(frames, where)):
        if dataset is None:
            shape = (len(frames), *picture.shape)
            dataset = file.create_dataset(name, shape, dtype=np.uint8, chunks=(1, *picture.shape))
        dataset[step] = picture


def write_preprocessed(folder: Path, index: int | str, episode: Episode, contract: Embodiment) -> Path:
    """Write an episode in the published preprocessed layout: numbers in HDF5, one MP4 per camera beside it.

    The films are lossy. The HDF5 file comes last, so an interrupted run leaves no episode.

    Args:
        folder: by convention `<task>/train` or `<task>/val`; the task's name gives the instruction.

    Returns:
        The HDF5 file.

    Raises:
        EpisodeError: when the episode does not fit the contract.
    """
    check(episode, contract)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"episode_{index}.hdf5"
    films = {camera.name: f"episode_{index}_{camera.name}.mp4" for camera in contract.cameras}
    for name, film in films.items():
        write_mp4(folder / film, _pictures(episode, name), contract.control_rate)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with h5py.File(partial, "w") as file:
            _write(file, episode, contract, films)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _write(file: h5py.File, episode: Episode, contract: Embodiment, films: dict[str, str]) -> None:
    actions = np.asarray(episode.actions, dtype=np.float32)
    file["action"] = actions
    change = np.diff(actions, axis=0)
    file["relative_action"] = np.concatenate([change, change[-1:]]) if len(change) else np.zeros_like(actions)
    zeros = np.zeros_like(episode.proprio, dtype=np.float32)
    for name, array in (("qpos", episode.proprio), ("qvel", episode.velocities), ("effort", episode.efforts)):
        file[f"observations/{name}"] = zeros if array is None else np.asarray(array, dtype=np.float32)
    for camera, film in films.items():
        file[f"{FILMS}/{camera}"] = film.encode()
    for name, value in episode.extra.items():
        file.attrs[name] = value
    file.attrs["sim"] = contract.simulation is not None
    file.attrs["embodiment"] = contract.to_yaml()
    file.attrs["task_description"] = episode.instruction
    file.attrs["success"] = episode.success
    file.attrs["success_score"] = float(episode.success_score)
    file.attrs["seed"] = episode.seed


def _pictures(episode: Episode, camera: str) -> Iterator[NDArray[np.uint8]]:
    for step, data in enumerate(episode.jpegs[camera]):
        yield jpeg.decode(data, f"{episode.where}: {camera}[{step}]")
