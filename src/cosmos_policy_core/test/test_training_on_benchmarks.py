"""From files of a simulated benchmark to a checkpoint that plays it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_files import numbers, small, write_demos, write_rollout

from cosmos_policy_core.cli import main
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_core.model.config import PolicyConfig, TextConfig, TokenizerConfig
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.transformer import TransformerConfig
from cosmos_policy_core.model.untrained import untrained_policy
from cosmos_policy_core.training import __main__ as scale


def test_demonstrations_and_rollouts_of_libero_become_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = small("libero")
    (tmp_path / "libero.yaml").write_text(contract.to_yaml())
    demos = tmp_path / "data" / "KITCHEN_SCENE1_lift_it_demo.hdf5"
    write_demos(demos, ("eye_in_hand_rgb", "agentview_rgb"), 7, compressed=False, count=3)
    write_rollout(tmp_path / "data" / "failed.hdf5", 2, compressed=True, success=False, length=6)
    write_rollout(tmp_path / "data" / "mislabelled.hdf5", 2, compressed=True, success="False")
    words = "--steps 1 --batch-size 4 --tokenizer-steps 1 --tokenizer-images 4 --workers 1 --threads 1 --held-out 0.2"
    folders = ["--data", tmp_path / "data", "--out", tmp_path / "checkpoint", "--embodiment", tmp_path / "libero.yaml"]
    assert main(["train", *map(str, folders), *words.split()]) == 0
    assert "mislabelled.hdf5: attribute 'success' is 'False'" in capsys.readouterr().out

    policy = CosmosPolicy.from_pretrained(tmp_path / "checkpoint")
    policy.check(contract)
    assert policy.text.instructions == ("lift it", "open the drawer")
    images = {camera.name: np.zeros((32, 32, 3), dtype=np.uint8) for camera in contract.cameras}
    proposals = policy.propose(Observation(images, np.zeros(9), "lift it"), n=2, steps=1)
    assert proposals.actions.shape == (2, 16, 7)


def small_libero_files(folder: Path) -> tuple[Path, Path]:
    views = ("eye_in_hand_rgb", "agentview_rgb")
    write_demos(folder / "demos" / "KITCHEN_SCENE1_lift_it_demo.hdf5", views, 7, compressed=True, count=2)
    write_rollout(folder / "replays" / "won.hdf5", 2, compressed=True, length=6)
    write_rollout(folder / "replays" / "lost.hdf5", 2, compressed=True, success=False, length=5)
    return folder / "demos", folder / "replays"


def test_the_published_libero_recipe_runs_on_a_small_network_of_the_published_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = small("libero")
    (tmp_path / "libero.yaml").write_text(contract.to_yaml())
    config = PolicyConfig(
        size="tiny",
        cameras=tuple(camera.name for camera in contract.cameras),
        image_size=32,
        action_dim=7,
        proprio_dim=9,
        horizon=16,
        tokenizer=TokenizerConfig(base_dim=8),
        text=TextConfig(tokens=12),
        transformer=TransformerConfig(
            model_channels=48, num_blocks=2, num_heads=2, adaln_lora_dim=4, crossattn_emb_channels=16
        ),
    )
    save_policy(untrained_policy(contract, ["lift it", "open the drawer"], config), tmp_path / "base")
    demos, replays = small_libero_files(tmp_path)
    out = tmp_path / "run"
    changes = ("batch={size: 4, per_process: 2}", "steps=2", "compute.workers=0", "logging.to=[csv]")
    lenient = (f"embodiment={tmp_path / 'libero.yaml'}", "start.highest_loss=2.0", "validation.share=0")
    scale.main(scale.Options("libero", str(tmp_path / "base"), (demos,), out, (replays,), (*changes, *lenient)))
    # Fresh weights of the published kind answer zero, so they lose exactly what silence does.
    assert "start weights: 1.00 of a silent network's loss" in capsys.readouterr().out

    policy = CosmosPolicy.from_pretrained(out)
    assert policy.config.center_crop and policy.config.gamma == 0.99
    demo_actions = numbers(4, 7, 0), numbers(5, 7, 1)
    np.testing.assert_allclose(policy.statistics.actions_max, np.concatenate(demo_actions).max(axis=0), rtol=1e-6)
    images = {camera.name: np.zeros((32, 32, 3), dtype=np.uint8) for camera in contract.cameras}
    assert policy.propose(Observation(images, np.zeros(9), "lift it"), steps=1).actions.shape == (1, 16, 7)
