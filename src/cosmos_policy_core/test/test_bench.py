"""`cosmos-policy bench`: what it prints for machines, and what it measures on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from policies import INSTRUCTION, tiny_policy
from published_files import tiny_config

from cosmos_policy_core.cli import main
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.ensembles import member_steps
from cosmos_policy_core.model.flops import forward_flops
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.untrained import random_policy
from cosmos_policy_core.planning.presets import DEFAULT, REFERENCE, PlannerSettings

STAGES = ["encode", "forward_b1", "forward_b2", "chunk_5_steps", "future_3_steps", "value_1_steps", "decode_3_images"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save_policy(tiny_policy(), folder)
    return str(folder)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(["bench", *words, "--runs", "1", "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_every_stage_of_a_model_is_timed(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "model", "--checkpoint", checkpoint, "--batches", "1", "2")
    assert {"size", "device", "stages", "tflops", "ceiling_tflops", "peak_memory_gb"} <= said.keys()
    stages = said["stages"]
    assert isinstance(stages, dict) and list(stages) == STAGES
    assert all(stage["median_s"] > 0 and stage["p99_s"] >= stage["median_s"] for stage in stages.values())
    assert stages["forward_b2"]["share"] == pytest.approx(stages["forward_b2"]["tflops"] / said["ceiling_tflops"])
    assert "tflops" not in stages["encode"]
    assert said["left_out"] == [] and said["tflops"] == stages["forward_b1"]["tflops"]


def test_stages_that_are_left_out_are_named(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "model", "--checkpoint", checkpoint, "--stages", "value", "encode", "--warm-up", "0")
    assert isinstance(said["stages"], dict) and list(said["stages"]) == ["encode", "value_1_steps"]
    assert said["left_out"] == ["forward", "chunk", "future", "decode"]


def test_a_plan_is_timed_with_its_stages(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["planner", "--checkpoint", checkpoint, "--candidates", "2", "--futures", "1", "--values", "1"]
    said = run(capsys, *words, "--no-one-by-one")
    assert {"size", "device", "preset", "median_s", "p99_s", "speedup_over_serial", "stages"} <= said.keys()
    assert said["speedup_over_serial"] is None
    assert (said["preset"], said["ensemble"]) == ("default", [1, 1])
    assert isinstance(said["stages"], dict) and isinstance(said["stages_p99"], dict)
    assert said["stages_p99"].keys() == said["stages"].keys()
    assert said["flop_share"] == pytest.approx(said["tflops"] / said["ceiling_tflops"])
    assert run(capsys, *words, "--no-one-by-one", "--preset", "reference")["preset"] == "reference"
    assert run(capsys, *words)["speedup_over_serial"] is not None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("model", "--device", "cuda:77"), "--device cuda:77: not usable here"),
        (("model", "--device", "abacus"), "--device abacus: not usable here"),
        (("model", "--runs", "0"), "at least one run"),
        (("planner", "--runs", "0"), "at least one run"),
        (("planner", "--threads", "-1"), "--threads -1: not a number of threads"),
        (("model", "--checkpoint", "/nowhere"), "no such checkpoint folder"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_random_policy_of_the_published_shape_is_made_in_its_own_precision(dtype: torch.dtype) -> None:
    contract = Embodiment.load("aloha")
    policy = random_policy(tiny_config(), contract, INSTRUCTION, torch.device("cpu"), dtype)
    for module in (policy.network, policy.tokenizer):
        assert isinstance(module, torch.nn.Module)
        assert all(tensor.dtype == dtype and tensor.abs().max() > 0 for tensor in module.state_dict().values())
    images = {camera.name: torch.full((48, 64, 3), 90, dtype=torch.uint8).numpy() for camera in contract.cameras}
    proposals = policy.propose(Observation(images, contract.start_action, INSTRUCTION), steps=3)
    assert proposals.latents.abs().mean() > 1e-3


def test_the_arithmetic_of_the_published_network_is_counted() -> None:
    config = PolicyConfig()
    assert forward_flops(config) == pytest.approx(8.4e12, rel=0.02)
    assert forward_flops(config, batch=3) == 3 * forward_flops(config)
    assert 0.96 < forward_flops(config, text_tokens=16) / forward_flops(config) < 0.98


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (REFERENCE, "10 / 5 / 5"),
        (DEFAULT, "10 / 5 / 5"),
        (replace(DEFAULT, values=4, action_steps=5, future_steps=3, value_steps=1), "5 / 3 / 1"),
    ],
)
def test_the_floor_of_a_planned_chunk_follows_from_its_arithmetic(settings: PlannerSettings, steps: str) -> None:
    config = PolicyConfig()
    action, future, value = (int(word) for word in steps.split(" / "))

    def calls(counts: list[int]) -> int:
        return sum(len(config.schedule.evaluations(count)) for count in counts)

    futures, values = member_steps(settings.futures, future), member_steps(settings.values, value)
    total = settings.n * (calls([action]) + calls(futures) + settings.futures * calls(values))
    floor = total * forward_flops(config) / 790e12
    row = f"| {settings.futures} x {settings.values} | {steps} | {total} | {floor:.1f} |"
    assert row in (Path(__file__).resolve().parents[3] / "docs" / "performance.md").read_text()


def test_the_command_is_named_in_the_documentation() -> None:
    pages = Path(__file__).resolve().parents[3] / "docs" / "performance.md"
    assert "cosmos-policy bench model --size 2b" in pages.read_text()
