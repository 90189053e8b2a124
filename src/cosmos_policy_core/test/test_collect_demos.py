"""Collecting demonstrations: resumable, honest about failures, and never on evaluation seeds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cosmos_policy_core.cli import main
from cosmos_policy_core.commands import collect as command
from cosmos_policy_core.data.collection import Diversity, Recipe, check_seeds
from cosmos_policy_core.data.hdf5 import episode_paths, read_episode
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError


def collect(out: Path, episodes: int, *options: str) -> int:
    return main(["collect-demos", "--out", str(out), "--episodes", str(episodes), "--workers", "1", "--json", *options])


def test_an_interrupted_collection_is_continued_by_the_same_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("aloha_sim")
    contract = Embodiment.load("aloha_sim")
    assert collect(tmp_path, 1) == 0
    first = episode_paths(tmp_path)[0].read_bytes()
    capsys.readouterr()
    # The second episode is too short to succeed: it is kept, but marked, and does not enter the statistics.
    assert collect(tmp_path, 2, "--steps", "10") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (summary["collected"], summary["skipped"]) == (1, 1)
    assert (summary["successes"], summary["failures"]) == (1, 1)
    paths = episode_paths(tmp_path)
    assert paths[0].read_bytes() == first
    episodes = [read_episode(path, contract) for path in paths]
    assert [episode.success for episode in episodes] == [True, False]
    assert 90 < len(episodes[0]) < 150 and len(episodes[1]) == 10
    statistics = Statistics.load(tmp_path)
    np.testing.assert_allclose(statistics.actions_max, episodes[0].actions.max(axis=0))


def test_a_folder_of_one_task_is_not_continued_with_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aloha_sim")
    assert collect(tmp_path, 1, "--steps", "10", "--task", "hurried_transfer") == 0
    for task in ("insertion", "transfer_cube"):  # the latter has the same instruction
        assert collect(tmp_path, 2, "--steps", "10", "--task", task) == 2
        assert "(hurried_transfer), not '" in capsys.readouterr().err
    assert len(episode_paths(tmp_path)) == 1


def test_demonstrations_can_be_given_in_other_looks_of_the_same_scene(tmp_path: Path) -> None:
    pytest.importorskip("aloha_sim")
    contract = Embodiment.load("aloha_sim")
    looks = ["--colour-shift", "0.5", "--light-shift", "0.3", "--camera-shift", "0.01"]
    assert collect(tmp_path / "own", 1, "--steps", "3") == 0
    assert collect(tmp_path / "other", 1, "--steps", "3", *looks) == 0
    own, other = (read_episode(episode_paths(tmp_path / name)[0], contract) for name in ("own", "other"))
    np.testing.assert_allclose(own.proprio[0], other.proprio[0])
    for camera in contract.camera_names:
        difference = np.abs(own.image(camera, 0).astype(float) - other.image(camera, 0).astype(float))
        assert difference.mean() > 2.0
    assert json.loads(other.extra["domain"]) == {"colour_shift": 0.5, "light_shift": 0.3, "camera_shift": 0.01}
    assert "domain" not in own.extra


def test_the_expert_takes_over_from_where_a_policy_got(tmp_path: Path) -> None:
    pytest.importorskip("aloha_sim")
    contract = Embodiment.load("aloha_sim")
    options = ["--task", "candies_in_bowl", "--steps", "3", "--seed", "10000"]
    led = ["--takeover", "nano_candies_in_bowl", "--takeover-chunks", "1", "1"]
    assert collect(tmp_path / "own", 1, *options) == 0
    assert collect(tmp_path / "led", 1, *options, *led) == 0
    own, other = (read_episode(episode_paths(tmp_path / name)[0], contract) for name in ("own", "led"))
    assert other.extra["takeover_step"] == contract.executed_steps
    assert str(other.extra["takeover_from"]).startswith("nano_candies_in_bowl@") and "takeover_from" not in own.extra
    assert np.abs(other.proprio[0] - own.proprio[0]).max() > 0.3, "the policy has moved the arms"
    assert np.abs(other.actions[0] - other.proprio[0])[:6].max() < 0.2, "and the expert goes on from there"
    assert len(own) == len(other) == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--takeover", "nano_transfer_cube"], "--takeover: the expert of transfer_cube begins at the start pose only"),
        (["--takeover-chunks", "3", "1"], "--takeover-chunks: give the fewest and the most chunks"),
    ],
)
def test_a_takeover_that_cannot_be_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    pytest.importorskip("aloha_sim")
    assert collect(tmp_path, 1, *options) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_looks_that_cannot_be_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aloha_sim")
    assert collect(tmp_path, 1, "--colour-shift", "3") == 2
    assert "colour_shift: 3.0 is not within 0 to 1" in capsys.readouterr().err


def test_a_recipe_depends_on_its_seed_alone() -> None:
    recipes = [Recipe.draw(seed, Diversity()) for seed in range(200)]
    assert recipes == [Recipe.draw(seed, Diversity()) for seed in range(200)]
    assert 0.35 < np.mean([recipe.noise > 0 for recipe in recipes]) < 0.65
    assert 0.15 < np.mean([recipe.edge for recipe in recipes]) < 0.35
    assert all(recipe.grasp_shift == (0.0, 0.0) for recipe in recipes)


@pytest.mark.parametrize("seeds", [range(4990, 5001), range(7000, 7001), range(100, 20000)])
def test_evaluation_seeds_are_refused(seeds: range) -> None:
    with pytest.raises(ConfigurationError, match=r"reaches into the evaluation seeds 5000..9999. Use seeds below 5000"):
        check_seeds(seeds)


@pytest.mark.parametrize("seeds", [range(5000), range(10000, 10100)])
def test_other_seeds_are_free(seeds: range) -> None:
    check_seeds(seeds)


def test_a_real_robot_cannot_be_asked_for_scripted_demonstrations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect(tmp_path, 1, "--embodiment", "aloha") == 2
    assert "simulation: is missing" in capsys.readouterr().err


def test_a_process_that_dies_is_reported_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command._Worker, "start", print)
    monkeypatch.setattr(command._Worker, "run", os._exit)
    assert collect(tmp_path, 1) == 2
    assert "was killed or crashed. Run the same command again: finished seeds are skipped" in capsys.readouterr().err


def test_a_misspelt_command_gets_a_hint_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["colect-demos"]) == 2
    assert capsys.readouterr().err == "cosmos-policy: 'colect-demos' is not a command. Did you mean 'collect-demos'?\n"
