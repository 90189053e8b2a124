"""LeRobot datasets: the files are where and what the format says, and lerobot itself opens them."""

from __future__ import annotations

import builtins
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bag_files import small_contract
from episodes import make_episode
from foreign_files import small, write_demos

from cosmos_policy_core.cli import main
from cosmos_policy_core.data import lerobot
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.lerobot_meta import image_stats, number_stats
from cosmos_policy_core.data.mp4 import Mp4Frames
from cosmos_policy_core.errors import ConfigurationError, EpisodeError

CONTRACT = small_contract(width=64, height=48)
TASKS = ("transfer the cube", "fold the shirt")
LENGTHS = (6, 9)


def episodes() -> list[Episode]:
    return [
        make_episode(CONTRACT, length, seed, instruction=task, success=seed == 0, success_score=1.0 - 0.6 * seed)
        for seed, (length, task) in enumerate(zip(LENGTHS, TASKS, strict=True))
    ]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    out = tmp_path_factory.mktemp("dataset")
    for name, episode in zip("ab", episodes(), strict=True):
        lerobot.stage(out, name, episode, CONTRACT, {})
    assert lerobot.assemble(out, ["b", "a"], CONTRACT) == sum(LENGTHS)
    return out


def table(path: Path) -> dict[str, Any]:
    import pyarrow.parquet

    columns: dict[str, Any] = pyarrow.parquet.read_table(path).to_pydict()
    return columns


def test_without_pyarrow_one_sentence_says_what_to_install(monkeypatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigurationError, match="pip install 'pyarrow"):
        lerobot.require_pyarrow()


def test_numbers_carry_on_over_the_episodes(dataset) -> None:
    first, second = (table(dataset / f"data/chunk-000/file-00{index}.parquet") for index in range(2))
    assert first["index"] + second["index"] == list(range(sum(LENGTHS)))
    assert second["frame_index"] == list(range(LENGTHS[1]))
    assert set(second["episode_index"]) == {1}
    np.testing.assert_allclose(second["timestamp"], np.arange(LENGTHS[1]) / 25, atol=1e-6)
    np.testing.assert_array_equal(np.float32(second["action"]), episodes()[1].actions)
    np.testing.assert_array_equal(np.float32(second["observation.state"]), episodes()[1].proprio)


def test_every_episode_says_where_it_is_what_it_was_and_how_it_ended(dataset) -> None:
    rows = table(dataset / "meta/episodes/chunk-000/file-000.parquet")
    assert rows["length"] == list(LENGTHS)
    assert rows["dataset_from_index"] == [0, LENGTHS[0]]
    assert rows["dataset_to_index"] == [LENGTHS[0], sum(LENGTHS)]
    assert rows["tasks"] == [[task] for task in TASKS]
    assert rows["success"] == [True, False]
    assert rows["success_score"] == [1.0, 0.4]
    assert rows["videos/observation.images.cam_high/file_index"] == [0, 1]
    tasks = table(dataset / "meta/tasks.parquet")
    named = dict(zip(tasks["__index_level_0__"], tasks["task_index"], strict=True))
    for index, task in enumerate(TASKS):
        assert set(table(dataset / f"data/chunk-000/file-00{index}.parquet")["task_index"]) == {named[task]}


def test_films_show_the_images_of_their_steps(dataset) -> None:
    film = Mp4Frames(dataset / "videos/observation.images.cam_high/chunk-000/file-001.mp4")
    assert len(film) == LENGTHS[1]
    for step, picture in enumerate(film.read(range(LENGTHS[1]))):
        assert abs(float(picture.mean()) - (80 + step)) < 2.0


def test_the_description_counts_and_names_everything(dataset) -> None:
    info = json.loads((dataset / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 25, "aloha_sim")
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (2, sum(LENGTHS), 2)
    assert info["features"]["action"]["names"] == list(CONTRACT.action_names)
    assert info["features"]["observation.images.cam_high"]["shape"] == [48, 64, 3]
    stats = json.loads((dataset / "meta/stats.json").read_text())
    assert set(stats) == set(info["features"])
    assert stats["action"]["count"] == [sum(LENGTHS)]


def test_statistics_of_images_are_those_of_their_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    histogram = np.stack([np.bincount(pixels[..., channel].reshape(-1), minlength=256) for channel in range(3)])
    stats, scaled = image_stats(histogram, 4), pixels / 255.0
    for name, expected in (("mean", scaled.mean((0, 1, 2))), ("std", scaled.std((0, 1, 2)))):
        np.testing.assert_allclose(np.ravel(stats[name]), expected)
    np.testing.assert_allclose(np.ravel(stats["q50"]), np.median(scaled, axis=(0, 1, 2)), atol=0.01)
    assert number_stats(np.arange(5))["mean"] == [2.0]


def test_more_episodes_replace_the_dataset_and_are_not_encoded_again(tmp_path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    first, second = episodes()
    lerobot.stage(tmp_path, "a", first, CONTRACT, {})
    lerobot.assemble(tmp_path, ["a"], CONTRACT)
    lerobot.stage(tmp_path, "b", second, CONTRACT, {})
    assert lerobot.assemble(tmp_path, ["a", "b"], CONTRACT) == sum(LENGTHS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".staging", "data", "meta", "videos"]


@pytest.mark.parametrize("step", range(4))
def test_a_dataset_is_the_old_one_the_new_one_or_none_at_any_moment(tmp_path, monkeypatch, step) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    first, second = episodes()
    lerobot.stage(tmp_path, "a", first, CONTRACT, {})
    lerobot.assemble(tmp_path, ["a"], CONTRACT)
    lerobot.stage(tmp_path, "b", second, CONTRACT, {})
    original, left = os.replace, [step]

    def failing(source: Path, target: Path) -> None:
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        left[0] -= 1
        original(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(lerobot.os, "replace", failing)
        with pytest.raises(OSError, match="No space"):
            lerobot.assemble(tmp_path, ["a", "b"], CONTRACT)
    if step == 0:
        assert json.loads((tmp_path / "meta/info.json").read_text())["total_frames"] == LENGTHS[0]
        assert (tmp_path / "data").exists() and (tmp_path / "videos").exists()
    else:
        assert not (tmp_path / "meta").exists()
    assert lerobot.assemble(tmp_path, ["a", "b"], CONTRACT) == sum(LENGTHS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".staging", "data", "meta", "videos"]


def test_when_everything_is_left_out_reasons_are_told_and_the_dataset_is_no_more(tmp_path, capsys) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    contract, source = tmp_path / "libero.yaml", tmp_path / "demos" / "one_demo.hdf5"
    contract.write_text(small("libero").to_yaml())
    write_demos(source, ("eye_in_hand_rgb", "agentview_rgb"), 7, compressed=True)
    words = ["convert", str(source.parent), "--out", str(tmp_path / "out"), "--to", "lerobot", "--workers", "1"]
    words += ["--embodiment", str(contract), "--json"]
    assert main(words) == 0
    with h5py.File(source, "a") as file:
        for demo in file["data"]:
            del file[f"data/{demo}/robot_states"]
    capsys.readouterr()
    assert main(words) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1])["left_out"] == 2
    assert "data/demo_0" in printed.err and "no episode of the dataset is left" in printed.err
    assert not (tmp_path / "out" / "meta").exists()


def test_episodes_of_another_contract_are_not_mixed_in(tmp_path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    other = CONTRACT.model_copy(update={"control_rate": 50.0})
    lerobot.stage(tmp_path, "a", make_episode(CONTRACT, 3), CONTRACT, {})
    lerobot.stage(tmp_path, "b", make_episode(other, 3), other, {})
    with pytest.raises(EpisodeError, match=r"b: was recorded under another contract: control_rate"):
        lerobot.assemble(tmp_path, lerobot.staged_names(tmp_path), CONTRACT)


def test_a_second_folder_is_added_to_the_first_and_a_broken_demonstration_costs_only_itself(tmp_path, capsys) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    contract = tmp_path / "libero.yaml"
    contract.write_text(small("libero").to_yaml())
    for place in ("first", "second"):
        write_demos(tmp_path / place / f"{place}_demo.hdf5", ("eye_in_hand_rgb", "agentview_rgb"), 7, compressed=True)
    with h5py.File(tmp_path / "second" / "second_demo.hdf5", "a") as file:
        del file["data/demo_0/robot_states"]
    words = ["--out", str(tmp_path / "out"), "--to", "lerobot", "--embodiment", str(contract), "--workers", "1"]
    assert main(["convert", str(tmp_path / "first"), *words]) == 0
    assert main(["convert", str(tmp_path / "second"), *words]) == 1
    assert "data/demo_0" in capsys.readouterr().err
    rows = table(tmp_path / "out" / "meta/episodes/chunk-000/file-000.parquet")
    assert rows["source"] == ["first_demo_demo_0", "first_demo_demo_1", "second_demo_demo_1"]


def test_cameras_that_changed_their_size_are_refused(tmp_path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    larger = small_contract(width=80, height=48)
    lerobot.stage(tmp_path, "a", make_episode(CONTRACT, 3), CONTRACT, {})
    lerobot.stage(tmp_path, "b", make_episode(larger, 3), larger, {})
    with pytest.raises(EpisodeError, match="images differ in size"):
        lerobot.assemble(tmp_path, ["a", "b"], CONTRACT)


def test_lerobot_opens_the_dataset(dataset, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="lerobot is not installed")
    opened = datasets.LeRobotDataset("cosmos_policy/test", root=dataset)
    assert (len(opened), opened.num_episodes) == (sum(LENGTHS), 2)
    item, expected = opened[LENGTHS[0] + 4], episodes()[1]
    np.testing.assert_array_equal(item["action"].numpy(), expected.actions[4])
    np.testing.assert_array_equal(item["observation.state"].numpy(), expected.proprio[4])
    assert item["task"] == TASKS[1]
    assert abs(float(item["observation.images.cam_high"].mean()) * 255 - 84) < 2.0
    chunked = datasets.LeRobotDataset("cosmos_policy/test", root=dataset, delta_timestamps={"action": [0.0, 0.04]})
    assert tuple(chunked[0]["action"].shape) == (2, 14)
