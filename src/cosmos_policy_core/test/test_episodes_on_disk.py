"""Episodes as files: what is written is read back, and what is damaged is refused by name."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from episodes import make_episode

from cosmos_policy_core.data.hdf5 import episode_paths, read_episode, write_episode
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError


@pytest.fixture(scope="module")
def contract() -> Embodiment:
    return Embodiment.load("aloha_sim")


@pytest.fixture
def stored(contract: Embodiment, tmp_path: Path) -> Path:
    path = tmp_path / "episode_000000.hdf5"
    write_episode(path, make_episode(contract, extra={"noise": 0.5}), contract)
    return path


def test_an_episode_is_read_back_as_it_was_written(contract: Embodiment, stored: Path) -> None:
    written, read = make_episode(contract), read_episode(stored, contract)
    np.testing.assert_array_equal(read.actions, written.actions)
    np.testing.assert_array_equal(read.proprio, written.proprio)
    assert read.success is True and read.success_score == 1.0 and read.seed == 0
    assert read.instruction == written.instruction and read.extra == {"noise": 0.5}
    for name in contract.camera_names:
        assert list(read.jpegs[name]) == written.jpegs[name]
    assert abs(int(read.image("cam_high", 3)[0, 0, 0]) - 83) <= 2


def test_the_file_has_the_published_rollout_layout(stored: Path) -> None:
    with h5py.File(stored) as file:
        assert file["action"].shape == (6, 14)
        assert file["observations/qpos"].dtype == np.float32
        for name in ("primary_images_jpeg", "wrist_left_images_jpeg", "wrist_right_images_jpeg"):
            assert h5py.check_vlen_dtype(file[name].dtype) == np.uint8
        assert bool(file.attrs["sim"]) and file.attrs["success"].dtype == np.bool_
        assert "name: aloha_sim" in file.attrs["embodiment"]


def test_an_episode_can_be_sent_to_another_process(contract: Embodiment, stored: Path) -> None:
    copy = pickle.loads(pickle.dumps(read_episode(stored, contract)))
    assert copy.image("cam_high", 0).shape == (256, 256, 3)


def test_only_the_images_that_are_asked_for_are_decoded(contract: Embodiment, stored: Path) -> None:
    with h5py.File(stored, "a") as file:
        file["primary_images_jpeg"][4] = np.frombuffer(b"no jpeg", dtype=np.uint8)
    episode = read_episode(stored, contract)
    episode.image("cam_high", 3)
    with pytest.raises(EpisodeError, match=r"episode_000000.hdf5: cam_high\[4\]: the JPEG cannot be decoded"):
        episode.image("cam_high", 4)


def test_a_success_label_that_is_text_is_refused(contract: Embodiment, stored: Path) -> None:
    with h5py.File(stored, "a") as file:
        file.attrs["success"] = "False"
    with pytest.raises(
        EpisodeError, match="attribute 'success' is 'False', not true or false. Label the episode again"
    ):
        read_episode(stored, contract)


def test_an_episode_of_another_contract_is_refused(contract: Embodiment, stored: Path) -> None:
    text = contract.to_yaml().replace("constants: orig", "constants: trossen_2024")
    with pytest.raises(EpisodeError, match="recorded under another contract: arms.0..gripper.constants"):
        read_episode(stored, Embodiment.from_yaml(text))


def test_files_without_a_contract_are_accepted_when_everything_fits(contract: Embodiment, stored: Path) -> None:
    with h5py.File(stored, "a") as file:
        del file.attrs["embodiment"], file.attrs["success_score"]
    assert read_episode(stored, contract).success_score == 1.0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.__delitem__("action"), "has no dataset 'action'"),
        (lambda file: file.__delitem__("primary_images_jpeg"), "'primary_images_jpeg' with the images of cam_high"),
        (
            lambda file: file["action"].__setitem__((2, 7), np.nan),
            r"action\[2\] is not finite for follower_right/waist",
        ),
        (lambda file: file.attrs.__setitem__("success_score", 7.0), "success_score 7.0 is outside 0..1"),
        (lambda file: file.attrs.__setitem__("task_description", " "), "task_description is empty"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault(contract: Embodiment, stored: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    with h5py.File(stored, "a") as file:
        damage(file)
    with pytest.raises(EpisodeError, match=message) as caught:
        read_episode(stored, contract)
    assert str(caught.value).startswith(str(stored))


def test_a_truncated_file_is_refused(contract: Embodiment, stored: Path) -> None:
    stored.write_bytes(stored.read_bytes()[:2000])
    with pytest.raises(EpisodeError, match="is not a readable episode"):
        read_episode(stored, contract)


def test_fewer_images_than_actions_are_refused_and_leave_no_file(contract: Embodiment, tmp_path: Path) -> None:
    episode = make_episode(contract)
    jpegs = {name: frames[:-1] if name == "cam_high" else frames for name, frames in episode.jpegs.items()}
    with pytest.raises(EpisodeError, match="5 images of cam_high for 6 steps"):
        write_episode(tmp_path / "episode_000001.hdf5", make_episode(contract, jpegs=jpegs), contract)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_dies_leaves_the_old_file_and_no_half_file(contract: Embodiment, stored: Path) -> None:
    before = stored.read_bytes()
    broken = make_episode(contract, extra={"unstorable": object()})
    with pytest.raises(TypeError):
        write_episode(stored, broken, contract)
    assert stored.read_bytes() == before and list(stored.parent.iterdir()) == [stored]


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="collect-demos --out"):
        episode_paths(tmp_path)
