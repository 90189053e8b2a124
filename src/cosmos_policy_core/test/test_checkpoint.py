"""A checkpoint folder gives back the same policy, or says what is wrong with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from policies import observation, tiny_policy
from safetensors.torch import load_file, save_file

from cosmos_policy_core import checkpoints
from cosmos_policy_core.errors import CheckpointError, CosmosPolicyError
from cosmos_policy_core.model.checkpoint import MODEL_FILE, save_policy
from cosmos_policy_core.model.policy import CosmosPolicy


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save_policy(tiny_policy(), folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_a_saved_policy_answers_the_same_after_loading(saved: Path) -> None:
    before, after = tiny_policy(), CosmosPolicy.from_pretrained(saved)
    np.testing.assert_array_equal(
        before.propose(observation(before)).actions, after.propose(observation(after)).actions
    )
    assert after.identity.startswith("tiny@")


def test_weights_carry_the_published_prefix(saved: Path) -> None:
    assert all(name.startswith("net.") for name in load_file(saved / MODEL_FILE))


def test_a_truncated_file_is_named(folder: Path) -> None:
    path = folder / MODEL_FILE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=MODEL_FILE):
        CosmosPolicy.from_pretrained(folder)


def test_weights_of_another_size_are_refused_with_counts(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["transformer"]["num_blocks"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="20 missing"):
        CosmosPolicy.from_pretrained(folder)


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    weights = load_file(folder / MODEL_FILE)
    weights["net.final_layer.linear.weight"][0, 0] = torch.nan
    save_file(weights, folder / MODEL_FILE)
    with pytest.raises(CheckpointError, match="NaN"):
        CosmosPolicy.from_pretrained(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.safetensors"])
def test_float16_is_refused_by_its_name(folder: Path, name: str) -> None:
    weights = {key: tensor.half() for key, tensor in load_file(folder / name).items()}
    save_file(weights, folder / name)
    with pytest.raises(CheckpointError, match=rf"{name}: .* is float16"):
        CosmosPolicy.from_pretrained(folder)


def test_others_can_read_what_was_saved(saved: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in saved.iterdir()}
    assert len(set(modes.values())) == 1, modes


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "tokenizer.safetensors",
        "dataset_statistics.json",
        "text_embeddings.safetensors",
        "embodiment.yaml",
    ],
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CosmosPolicyError, match=name):
        CosmosPolicy.from_pretrained(folder)


def test_a_misspelt_key_is_named(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["imagesize"] = 64
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="imagesize"):
        CosmosPolicy.from_pretrained(folder)


def test_a_contract_of_another_export_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["horizon"] = 32
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="horizon"):
        CosmosPolicy.from_pretrained(folder)


def test_a_folder_that_is_no_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint folder"):
        CosmosPolicy.from_pretrained(tmp_path)


def test_an_unknown_name_lists_what_ships() -> None:
    with pytest.raises(CheckpointError, match="shipped"):
        checkpoints.find("no_such_checkpoint")


@pytest.mark.parametrize("name", checkpoints.names())
def test_every_shipped_checkpoint_opens_is_small_and_has_a_card(name: str) -> None:
    folder = checkpoints.find(name)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 40e6
    assert {file.suffix for file in folder.iterdir()} <= {".json", ".md", ".png", ".safetensors", ".yaml"}
    assert (folder / "README.md").read_text().startswith(f"# {name}\n")
    policy = CosmosPolicy.from_pretrained(name)
    assert policy.contract.name == "aloha_sim" and policy.config.episode_steps
