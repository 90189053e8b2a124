"""`cosmos-policy bench`: what it prints for machines, and what it measures on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from policies import INSTRUCTION, tiny_policy
from published_files import tiny_config

from cosmos_policy_core.cli import main
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.flops import forward_flops
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.untrained import random_policy

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
    assert run(capsys, *words)["speedup_over_serial"] is not None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--device", "cuda:77"), "--device cuda:77: not usable here"),
        (("--device", "abacus"), "--device abacus: not usable here"),
        (("--runs", "0"), "at least one run"),
        (("--checkpoint", "/nowhere"), "no such checkpoint folder"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "model", *words]) == 2
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


def test_the_command_is_named_in_the_documentation() -> None:
    pages = Path(__file__).resolve().parents[3] / "docs" / "performance.md"
    assert "cosmos-policy bench model --size 2b" in pages.read_text()
