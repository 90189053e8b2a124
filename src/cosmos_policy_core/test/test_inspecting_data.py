"""`inspect-data` and `statistics`: what a folder holds, what is broken in it, and what it is normalised with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from foreign_files import small, write_demos, write_raw_aloha, write_rollout

from cosmos_policy_core.cli import main
from cosmos_policy_core.data.episode import Episode
from cosmos_policy_core.data.integrity import notes
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("contract") / "libero.yaml"
    path.write_text(small("libero").to_yaml())
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two demonstrations, a failed rollout, and three files with something wrong."""
    write_demos(tmp_path / "lift_it_demo.hdf5", ("eye_in_hand_rgb", "agentview_rgb"), 7, compressed=True)
    write_rollout(tmp_path / "rollouts" / "a.hdf5", 2, compressed=True, success=False, length=20)
    write_rollout(tmp_path / "rollouts" / "b.hdf5", 2, compressed=True, success="False")
    with h5py.File(write_rollout(tmp_path / "rollouts" / "c.hdf5", 2, compressed=True), "a") as file:
        file["primary_images_jpeg"][2] = np.frombuffer(b"no jpeg", dtype=np.uint8)
    cut = write_rollout(tmp_path / "rollouts" / "d.hdf5", 2, compressed=True)
    cut.write_bytes(cut.read_bytes()[:500])
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    lines = captured.out.strip().splitlines()
    return status, json.loads(lines[-1]) if lines else {}, " ".join(captured.err.split())


def test_broken_episodes_are_named_and_counted_and_the_others_go_on(
    contract: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found, printed = run(capsys, "inspect-data", folder, "--embodiment", contract, "--json")
    assert status == 1
    assert (found["sound"], found["broken"], found["successes"], found["failures"]) == (3, 3, 2, 1)
    assert found["steps"] == 4 + 5 + 20 and found["images_checked"] == 2 * found["steps"]
    assert found["shorter_than_a_chunk"] == 2 and found["constant_dimensions"] == {"actions": [], "proprio": []}
    assert found["instructions"] == {"lift it": 2, "open the drawer": 1}
    reasons = {Path(item["source"]).name: item["reason"] for item in found["left_out"]}
    assert "attribute 'success' is 'False'" in reasons["b.hdf5"]
    assert "agentview_image[2]: the JPEG cannot be decoded" in reasons["c.hdf5"]
    assert "is not a readable episode" in reasons["d.hdf5"]
    assert "3 episodes are sound" in printed and "left out: 3." in printed


def test_recordings_without_a_label_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = tmp_path / "aloha.yaml"
    contract.write_text(small("aloha").to_yaml())
    write_raw_aloha(tmp_path / "fold_shirt" / "episode_0.hdf5", padded=True)
    write_raw_aloha(tmp_path / "fold_shirt" / "episode_1.hdf5", padded=True, success=False)
    status, found, printed = run(capsys, "inspect-data", tmp_path, "--embodiment", contract, "--json")
    assert (status, found["unlabelled"], found["successes"]) == (0, 1, 1)
    assert "1 file carries no label, taken as demonstrations." in printed


def test_images_may_be_left_undecoded(contract: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, found, _ = run(capsys, "inspect-data", folder, "--embodiment", contract, "--images", "none", "--json")
    assert found["sound"] == 4 and found["images_checked"] == 0
    _, found, _ = run(capsys, "inspect-data", folder, "--embodiment", contract, "--images", "sampled", "--json")
    assert found["sound"] == 3 and found["images_checked"] == 3 * 2 * 3


def test_a_sound_folder_gives_status_zero_and_a_missing_one_a_remedy(
    contract: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rollout(tmp_path / "a.hdf5", 2, compressed=False)
    assert run(capsys, "inspect-data", tmp_path, "--embodiment", contract)[0] == 0
    status, _, printed = run(capsys, "inspect-data", tmp_path / "none", "--embodiment", contract)
    assert status == 2 and "holds no .hdf5 file. Give the folder of the episodes" in printed


def test_statistics_are_those_of_the_successful_episodes(
    contract: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found, printed = run(capsys, "statistics", folder, "--embodiment", contract, "--json")
    assert status == 0 and (found["demonstrations"], found["left_out"]) == (3, 2)
    written = Statistics.load(folder)
    np.testing.assert_array_equal(written.actions_max, found["actions_max"])
    assert len(found["actions_min"]) == 7 and len(found["proprio_std"]) == 9
    assert "actions end_effector/gripper" in printed


def test_a_dimension_that_never_changes_is_refused_by_name_or_widened(
    contract: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(write_rollout(tmp_path / "a.hdf5", 2, compressed=True), "a") as file:
        file["actions"][:, 3] = 0.25
    status, _, printed = run(capsys, "statistics", tmp_path, "--embodiment", contract)
    assert status == 2 and "actions: end_effector/roll never change" in printed
    assert not (tmp_path / "dataset_statistics.json").exists()
    _, found, _ = run(capsys, "inspect-data", tmp_path, "--embodiment", contract, "--json")
    assert found["constant_dimensions"]["actions"] == ["end_effector/roll"]
    words = ("--smallest-range", 0.1, "--out", tmp_path / "s.json", "--json")
    _, found, _ = run(capsys, "statistics", tmp_path, "--embodiment", contract, *words)
    assert found["actions_min"][3] == pytest.approx(0.2) and Statistics.load(tmp_path / "s.json").actions_max[3] > 0.29


def test_failures_alone_have_no_statistics(contract: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rollout(tmp_path / "a.hdf5", 2, compressed=True, success=False)
    status, _, printed = run(capsys, "statistics", tmp_path, "--embodiment", contract)
    assert status == 2 and "none of 1 episodes succeeded" in printed


def test_actions_beyond_the_limits_of_the_arms_are_noted() -> None:
    aloha = Embodiment.load("aloha")
    actions = np.tile(aloha.start_action, (60, 1)).astype(np.float32)
    actions[4, 1] = -9.0
    episode = Episode(actions, actions, {}, "x", True, 0.5)
    assert notes(episode, aloha) == [
        "success is true with score 0.5",
        "actions beyond the contract's limits: follower_left/shoulder",
    ]
