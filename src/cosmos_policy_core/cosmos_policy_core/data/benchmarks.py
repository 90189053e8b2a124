"""Episodes of LIBERO and RoboCasa, as their simulators' recorders and the published replays store them.

Demonstrations: one file per task, `data/demo_<i>` with `actions`, `robot_states` and `obs/<view>`. Rollouts: one file
per episode with `actions`, `proprio` and `<role>_images`. Images are arrays, or JPEGs under the same name with `_jpeg`;
they are upright already. Wider actions than the contract's hold the constant numbers of a mobile base, which are cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import fields
from cosmos_policy_core.data.episode import Episode, check
from cosmos_policy_core.data.frames import ArrayFrames, Frames
from cosmos_policy_core.data.hdf5 import StoredJpegs
from cosmos_policy_core.embodiment import Camera, Embodiment
from cosmos_policy_core.errors import EpisodeError

DEMO_SUFFIX = "_demo.hdf5"
# Names under which a demonstration and a rollout file hold the camera of a role.
DEMO_VIEWS = {
    "wrist": ("robot0_eye_in_hand_rgb", "eye_in_hand_rgb"),
    "primary": ("robot0_agentview_left_rgb", "agentview_rgb"),
    "secondary": ("robot0_agentview_right_rgb",),
}
ROLLOUT_VIEWS = {"wrist": ("wrist_images",), "primary": ("primary_images",), "secondary": ("secondary_images",)}


def demo_names(file: h5py.File) -> list[str]:
    """List the demonstrations of a task file in the order of their numbers."""
    names = [name for name in file["data"] if name.startswith("demo_") and name[5:].isdigit()]
    return sorted(names, key=lambda name: int(name[5:]))


def read_demo(path: Path, name: str, contract: Embodiment) -> Episode:
    """Read one demonstration of a task file.

    Raises:
        EpisodeError: naming file, demonstration and fault.
    """
    where = f"{path}: data/{name}"
    with fields.opened(path) as file:
        group = file[f"data/{name}"]
        actions = _actions(group, where, contract)
        views = {role: tuple(f"obs/{view}" for view in names) for role, names in DEMO_VIEWS.items()}
        episode = Episode(
            actions=actions,
            proprio=fields.array(group, "robot_states", where),
            jpegs={camera.name: _frames(group, path, camera, contract, views) for camera in contract.cameras},
            instruction=fields.text(group, "task_description", where) or file_instruction(path),
            success=True,
            success_score=1.0,
            seed=int(name[5:]),
            source=where,
        )
    check(episode, contract)
    return episode


def read_rollout(path: Path, contract: Embodiment) -> Episode:
    """Read a replay or rollout; its `success` attribute is its outcome.

    Raises:
        EpisodeError: naming file and fault.
    """
    with fields.opened(path) as file:
        success = fields.flag(file, "success", path)
        episode = Episode(
            actions=_actions(file, str(path), contract),
            proprio=fields.array(file, "proprio", path),
            jpegs={camera.name: _frames(file, path, camera, contract, ROLLOUT_VIEWS) for camera in contract.cameras},
            instruction=fields.text(file, "task_description", path),
            success=success,
            success_score=fields.score(file, success, path),
            seed=fields.integer(file, "seed", path, 0),
            source=str(path),
        )
    check(episode, contract)
    return episode


def file_instruction(path: Path) -> str:
    """Tell the instruction from a file name: `<SCENE>_put_the_bowl_away_demo.hdf5` -> `put the bowl away`.

    Raises:
        EpisodeError: when the name has another form.
    """
    if not path.name.endswith(DEMO_SUFFIX):
        raise EpisodeError(
            f"{path}: the name does not end in '{DEMO_SUFFIX}', so it does not say the task. "
            "Rename it, or write 'task_description' into every demonstration."
        )
    words = path.name[: -len(DEMO_SUFFIX)].split("_")
    scenes = [index for index, word in enumerate(words) if "SCENE" in word]
    return " ".join(words[scenes[0] + 1 :] if scenes else words)


def _actions(group: h5py.Group, where: str, contract: Embodiment) -> NDArray[np.float32]:
    if contract.body is None:
        raise EpisodeError(f"{where}: belongs to a simulated benchmark, and {contract.source} describes arms. "
                           "Use the contract 'libero' or 'robocasa'.")  # fmt: skip
    actions = fields.array(group, "actions", where)
    widths = (contract.action_dim, contract.action_dim + len(contract.body.appended))
    if actions.ndim != 2 or actions.shape[1] not in widths:
        raise EpisodeError(
            f"{where}: actions has shape {actions.shape}; {contract.source} has {contract.action_dim} numbers per "
            "action. Use the contract it was recorded under."
        )
    return actions[:, : contract.action_dim]


def _frames(
    group: h5py.Group, path: Path, camera: Camera, contract: Embodiment, views: Mapping[str, tuple[str, ...]]
) -> StoredJpegs | Frames:
    inside = group.name.strip("/")
    for name in views.get(camera.role, ()):
        for stored in (f"{name}_jpeg", name):
            if stored in group:
                full, length = f"{inside}/{stored}".lstrip("/"), len(group[stored])
                if h5py.check_vlen_dtype(group[stored].dtype) is not None:
                    return StoredJpegs(path, full, length)
                return Frames(ArrayFrames(path, full, length), camera, contract)
    wanted = " or ".join(f"'{name}[_jpeg]'" for name in views.get(camera.role, ()))
    raise EpisodeError(f"{path}: {inside}: has no images of {camera.name}: {wanted}. Use the contract it was made for.")
