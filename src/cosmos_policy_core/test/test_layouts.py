"""Episodes of other recorders: every layout gives the same kind of episode, and what is broken is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from foreign_files import picture, small, write_demos, write_raw_aloha, write_rollout

from cosmos_policy_core.data import jpeg, layouts
from cosmos_policy_core.data.aloha import write_preprocessed
from cosmos_policy_core.data.benchmarks import file_instruction
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError
from cosmos_policy_core.model.images import prepare_images
from cosmos_policy_core.training.encoded import read_episodes

LIBERO_VIEWS = ("eye_in_hand_rgb", "agentview_rgb")
ROBOCASA_VIEWS = ("robot0_eye_in_hand_rgb", "robot0_agentview_left_rgb", "robot0_agentview_right_rgb")


@pytest.fixture(scope="module")
def aloha() -> Embodiment:
    return small("aloha")


@pytest.fixture(scope="module")
def libero() -> Embodiment:
    return small("libero")


@pytest.fixture(scope="module")
def robocasa() -> Embodiment:
    return small("robocasa")


def only(path: Path, contract: Embodiment) -> Episode:
    """Read the one episode of a file."""
    (entry,) = layouts.entries(path)
    return entry.read(contract)


@pytest.mark.parametrize("padded", [False, True])
def test_a_raw_aloha_recording_is_a_demonstration_of_its_folder_s_task(
    aloha: Embodiment, tmp_path: Path, padded: bool
) -> None:
    path = write_raw_aloha(tmp_path / "aloha_fold_shirt_15" / "episode_0.hdf5", padded=padded)
    episode = only(path, aloha)
    assert episode.instruction == "fold shirt" and episode.success is True and len(episode) == 5
    assert episode.actions.dtype == episode.proprio.dtype == np.float32
    image = episode.image("cam_right_wrist", 2)
    assert image.shape == (32, 32, 3)
    # Views are numbered as the file lists them; red tells the view, so an exchange with blue would show.
    assert np.abs(image[16, 16].astype(int) - picture(2, view=3)[24, 32]).max() <= (24 if padded else 6)
    assert pickle.loads(pickle.dumps(episode)).jpegs["cam_high"][0] == episode.jpegs["cam_high"][0]


def test_a_stored_array_becomes_the_model_image_of_the_live_camera(aloha: Embodiment, tmp_path: Path) -> None:
    path = write_raw_aloha(tmp_path / "fold_shirt" / "episode_0.hdf5", padded=False)
    stored = prepare_images([only(path, aloha).image("cam_high", 1)], 16, center_crop=False)
    live = prepare_images([picture(1)], 16, resize_before=(32, 32), jpeg_quality=95, center_crop=False)
    np.testing.assert_array_equal(stored, live)


def test_without_compression_in_the_contract_arrays_stay_as_they_are(tmp_path: Path) -> None:
    text = small("aloha").to_yaml().replace("jpeg_quality: 95", "jpeg_quality: null")
    contract = Embodiment.from_yaml(text.replace("resize_before:\n  - 32\n  - 32", "resize_before: null"))
    path = write_raw_aloha(tmp_path / "fold_shirt" / "episode_0.hdf5", padded=False)
    np.testing.assert_array_equal(only(path, contract).image("cam_high", 1), picture(1))


def test_a_preprocessed_episode_is_read_back_from_its_films(aloha: Embodiment, tmp_path: Path) -> None:
    raw = only(write_raw_aloha(tmp_path / "candy_in_bag" / "e.hdf5", 30, padded=False), aloha)
    path = write_preprocessed(tmp_path / "out" / "candy_in_bag" / "train", 7, raw, aloha)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "episode_7.hdf5",
        *(f"episode_7_{camera}.mp4" for camera in ("cam_high", "cam_left_wrist", "cam_right_wrist")),
    ]
    episode = only(path, aloha)
    np.testing.assert_array_equal(episode.actions, raw.actions)
    assert episode.instruction == "put candy in bag"
    for step in (29, 3, 14, 13, 0):  # forwards and backwards over key frames
        found, right = episode.image("cam_high", step).astype(int), raw.image("cam_high", step).astype(int)
        assert np.abs(found - right).mean() < 3.0
    assert len(episode.jpegs["cam_high"][5:9]) == 4
    with h5py.File(path) as file:
        np.testing.assert_allclose(file["relative_action"][:-1], np.diff(raw.actions, axis=0))
        np.testing.assert_array_equal(file["relative_action"][-1], file["relative_action"][-2])


def test_a_film_with_fewer_frames_than_actions_is_refused(aloha: Embodiment, tmp_path: Path) -> None:
    raw = only(write_raw_aloha(tmp_path / "fold_shirt" / "e.hdf5", padded=False), aloha)
    path = write_preprocessed(tmp_path, 0, raw, aloha)
    shorter = Episode(raw.actions[:3], raw.proprio[:3], {name: frames[:3] for name, frames in raw.jpegs.items()},
                      "x", True, 1.0)  # fmt: skip
    other = write_preprocessed(tmp_path, 1, shorter, aloha)
    other.with_name("episode_1_cam_high.mp4").replace(path.with_name("episode_0_cam_high.mp4"))
    with pytest.raises(EpisodeError, match="3 images of cam_high for 5 steps"):
        only(path, aloha)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda film: film.write_bytes(film.read_bytes()[:200]), "episode_0_cam_high.mp4: is not a readable film"),
        (lambda film: film.unlink(), "episode_0_cam_high.mp4: is not a readable film"),
    ],
)
def test_a_film_that_is_missing_or_cut_off_is_named(aloha: Embodiment, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    raw = only(write_raw_aloha(tmp_path / "fold_shirt" / "e.hdf5", padded=False), aloha)
    path = write_preprocessed(tmp_path, 0, raw, aloha)
    damage(path.with_name("episode_0_cam_high.mp4"))
    with pytest.raises(EpisodeError, match=message):
        only(path, aloha)


def test_a_film_outside_the_folder_is_refused(aloha: Embodiment, tmp_path: Path) -> None:
    raw = only(write_raw_aloha(tmp_path / "fold_shirt" / "e.hdf5", padded=False), aloha)
    path = write_preprocessed(tmp_path, 0, raw, aloha)
    with h5py.File(path, "a") as file:
        del file["observations/video_paths/cam_high"]
        file["observations/video_paths/cam_high"] = b"../secret.mp4"
    with pytest.raises(EpisodeError, match="is not a plain file name"):
        only(path, aloha)


def test_a_raw_recording_of_an_unknown_task_asks_for_the_instruction(aloha: Embodiment, tmp_path: Path) -> None:
    path = write_raw_aloha(tmp_path / "juggling" / "episode_0.hdf5", padded=False)
    with pytest.raises(EpisodeError, match="does not say what the task was.*fold_shirt"):
        only(path, aloha)
    assert layouts.entries(path)[0].read(aloha, "juggle").instruction == "juggle"
    labelled = write_raw_aloha(path, padded=False, task_description="catch", success=False, success_score=0.25)
    episode = only(labelled, aloha)
    assert (episode.instruction, episode.success, episode.success_score) == ("catch", False, 0.25)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_libero_file_holds_many_demonstrations_of_one_task(
    libero: Embodiment, tmp_path: Path, compressed: bool
) -> None:
    path = tmp_path / "KITCHEN_SCENE3_turn_on_the_stove_demo.hdf5"
    write_demos(path, LIBERO_VIEWS, 7, compressed=compressed, count=11)
    found = layouts.entries(path)
    assert [entry.inside for entry in found[-2:]] == ["demo_9", "demo_10"]
    episode = found[1].read(libero)
    assert episode.instruction == "turn on the stove" and len(episode) == 5 and episode.success is True
    assert episode.source.endswith("_demo.hdf5: data/demo_1")
    assert np.abs(episode.image("agentview_image", 3).astype(int) - picture(3, 1, 32, 32)).mean() < 3


def test_a_libero_file_name_gives_the_instruction_with_or_without_a_scene() -> None:
    assert file_instruction(Path("pick_up_the_bowl_demo.hdf5")) == "pick up the bowl"
    assert file_instruction(Path("LIVING_ROOM_SCENE5_put_it_down_demo.hdf5")) == "put it down"
    with pytest.raises(EpisodeError, match="does not end in '_demo.hdf5'"):
        file_instruction(Path("bowl.hdf5"))


@pytest.mark.parametrize("compressed", [False, True])
def test_robocasa_demonstrations_lose_the_numbers_of_the_mobile_base(
    robocasa: Embodiment, tmp_path: Path, compressed: bool
) -> None:
    path = write_demos(tmp_path / "OpenDrawer.hdf5", ROBOCASA_VIEWS, 12, compressed=compressed, instruction="open it")
    episode = layouts.entries(path)[0].read(robocasa)
    assert episode.actions.shape == (4, 7) and episode.proprio.shape == (4, 9) and episode.instruction == "open it"
    assert set(episode.jpegs) == set(robocasa.camera_names)
    assert abs(int(episode.image("robot0_agentview_right_image", 0)[0, 0, 0]) - 140) < 6


@pytest.mark.parametrize(("name", "cameras"), [("libero", 2), ("robocasa", 3)])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_rollout_of_a_benchmark_carries_its_outcome(
    name: str, cameras: int, compressed: bool, tmp_path: Path
) -> None:
    path = write_rollout(tmp_path / "episode_0.hdf5", cameras, compressed=compressed, success=False)
    episode = only(path, small(name))
    assert (episode.success, episode.success_score, episode.instruction) == (False, 0.0, "open the drawer")
    assert episode.actions.shape == (4, 7)


def test_images_are_decoded_only_when_asked_for(libero: Embodiment, tmp_path: Path) -> None:
    path = write_rollout(tmp_path / "episode_0.hdf5", 2, compressed=True)
    with h5py.File(path, "a") as file:
        file["primary_images_jpeg"][2] = np.frombuffer(b"no jpeg", dtype=np.uint8)
    episode = only(path, libero)
    assert jpeg.size(episode.jpegs["agentview_image"][1]) == (32, 32)
    with pytest.raises(EpisodeError, match=r"agentview_image\[2\]: the JPEG cannot be decoded"):
        episode.image("agentview_image", 2)


def test_images_of_another_size_than_the_contract_s_are_refused(libero: Embodiment, tmp_path: Path) -> None:
    path = write_demos(tmp_path / "lift_demo.hdf5", LIBERO_VIEWS, 7, compressed=False)
    with pytest.raises(EpisodeError, match="the image is 32x32, not 256x256"):
        layouts.entries(path)[0].read(Embodiment.load("libero"))


def make_actions_a_group(file: h5py.File) -> None:
    del file["actions"]
    file.create_group("actions/arms")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.attrs.__setitem__("success", "False"), "attribute 'success' is 'False', not true or false"),
        (lambda file: file["actions"].__setitem__((1, 6), np.nan), r"action\[1\] is not finite for end_effector/grip"),
        (lambda file: file["proprio"].__setitem__((1, 2), np.inf), r"qpos\[1\] is not finite for robot0_eef_pos\[0\]"),
        (lambda file: file.__delitem__("wrist_images_jpeg"), "has no images of robot0_eye_in_hand_image"),
        (lambda file: file.attrs.__delitem__("success"), "attribute 'success' is None, not true or false"),
        (lambda file: file.attrs.__setitem__("seed", "n/a"), "attribute 'seed' is 'n/a', not a whole number"),
        (lambda file: file.attrs.__setitem__("seed", np.nan), "attribute 'seed' is nan, not a whole number"),
        (make_actions_a_group, "'actions' is a group, not a dataset of numbers"),
        (
            lambda file: file.attrs.__setitem__("task_description", np.bytes_(b"\xff\xfe")),
            r"attribute 'task_description' is b'.xff.xfe', not text in UTF-8",
        ),
    ],
)
def test_a_damaged_rollout_is_left_out_by_name_and_the_rest_goes_on(
    libero: Embodiment, tmp_path: Path, damage, message: str
) -> None:  # type: ignore[no-untyped-def]
    write_rollout(tmp_path / "episode_0.hdf5", 2, compressed=True)
    broken = write_rollout(tmp_path / "episode_1.hdf5", 2, compressed=True)
    with h5py.File(broken, "a") as file:
        damage(file)
    episodes, left_out = layouts.read_folder(tmp_path, libero)
    assert len(episodes) == 1 and [item.source for item in left_out] == [str(broken)]
    with pytest.raises(EpisodeError, match=message):
        raise EpisodeError(left_out[0].reason)


def test_a_truncated_file_and_a_foreign_one_are_left_out(libero: Embodiment, tmp_path: Path) -> None:
    write_rollout(tmp_path / "good" / "episode_0.hdf5", 2, compressed=True)
    cut = write_rollout(tmp_path / "cut.hdf5", 2, compressed=True)
    cut.write_bytes(cut.read_bytes()[:1000])
    with h5py.File(tmp_path / "foreign.hdf5", "w") as file:
        file["weather"] = 1
    found, left_out = layouts.scan(tmp_path)
    assert len(found) == 1
    assert "is not a readable episode" in left_out[0].reason and "no known layout" in left_out[1].reason


def test_a_file_of_another_embodiment_says_which_contract_to_use(aloha: Embodiment, tmp_path: Path) -> None:
    path = write_rollout(tmp_path / "episode_0.hdf5", 2, compressed=True)
    with pytest.raises(EpisodeError, match="Use the contract 'libero' or 'robocasa'"):
        only(path, aloha)
    with pytest.raises(EpisodeError, match=r"no readable episode \(1 left out\)"):
        layouts.read_folder(tmp_path, aloha)


def test_only_the_part_that_was_asked_for_is_listed(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_rollout(tmp_path / "task" / part / "episode_0.hdf5", 2, compressed=True)
    assert len(layouts.files(tmp_path)) == 2
    assert [path.parent.name for path in layouts.files(tmp_path, "val")] == ["val"]
    with pytest.raises(EpisodeError, match="holds no .hdf5 file in a folder 'val'"):
        layouts.files(tmp_path / "task" / "train", "val")


def test_training_sets_the_validation_part_of_published_data_aside(libero: Embodiment, tmp_path: Path) -> None:
    for part, count in (("train", 1), ("val", 2)):
        for index in range(count):
            write_rollout(tmp_path / "data" / "task" / part / f"episode_{index}.hdf5", 2, compressed=True)
    write_rollout(tmp_path / "data" / "own" / "episode_0.hdf5", 2, compressed=True)
    episodes, left_out = read_episodes([tmp_path / "data"], libero)
    assert [Path(episode.source).parent.name for episode in episodes] == ["own", "train"]
    assert len(left_out) == 1 and "data: 2 episodes in folders 'val' are set aside" in left_out[0]
    asked_for, nothing = read_episodes([tmp_path / "data" / "task" / "val"], libero)
    assert len(asked_for) == 2 and nothing == []
