"""Training at scale, small: the same run on one process, on two, and on one that was killed on the way."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import killed_training
import numpy as np
import pytest
import torch
from episodes import make_episode
from policies import tiny_policy

from cosmos_policy_core.data.hdf5 import episode_path, write_episode
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CheckpointError, ConfigurationError, ModelError
from cosmos_policy_core.model.checkpoint import read_tensors, save_policy
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.training.__main__ import Options, main

SETTINGS = (
    "steps=4",
    "sampling={policy: published, gamma: 0.9}",
    "batch={size: 8, per_process: 4}",
    "optimiser.cycles=[{length: 3, warm_up: 2, start: 0.1, end: 0.3}, {start: 0.06, peak: 0.06, end: 0.06}]",
    "start.highest_loss=1000",
    "logging.every=1",
    "saving.every=4",
    "validation.share=0",
)

PATIENCE = 900
"""Seconds for a test that starts processes; on a busy machine each needs minutes to import."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a start checkpoint with random weights, two demonstrations and three rollouts, all with small images."""
    folder = tmp_path_factory.mktemp("spread")
    start = tiny_policy()
    text = start.contract.to_yaml().replace("width: 256", "width: 32").replace("height: 256", "height: 32")
    start.contract = contract = Embodiment.from_yaml(text)
    (folder / "small.yaml").write_text(text)
    save_policy(start, folder / "start")
    for name, outcomes, first in (("demos", (True, True), 0), ("rollouts", (True, False, False), 10)):
        for index, success in enumerate(outcomes):
            episode = make_episode(contract, 8, seed=first + index, success=success, success_score=float(success))
            write_episode(episode_path(folder / name, index), episode, contract)
    return folder


def options(workplace: Path, out: Path, *changes: str, start: str = "start") -> Options:
    return Options(
        config="nano",
        start=str(workplace / start),
        data=(workplace / "demos",),
        rollouts=(workplace / "rollouts",),
        out=out,
        set=(*SETTINGS, f"embodiment={workplace / 'small.yaml'}", *changes),
    )


def words(given: Options) -> list[str]:
    """The same options on a command line."""
    named = (("--from", given.start), ("--data", *given.data), ("--rollouts", *given.rollouts), ("--out", given.out))
    flags = [str(word) for group in named for word in group]
    return [given.config, *flags, "--set", *given.set, "--threads", "1"]


def run_to_the_end(command: list[str]) -> tuple[int, str]:
    """Run a command and give its status and all it printed; whatever it started is gone afterwards."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        printed, _ = process.communicate(timeout=PATIENCE - 10)
        return process.returncode, printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def curves(run: Path) -> dict[tuple[int, str], float]:
    with (run / "curves.csv").open() as file:
        rows = [(int(step), name, float(value)) for step, name, value in csv.reader(file)]
    assert len({row[:2] for row in rows}) == len(rows), "a step was logged twice"
    return {(step, name): value for step, name, value in rows if name != "seconds_per_step"}


@pytest.fixture(scope="module")
def alone(workplace: Path) -> Path:
    """The run that the others must repeat: one process, two parts per batch."""
    main(options(workplace, workplace / "alone"))
    return workplace / "alone"


def test_a_run_becomes_a_checkpoint_that_remembers_what_its_value_sees(alone: Path) -> None:
    policy = CosmosPolicy.from_pretrained(alone)
    assert (policy.config.value_query, policy.config.gamma) == (Query.FUTURE_VALUE, 0.9)
    assert policy.config.episode_steps == 8
    logged = curves(alone)
    assert {step for step, _ in logged} == {1, 2, 3, 4}
    rates = [logged[step, "learning_rate"] for step in (1, 2, 3, 4)]
    np.testing.assert_allclose(rates, 3e-4 * np.array([0.1, 0.55, 1.0, 0.3]), rtol=1e-5)
    assert {"demo_sample_future_wrist_image2_l1_loss", "grad_norm", "loss"} <= {name for _, name in logged}


def run_on_two(given: Options) -> str:
    """Run to the end on two processes; gives what they printed."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    status, printed = run_to_the_end([*launcher, "-m", "cosmos_policy_core.training", *words(given)])
    assert status == 0, printed
    return printed


def assert_equal_up_to_rounding(run: Path, other: Path) -> None:
    """Compare the curves and the weights of two runs."""
    ours, theirs = curves(run), curves(other)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert theirs[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key
    one, two = (read_tensors(folder / "model.safetensors") for folder in (run, other))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.timeout(PATIENCE, func_only=True)
def test_two_processes_repeat_the_run_of_one(workplace: Path, alone: Path) -> None:
    printed = run_on_two(options(workplace, workplace / "two"))
    assert "processes: 2 on cpu; batches of 8, each process 1 x 4; episodes left out: 0" in printed
    assert_equal_up_to_rounding(alone, workplace / "two")


@pytest.mark.timeout(PATIENCE, func_only=True)
def test_teams_with_a_copy_each_repeat_the_run_of_one(workplace: Path, alone: Path) -> None:
    run_on_two(options(workplace, workplace / "teams", "compute.shard_size=1"))
    assert_equal_up_to_rounding(alone, workplace / "teams")


@pytest.mark.timeout(PATIENCE, func_only=True)
def test_a_run_goes_on_with_another_number_of_processes(workplace: Path, alone: Path) -> None:
    main(options(workplace, workplace / "grown", "steps=2"))
    assert "resuming at step 2 of 4" in run_on_two(options(workplace, workplace / "grown"))
    assert_equal_up_to_rounding(alone, workplace / "grown")


@pytest.mark.timeout(PATIENCE, func_only=True)
def test_a_killed_run_goes_on_with_the_same_curve(workplace: Path, alone: Path) -> None:
    given = options(workplace, workplace / "killed", "saving.every=1")
    command = [sys.executable, killed_training.__file__, "3", *words(given)]
    status, printed = run_to_the_end(command)
    assert status == -signal.SIGKILL, printed
    left = sorted(path.name for path in (workplace / "killed" / "state").iterdir())
    assert left == [".step_00000003.partial", "step_00000001", "step_00000002"]
    main(given)
    assert curves(workplace / "killed") == curves(alone)
    one, other = (read_tensors(run / "model.safetensors") for run in (alone, workplace / "killed"))
    assert all(torch.equal(other[name], tensor) for name, tensor in one.items())


def test_a_finished_run_is_exported_again_and_not_continued(
    workplace: Path, alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = curves(alone)
    main(options(workplace, alone))
    assert "resuming at step 4 of 4" in capsys.readouterr().out
    assert curves(alone) == before


def test_a_state_of_another_run_is_refused(workplace: Path, alone: Path) -> None:
    with pytest.raises(CheckpointError, match="step_00000004: was written by a run with another objective"):
        main(options(workplace, alone, "objective.action_weight=2.0"))


def test_recomputed_activations_and_bfloat16_change_nothing_but_rounding(workplace: Path, alone: Path) -> None:
    checked, rounded = workplace / "checked", workplace / "rounded"
    short = ("steps=2", "compute.activation_checkpointing=true")
    main(options(workplace, checked, *short, "saving.export_every=1"))
    assert CosmosPolicy.from_pretrained(checked / "exports" / "step_00000001").config.gamma == 0.9
    main(options(workplace, rounded, *short, "compute.dtype=bfloat16"))
    exact, same, near = curves(alone), curves(checked), curves(rounded)
    for step in (1, 2):
        for name in ("loss", "grad_norm"):
            assert same[step, name] == pytest.approx(exact[step, name], rel=1e-5)
            assert near[step, name] == pytest.approx(exact[step, name], rel=0.05)
    assert read_tensors(rounded / "model.safetensors")["net.final_layer.linear.weight"].dtype == torch.bfloat16


def test_random_start_weights_are_refused_and_trained_ones_are_not(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = "start.highest_loss=0.6"
    with pytest.raises(CheckpointError, match=r"of a silent network's; trained weights stay below 0\.6"):
        main(options(workplace, workplace / "refused", honest))
    assert not (workplace / "refused" / "state").exists()
    capsys.readouterr()
    scratch = ("start.weights=fresh", "steps=30", "optimiser={learning_rate: 0.01, cycles: [{}]}", "saving.every=30")
    main(options(workplace, workplace / "scratch", honest, *scratch, "objective={reduce: predicted, scale: 1.0}"))
    assert "start weights" not in capsys.readouterr().out  # from scratch on purpose
    again = ("steps=1", "validation={share: 0.3, batches: 1}")
    main(options(workplace, workplace / "on", honest, *again, start="scratch"))
    assert "start weights: 0." in capsys.readouterr().out
    assert curves(workplace / "on")[1, "validation_loss"] > 0


def test_a_single_failure_is_trained_on_and_successes_are_held_out(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract, folder = Embodiment.load(str(workplace / "small.yaml")), workplace / "one_failure"
    for index, success in enumerate((True, True, True, False)):
        episode = make_episode(contract, 8, seed=index, success=success, success_score=float(success))
        write_episode(episode_path(folder, index), episode, contract)
    given = options(workplace, workplace / "lenient", "steps=1", "validation={share: 0.01, batches: 1}")
    main(replace(given, data=(folder,), rollouts=()))
    assert "no rollouts are held out for validation: no task has two of them" in capsys.readouterr().out
    logged = curves(workplace / "lenient")
    assert logged[1, "validation_demo_sample_action_l1_loss"] > 0
    assert (1, "validation_value_function_sample_value_l1_loss") not in logged


def test_a_loss_that_is_not_finite_ends_the_run(workplace: Path) -> None:
    with pytest.raises(ModelError, match="the loss is nan"):
        main(options(workplace, workplace / "diverged", "optimiser={learning_rate: 1.0e+30, cycles: [{}]}"))


def test_a_batch_that_does_not_divide_is_refused_with_a_number_that_does(workplace: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Set batch\.per_process to a divisor of 8"):
        main(options(workplace, workplace / "uneven", "batch={size: 8, per_process: 3}"))


def test_tensorboard_gets_every_curve(workplace: Path, alone: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra 'tensorboard' is not installed")
    main(options(workplace, workplace / "board", "steps=2", "logging={every: 1, to: [tensorboard]}"))
    (events,) = (workplace / "board" / "tensorboard").iterdir()
    written = events.read_bytes()  # records with their names in plain text
    assert {name for step, name in curves(alone) if step <= 2 and name.encode() not in written} == set()
