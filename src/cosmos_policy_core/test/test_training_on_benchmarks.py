"""From files of a simulated benchmark to a checkpoint that plays it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_files import small, write_demos, write_rollout

from cosmos_policy_core.cli import main
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy


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
