"""Training on episodes: what a batch holds, and that a killed run repeats itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from encoded_episodes import encoded
from policies import tiny_policy

from cosmos_policy_core.data.sampling import NANO_MIX
from cosmos_policy_core.errors import CheckpointError, DatasetError
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.training.curves import plot_curves
from cosmos_policy_core.training.encoded import EncodedEpisode
from cosmos_policy_core.training.mixture import Mixture
from cosmos_policy_core.training.objective import POLICY, VALUE, WORLD, ObjectiveConfig
from cosmos_policy_core.training.trainer import OptimiserConfig, Trainer


def mixture(policy: CosmosPolicy, episodes: list[EncodedEpisode] | None = None) -> Mixture:
    episodes = episodes or [encoded(0), encoded(1), encoded(2, success=False)]
    return Mixture(episodes, policy.config, NANO_MIX, policy.text, executed_steps=50, seed=0)


def trainer(
    folder: Path, steps: int = 8, learning_rate: float = 1e-3, episodes: list[EncodedEpisode] | None = None
) -> Trainer:
    policy = tiny_policy()
    objective = ObjectiveConfig(value_input="future", reduce="predicted", scale=1.0)
    options = OptimiserConfig(steps=steps, batch_size=5, warmup_steps=2, learning_rate=learning_rate)
    return Trainer(policy, mixture(policy, episodes), [encoded(9)], objective, options, folder)


def test_a_batch_holds_its_shares_of_policy_world_and_value_samples() -> None:
    batch = mixture(tiny_policy()).batch(0, 10)
    assert [int((batch.kind == kind).sum()) for kind in (POLICY, WORLD, VALUE)] == [6, 2, 2]


def test_policy_samples_never_come_from_failures() -> None:
    drawn = mixture(tiny_policy())
    for step in range(20):
        batch = drawn.batch(step, 10)
        assert (batch.value[batch.kind == POLICY] > -1 + 1e-6).all()


def test_the_same_step_gives_the_same_batch() -> None:
    drawn = mixture(tiny_policy())
    first, again, other = drawn.batch(3, 6), drawn.batch(3, 6), drawn.batch(4, 6)
    assert torch.equal(first.latents, again.latents)
    assert not torch.equal(first.latents, other.latents)


def test_a_chunk_at_the_end_repeats_the_last_action_and_looks_at_the_last_state() -> None:
    policy = tiny_policy()
    episode = encoded(0)
    batch = mixture(policy).collate([(episode, 55)], [POLICY])
    assert torch.equal(batch.actions[0, 4], episode.actions[59])
    assert torch.equal(batch.actions[0, -1], episode.actions[59])
    assert torch.equal(batch.future_proprio[0], episode.proprio[59])
    assert batch.value[0] == episode.values[59]


def test_training_without_a_success_is_refused() -> None:
    with pytest.raises(DatasetError, match="no successful episode"):
        mixture(tiny_policy(), [encoded(0, success=False)])


def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run(validate_every=100)
    first = trainer(tmp_path / "cut")
    for _ in range(3):
        first.advance()
    first.save_state()
    second = trainer(tmp_path / "cut")
    assert second.resume()
    assert second.step == 3
    second.run(validate_every=100)
    for name, value in whole.average.items():
        torch.testing.assert_close(second.average[name], value, rtol=0, atol=0)


def test_the_exported_folder_loads_and_its_curves_are_drawn(tmp_path: Path) -> None:
    trained = trainer(tmp_path)
    trained.run(log_every=2, validate_every=4)
    assert CosmosPolicy.from_pretrained(tmp_path).config == trained.policy.config
    plot_curves(tmp_path / "curves.csv", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert "held_out_action_l1_0.00" in (tmp_path / "curves.csv").read_text()


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    trained = trainer(tmp_path, steps=40, learning_rate=1e-2, episodes=[encoded(0, length=1)])
    errors = [trained.advance()["demo_sample_action_l1_loss"] for _ in range(40)]
    assert np.mean(errors[-5:]) < 0.6 * np.mean(errors[:5])


def test_a_state_of_another_network_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "training_state.pt").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match=r"training_state\.pt"):
        trainer(tmp_path).resume()
