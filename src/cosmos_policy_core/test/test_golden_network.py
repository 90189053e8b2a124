"""The transformer computes what the reference network computes."""

from __future__ import annotations

import math

import torch
from golden_cases import Case, cases, close, half_network, manifest, network, relative_error, shapes

from cosmos_policy_core.model.blocks import RMSNorm
from cosmos_policy_core.model.rotary import rope_angles, rotate
from cosmos_policy_core.model.transformer import DiffusionTransformer, TimeFeatures, TransformerConfig


def run(net: DiffusionTransformer, case: Case, blocks_out: list[torch.Tensor] | None = None) -> torch.Tensor:
    return net(
        case.tensor("in_x"),
        case.tensor("in_timesteps"),
        case.tensor("in_crossattn_emb"),
        case.tensor("in_condition_mask"),
        case.tensor("in_padding_mask"),
        blocks_out,
    )


def token_grid(case: Case) -> tuple[int, int, int]:
    _, _, frames, height, width = case["in_x"].shape
    return frames, height // 2, width // 2


@cases("dit")
@torch.inference_mode()
def test_the_network_and_every_block_match_the_reference(case: Case) -> None:
    blocks: list[torch.Tensor] = []
    output = run(network(case), case, blocks)
    for index, block in enumerate(blocks):
        close(block, case[f"out_block{index}"], atol=2e-5, rtol=1e-5)
    close(output, case["out_y"], atol=2e-5, rtol=1e-5)


@cases("dit")
@torch.inference_mode()
def test_time_embedding_and_rotary_angles_match_the_reference(case: Case) -> None:
    net = network(case)
    time, shared = net.embed_time(case.tensor("in_timesteps"))
    close(time, case["out_t_embedding"], atol=2e-5, rtol=1e-5)
    close(shared, case["out_adaln_lora"], atol=2e-5, rtol=1e-5)
    close(rope_angles(net.config, token_grid(case)), case["out_rope_angles"], atol=1e-6)


@cases("dit_bf16")
@torch.inference_mode()
def test_the_deployed_precision_stays_near_the_reference(case: Case) -> None:
    close(run(network(case), case), case["out_y_f32"], atol=2e-5, rtol=1e-5)
    half = half_network(case)
    assert relative_error(run(half, case), case["out_y_bf16"]) < 2e-2
    grid = token_grid(case)
    close(rope_angles(half.config, grid), case["out_rope_angles_bf16_buffers"], atol=1e-6)
    close(rope_angles(network(case).config, grid), case["out_rope_angles_f32_buffers"], atol=1e-6)


@cases("dit_bf16")
@torch.inference_mode()
def test_the_deployed_network_rounds_the_times_it_is_given(case: Case) -> None:
    half, times = half_network(case), torch.tensor([[0.98765, 0.0, 0.947]])
    assert not torch.equal(times.bfloat16().float(), times)
    for exact, rounded in zip(half.embed_time(times), half.embed_time(times.bfloat16()), strict=True):
        assert torch.equal(exact, rounded)


def bfloat16_numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()


def rounded_once(actual: torch.Tensor, exact: torch.Tensor) -> bool:
    """Whether bfloat16 numbers are exact ones rounded once, but for a few that lie between two neighbours."""
    return actual.dtype == torch.bfloat16 and bool((actual != exact.bfloat16()).double().mean() < 1e-3)


def test_the_deployed_rotation_rounds_once() -> None:
    x, angles = bfloat16_numbers(2, 4, 60, 32), torch.rand(60, 16, dtype=torch.float64).repeat(1, 2) * 10
    first, second = x.double().chunk(2, dim=-1)
    exact = x.double() * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()
    assert rounded_once(rotate(x, angles.cos().float(), angles.sin().float()), exact)


def test_the_deployed_norm_rounds_once() -> None:
    x, norm = bfloat16_numbers(50, 64), RMSNorm(64).bfloat16().requires_grad_(False)
    norm.weight.copy_(1 + bfloat16_numbers(64) / 4)
    wide = x.double()
    exact = wide / (wide.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight.double()
    assert rounded_once(norm(x), exact)


@cases("rope")
def test_rotary_angles_match_for_any_head_size_and_ratio(case: Case) -> None:
    for index, entry in enumerate(case.config["cases"]):
        for name, rounded in (("f32", False), ("bf16buf", True)):
            config = TransformerConfig(
                model_channels=entry["head_dim"],
                num_heads=1,
                rope_h_extrapolation_ratio=entry["h_ratio"],
                rope_w_extrapolation_ratio=entry["w_ratio"],
                rope_t_extrapolation_ratio=entry["t_ratio"],
                round_rope_exponents=rounded,
            )
            close(rope_angles(config, tuple(entry["thw"])), case[f"out_angles_{name}_{index}"], atol=1e-6)


@cases("timestep")
def test_time_features_match_the_reference(case: Case) -> None:
    features = TimeFeatures(case.config["num_channels"], scale=1.0)
    times = case.tensor("in_timesteps")
    close(features(times), case["out_features_f32"], atol=2e-6)
    # One unit in the last place of bfloat16, which keeps 8 significant bits.
    close(features(times.bfloat16()), case["out_features_bf16"], rtol=2**-7, atol=1e-9)


def test_the_2b_network_has_exactly_the_published_parameters() -> None:
    published = manifest("model_channels")
    arguments = published["constructor_arguments"]
    fields = TransformerConfig.__dataclass_fields__.keys()
    with torch.device("meta"):
        net = DiffusionTransformer(TransformerConfig())
    for name in fields & arguments.keys():
        assert getattr(net.config, name) == arguments[name], name
    expected = {
        name: tuple(entry["shape"]) for name, entry in published["entries"].items() if entry["kind"] == "parameter"
    }
    assert shapes({f"net.{name}": tensor for name, tensor in net.state_dict().items()}) == expected
    assert sum(math.prod(shape) for shape in expected.values()) == published["total_parameters"]
