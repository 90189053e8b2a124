"""From a checkpoint and rollouts to a planning checkpoint: what it is fed, what it must not see, what it remembers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import h5py
import numpy as np
import pytest
import torch
from encoded_episodes import encoded
from episodes import make_episode
from foreign_files import small, write_raw_aloha
from policies import INSTRUCTION, tiny_policy

from cosmos_policy_core.cli import main
from cosmos_policy_core.data.hdf5 import episode_path, write_episode
from cosmos_policy_core.data.sampling import MIXES
from cosmos_policy_core.data.seeds import compact, evaluation_sentence, expanded, learned_seeds
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import DatasetError, StatisticsError
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.training.__main__ import Options, _announce
from cosmos_policy_core.training.assembly import Paths, assemble_run
from cosmos_policy_core.training.encoded import demonstration_statistics, read_episodes
from cosmos_policy_core.training.mixture import Mixture
from cosmos_policy_core.training.objective import POLICY, VALUE, WORLD, ObjectiveConfig, compute_loss
from cosmos_policy_core.training.parallel import Group
from cosmos_policy_core.training.run_config import load
from cosmos_policy_core.training.validation import value_errors

CONTRACT = Embodiment.load("aloha_sim")


def planning_mixture(mix: str = "planning") -> Mixture:
    policy = tiny_policy()
    episodes = [encoded(0), encoded(1), encoded(2, rollout=True), encoded(3, success=False, rollout=True)]
    return Mixture(episodes, policy.config, MIXES[mix], policy.text, executed_steps=50, seed=0)


@pytest.mark.parametrize(("name", "counts"), [("nano", (12, 4, 4)), ("policy", (10, 5, 5)), ("planning", (2, 9, 9))])
def test_a_named_mix_holds_in_every_batch(name: str, counts: tuple[int, ...]) -> None:
    kind = planning_mixture(name).batch(0, 20).kind
    assert tuple(int((kind == each).sum()) for each in (POLICY, WORLD, VALUE)) == counts


def test_rollouts_teach_world_and_value_and_demonstrations_the_policy() -> None:
    sampler = planning_mixture().sampler
    rows = np.concatenate([sampler.rows(step, 20) for step in range(20)])
    assert set(rows[rows[:, 0] == POLICY, 1]) == {0, 1}
    assert {kind: set(rows[rows[:, 0] == kind, 1]) for kind in (WORLD, VALUE)} == {WORLD: {2, 3}, VALUE: {2, 3}}
    assert np.mean(rows[rows[:, 0] != POLICY, 1] == 3) == pytest.approx(0.5, abs=0.1)


def test_a_planning_mix_without_rollouts_is_refused() -> None:
    policy = tiny_policy()
    with pytest.raises(DatasetError, match="--rollouts"):
        Mixture([encoded(0)], policy.config, MIXES["planning"], policy.text, executed_steps=50, seed=0)


def test_rollouts_nobody_labelled_are_left_out_and_demonstrations_are_not(tmp_path: Path) -> None:
    contract = small("aloha")
    write_raw_aloha(tmp_path / "fold_shirt" / "episode_0.hdf5", padded=True)
    write_raw_aloha(tmp_path / "fold_shirt" / "episode_1.hdf5", padded=True, success=False)
    given, left_out = read_episodes([tmp_path], contract)
    assert ([episode.labelled for episode in given], left_out) == ([False, True], [])
    given, left_out = read_episodes([tmp_path], contract, rollouts=True)
    assert [episode.success for episode in given] == [False]
    assert "episode_0.hdf5: carries no label, and what came of a rollout must be known" in left_out[0]


def value_prediction(value_input: str, hidden_frames: str, *, changed: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Predict the value of the same samples twice, the second time with other numbers in what is hidden."""
    policy = tiny_policy()
    layout = policy.config.layout
    objective = ObjectiveConfig(value_input=value_input, hidden_frames=hidden_frames, reduce="predicted")  # type: ignore[arg-type]
    drawn = planning_mixture().batch(0, 8)
    drawn.kind[:] = VALUE
    sigma = torch.full((8,), 0.3)
    noise = torch.randn(drawn.latents.shape, generator=torch.Generator().manual_seed(0))
    out = []
    for _ in range(2):
        loss = compute_loss(policy.network, drawn, sigma, noise, layout, objective, policy.config.prediction)
        out.append(loss.x0[:, :, layout.value].detach())
        if changed == "state and action":
            drawn.actions.neg_()
            drawn.proprio.neg_()
            drawn.latents[:, :, list(layout.images)] *= -1
        else:
            drawn.future_proprio.neg_()
            drawn.latents[:, :, list(layout.future_images)] *= -1
    return out[0], out[1]


@pytest.mark.parametrize(("value_input", "hidden"), [("future", "state and action"), ("action", "future")])
def test_the_published_masking_leaks_and_noise_does_not(value_input: str, hidden: str) -> None:
    first, second = value_prediction(value_input, "denoised", changed=hidden)
    assert not torch.allclose(first, second, atol=1e-4)
    first, second = value_prediction(value_input, "noise", changed=hidden)
    assert torch.equal(first, second)


@pytest.mark.parametrize("hidden_frames", ["denoised", "noise"])
def test_a_value_answer_depends_on_nothing_it_was_not_shown(hidden_frames: str) -> None:
    policy = tiny_policy(hidden_frames=hidden_frames)
    text = policy.network.encode_text(policy.text[INSTRUCTION][None])
    clean = torch.randn(1, *policy.config.latent_shape)
    sampled = policy.sample(Query.FUTURE_VALUE, clean, text, [0], [3])
    clean[:, :, list(policy.config.layout.current_state)] = 0
    assert torch.equal(policy.sample(Query.FUTURE_VALUE, clean, text, [0], [3]), sampled)
    hidden = sampled[:, :, list(policy.config.layout.hidden(Query.FUTURE_VALUE))]
    assert bool((hidden == 0).all()) == (hidden_frames == "noise")


def test_held_out_values_are_measured_per_outcome() -> None:
    drawn = planning_mixture()
    errors = value_errors(tiny_policy(), drawn, [encoded(7), encoded(8, success=False)])
    assert set(errors) == {"value_l1_success", "value_l1_failure", "value_auc"}
    assert all(np.isfinite(value) for value in errors.values())


def test_a_joint_that_never_moves_is_refused_by_name_or_given_a_range() -> None:
    episode = make_episode(CONTRACT, 6)
    episode.actions[:, 5] = 0.25
    with pytest.raises(StatisticsError, match=f"actions: {CONTRACT.action_names[5]} never change"):
        demonstration_statistics([episode], CONTRACT, smallest_range=0.0)
    widened = demonstration_statistics([episode], CONTRACT, smallest_range=0.05)
    assert np.isfinite(widened.normalize_actions(episode.actions)).all()
    assert widened.normalize_actions(episode.actions)[0, 5] == pytest.approx(0.0, abs=1e-6)


def test_without_auxiliary_targets_nothing_but_actions_teaches(tmp_path: Path) -> None:
    save_policy(tiny_policy(), tmp_path / "start")
    demos = write_rollouts(tmp_path / "demos", (True, True))
    paths = ["--from", tmp_path / "start", "--data", demos, "--out", tmp_path / "out"]
    words = (
        "--no-auxiliary --sigma-min 0.5 --action-steps 7 --steps 1 --batch-size 4 --held-out 0 --workers 1 --threads 1"
    )
    assert main(["train", *map(str, paths), *words.split()]) == 0
    before, after = (CosmosPolicy.from_pretrained(tmp_path / name) for name in ("start", "out"))
    assert json.loads((tmp_path / "out" / "training.json").read_text())["mixture"]["demonstrations"] == 1.0
    assert (after.config.schedule.sigma_min, after.config.steps.action) == (0.5, 7)
    first, second = dict(before.network.named_parameters()), dict(after.network.named_parameters())
    moved = {name: (second[name] - tensor).abs() for name, tensor in first.items()}
    decay = 1e-7  # all that happens to weights without a gradient
    assert moved["final_layer.linear.weight"].max() < decay, "images teach nothing"
    frames = moved["vector_frames.weight_out"].flatten(1).amax(dim=1)
    assert (frames > decay).tolist() == [False, True, False, False], "proprio, action, future proprio, value"


@pytest.mark.parametrize("words", [["--sigma-min", "90"], ["--sigma-min", "0"], ["--action-steps", "0"]])
def test_sampling_that_cannot_be_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_policy(tiny_policy(), tmp_path / "start")
    demos = write_rollouts(tmp_path / "demos", (True, True))
    assert main(["train", "--from", str(tmp_path / "start"), "--data", str(demos), "--out", str(tmp_path), *words]) == 2
    assert f"{words[0]} is {words[1]}. Use" in capsys.readouterr().err


def write_rollouts(folder: Path, outcomes: tuple[bool, ...], first: int = 0) -> Path:
    for index, success in enumerate(outcomes):
        episode = make_episode(CONTRACT, 6, seed=first + index, success=success, success_score=float(success))
        write_episode(episode_path(folder, index), episode, CONTRACT)
    return folder


def test_a_checkpoint_is_fine_tuned_on_rollouts_and_remembers_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start, out = tmp_path / "start", tmp_path / "planning"
    save_policy(tiny_policy(), start)
    demos = write_rollouts(tmp_path / "demos", (True, True))
    rollouts = write_rollouts(tmp_path / "rollouts", (True, True, False, False), first=10)
    break_an_image(episode_path(rollouts, 1))
    words = "--mix planning --value-input action --hidden-frames noise --gamma 0.9 --steps 2 --batch-size 10"
    flags = "--workers 1 --threads 1 --held-out 0.2 --json"
    paths = ["--from", start, "--data", demos, "--rollouts", rollouts, "--out", out]
    assert main(["train", *map(str, paths), *words.split(), *flags.split()]) == 0
    printed = capsys.readouterr().out
    assert "cam_high[3]: the JPEG cannot be decoded" in printed
    assert "1 left out" in printed

    before, after = CosmosPolicy.from_pretrained(start), CosmosPolicy.from_pretrained(out)
    assert after.config.value_query is Query.ACTION_VALUE
    assert (after.config.hidden_frames, after.config.gamma) == ("noise", 0.9)
    np.testing.assert_array_equal(after.statistics.actions_max, before.statistics.actions_max)
    for name, tensor in before.tokenizer.state_dict().items():  # type: ignore[attr-defined]
        assert torch.equal(after.tokenizer.state_dict()[name], tensor)  # type: ignore[attr-defined]
    record = json.loads((out / "training.json").read_text())
    assert record["started_from"] == before.identity
    assert record["mixture"]["demonstrations"] == 0.1 and record["gamma"] == 0.9
    assert record["scene_seeds"] == "0..1, 10..13"
    assert learned_seeds(out) == {0, 1, 10, 11, 12, 13}
    assert "evaluation seeds" not in printed


def test_episodes_of_seeds_that_are_kept_for_the_last_word_are_refused(tmp_path: Path) -> None:
    kept = write_rollouts(tmp_path / "kept", (True, False), first=6999)
    with pytest.raises(DatasetError, match=r"is of seed 7000.*last word.*--seed 20000"):
        read_episodes([kept], CONTRACT)
    assert len(read_episodes([write_rollouts(tmp_path / "free", (True,), first=8000)], CONTRACT)[0]) == 1


def test_episodes_of_evaluation_seeds_are_named_in_one_line() -> None:
    assert evaluation_sentence([0, 499, 20000]) == ""
    sentence = evaluation_sentence([3, 5000, 5001, 6999])
    assert sentence.startswith("3 episodes are of the evaluation seeds 5000..5001, 6999: ")
    assert "\n" not in sentence


def test_partial_scores_that_are_divided_out_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_policy(tiny_policy(), tmp_path / "start")
    demos = write_rollouts(tmp_path / "demos", (True, True))
    partial = make_episode(CONTRACT, 6, seed=10, success=False, success_score=0.5)
    write_episode(episode_path(tmp_path / "rollouts", 0), partial, CONTRACT)
    alone = cast(Group, SimpleNamespace(size=1, device=torch.device("cpu")))
    given = Options("nano", str(tmp_path / "start"), (demos,), tmp_path, (tmp_path / "rollouts",))
    paths = Paths(given.start, given.data, given.rollouts, given.out)
    assembled = assemble_run(load("nano"), paths)
    for scale, told in (("false", True), ("true", False)):
        _announce(load("nano", [f"sampling.absolute_scale={scale}"]), given, alone, assembled)
        assert ("1 rollouts with a score between 0 and 1" in capsys.readouterr().out) == told
    assert assembled.learned == (0, 1, 10)


def test_seeds_are_written_as_ranges_and_read_back() -> None:
    seeds = {3, 4, 5, 9, 20000}
    assert compact(seeds) == "3..5, 9, 20000"
    assert expanded(compact(seeds)) == seeds
    assert expanded(compact([])) == set()


def test_broken_episodes_are_named_and_counted_and_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start, demos = tmp_path / "start", write_rollouts(tmp_path / "demos", (True,) * 6)
    save_policy(tiny_policy(), start)
    with h5py.File(episode_path(demos, 1), "r+") as file:
        file["action"][2, 7] = np.nan
    with h5py.File(episode_path(demos, 2), "r+") as file:
        file.attrs["success"] = "False"
    break_an_image(episode_path(demos, 3))
    episode_path(demos, 4).write_bytes(episode_path(demos, 4).read_bytes()[:3000])
    paths = ["--from", start, "--data", demos, "--out", tmp_path / "out"]
    words = ["--steps", "1", "--batch-size", "4", "--held-out", "0", "--workers", "1", "--threads", "1"]
    assert main(["train", *map(str, paths), *words]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "2 episodes (2 demonstrations, 0 successful rollouts, 0 failures) to train on, 0 held out, 4 left out"
        in printed
    )
    for sentence in (
        "episode_000001.hdf5: action[2] is not finite for follower_right/waist",
        "episode_000002.hdf5: attribute 'success' is 'False', not true or false",
        "episode_000003.hdf5: cam_high[3]: the JPEG cannot be decoded",
        "episode_000004.hdf5: is not a readable episode",
    ):
        assert sentence in printed


def test_a_new_task_trains_the_tokenizer_on_and_measures_its_own_ranges(tmp_path: Path) -> None:
    start, out = tmp_path / "start", tmp_path / "other"
    save_policy(tiny_policy(), start)
    demos = write_rollouts(tmp_path / "demos", (True, True))
    words = "--new-task --tokenizer-steps 1 --tokenizer-images 12 --steps 1 --batch-size 4 --noise-mean 1.5"
    paths = ["--from", start, "--data", demos, "--out", out]
    assert main(["train", *map(str, paths), *words.split(), "--workers", "1", "--threads", "1"]) == 0
    before, after = CosmosPolicy.from_pretrained(start), CosmosPolicy.from_pretrained(out)
    assert not np.allclose(after.statistics.actions_max, before.statistics.actions_max)
    weights = [policy.tokenizer.state_dict()["encoder.0.weight"] for policy in (before, after)]  # type: ignore[attr-defined]
    assert not torch.equal(*weights)
    assert torch.allclose(*weights, atol=0.01)  # trained on, not anew


def break_an_image(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["primary_images_jpeg"][3] = np.frombuffer(b"\xff\xd8 no picture", dtype=np.uint8)
