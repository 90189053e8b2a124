"""Fast paths answer like the plain network; those that need a GPU are followed as far as a CPU goes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from policies import INSTRUCTION, observation, tiny_policy
from torch import Tensor

from cosmos_policy_core.model.acceleration import (
    ATTENTION,
    GraphedNetwork,
    accelerated,
    attention,
    compile_blocks,
    join_projections,
)
from cosmos_policy_core.model.answers import Scene
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.model.transformer import TextContext


@pytest.fixture
def policy() -> CosmosPolicy:
    return tiny_policy()


class Recorder:
    """Records like a CUDA graph, as far as its user can tell: repeats on the recorded inputs, into the same result."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, run: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        self.recorded += 1
        result = torch.full_like(run(), torch.nan)

        def replay() -> None:
            self.replayed += 1
            result.copy_(run())

        return replay, result


def padded(policy: CosmosPolicy) -> Scene:
    """A scene whose instruction is mostly padding, as T5's are."""
    channels = policy.config.transformer.crossattn_emb_channels
    embedding = torch.zeros(64, channels)
    embedding[:5] = torch.randn(5, channels, generator=torch.Generator().manual_seed(0))
    policy.text = TextEmbeddings({INSTRUCTION: embedding})
    scene = policy.encode(observation(policy))
    assert scene.text.scores is not None
    return scene


def inputs(policy: CosmosPolicy, batch: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents, two times, condition mask, and which frame has which time."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, *policy.config.latent_shape, generator=generator)
    mask = torch.zeros(batch, 1, *policy.config.latent_shape[1:])
    mask[:, :, : policy.config.layout.action] = 1
    times = torch.stack([torch.zeros(batch), torch.rand(batch, generator=generator)], dim=1)
    return x, times, mask, (mask[:, 0, :, 0, 0] == 0).long()


def test_compiled_blocks_are_one_graph_and_answer_alike(policy: CosmosPolicy) -> None:
    scene = policy.encode(observation(policy))
    expected = policy.propose(scene, 2)
    # What inductor would be given, run as it is: no compiler is needed, and a break of the graph is an error.
    policy.denoiser = accelerated(policy.network, fused=True, backend="aot_eager")
    answer = policy.propose(scene, 2)
    np.testing.assert_allclose(answer.actions, expected.actions, atol=1e-5)
    assert set(policy.network.state_dict()) == set(tiny_policy().network.state_dict())


def test_joined_projections_answer_alike_and_keep_names_and_memory(policy: CosmosPolicy) -> None:
    before = {name: tensor.clone() for name, tensor in policy.network.state_dict().items()}
    scene = policy.encode(observation(policy))
    expected = policy.propose(scene, 2)
    join_projections(policy.network)
    np.testing.assert_allclose(policy.propose(scene, 2).actions, expected.actions, atol=1e-5)
    after = policy.network.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items()) and after.keys() == before.keys()
    names = [f"blocks.0.self_attn.{name}_proj.weight" for name in "qkv"]
    assert len({after[name].untyped_storage().data_ptr() for name in names}) == 1
    policy.network.double()  # separates them again
    moved = policy.propose(policy.encode(observation(policy)), 2)
    np.testing.assert_allclose(moved.actions, expected.actions, atol=1e-4)


def test_compiled_blocks_attend_padding_through_a_sink_too(policy: CosmosPolicy) -> None:
    scene = padded(policy)
    expected = policy.propose(scene, 2)
    policy.denoiser = accelerated(policy.network, fused=True, backend="aot_eager")
    np.testing.assert_allclose(policy.propose(scene, 2).actions, expected.actions, atol=1e-5)


def test_other_times_steps_and_seeds_compile_nothing_again(policy: CosmosPolicy) -> None:
    compiled: list[int] = []

    def backend(graph: torch.fx.GraphModule, given: list[Tensor]) -> Callable[..., object]:
        compiled.append(1)
        return graph.forward

    compile_blocks(policy.network, backend=backend)
    scene = policy.encode(observation(policy))
    policy.propose(scene, 1, steps=2)
    policy.imagine(policy.encode(observation(policy, 1)), policy.propose(scene, 1, seeds=[7], steps=5), 1)
    assert len(compiled) == 1


def test_replayed_launches_answer_alike_whatever_came_before(policy: CosmosPolicy) -> None:
    record = Recorder()
    graphed = GraphedNetwork(policy.network, largest_batch=2, record=record)
    text = policy.encode(observation(policy)).text
    for batch, seed in ((1, 0), (2, 1), (1, 2), (2, 3)):
        x, times, mask, which = inputs(policy, batch, seed)
        expected = policy.network(x, times, text.expand(batch), mask, which=which)
        assert torch.equal(graphed(x, times, text.expand(batch), mask, which=which), expected)
    assert (record.recorded, record.replayed) == (2, 4)


def test_another_instruction_replaces_the_recorded_one(policy: CosmosPolicy) -> None:
    record = Recorder()
    graphed = GraphedNetwork(policy.network, record=record)
    x, times, mask, which = inputs(policy, 1, 0)
    channels = policy.config.transformer.crossattn_emb_channels
    texts = [policy.network.encode_text(torch.randn(1, 8, channels)) for _ in range(2)]
    for text in (texts[0], texts[1], texts[1].expand(1), texts[0]):
        assert torch.equal(
            graphed(x, times, text, mask, which=which), policy.network(x, times, text, mask, which=which)
        )
    scored = TextContext(texts[0].keys_values, torch.arange(8.0))
    assert torch.equal(
        graphed(x, times, scored, mask, which=which), policy.network(x, times, scored, mask, which=which)
    )
    assert record.recorded == 2


def test_an_answer_is_not_overwritten_by_the_next_one(policy: CosmosPolicy) -> None:
    graphed = GraphedNetwork(policy.network, record=Recorder())
    text = policy.encode(observation(policy)).text
    answers = []
    for seed in (0, 1):
        x, times, mask, which = inputs(policy, 1, seed)
        answers.append(graphed(x, times, text, mask, which=which))
    assert not torch.equal(*answers)


def test_large_batches_are_not_recorded(policy: CosmosPolicy) -> None:
    record = Recorder()
    scene = policy.encode(observation(policy))
    expected = policy.propose(scene, 3).actions
    policy.denoiser = GraphedNetwork(policy.network, largest_batch=2, record=record)
    np.testing.assert_array_equal(policy.propose(scene, 3).actions, expected)
    assert record.recorded == 0


def test_a_policy_with_replayed_launches_proposes_alike(policy: CosmosPolicy) -> None:
    record = Recorder()
    scene = policy.encode(observation(policy))
    expected = policy.propose(scene, steps=5).actions
    policy.denoiser = GraphedNetwork(policy.network, record=record)
    np.testing.assert_array_equal(policy.propose(scene, steps=5).actions, expected)
    assert (record.recorded, record.replayed) == (1, 5)


def test_on_a_cpu_launches_are_never_recorded(policy: CosmosPolicy) -> None:
    policy.accelerate(fused=False, graphs=True)
    assert policy.denoiser is policy.network
    with attention(torch.device("cpu")):
        assert torch.backends.cuda.math_sdp_enabled()


def test_plain_attention_remains_where_no_fast_kernel_can() -> None:
    assert ATTENTION[-1] is torch.nn.attention.SDPBackend.MATH
    with attention(torch.device("cuda")):  # only settings: no device is asked
        assert torch.backends.cuda.cudnn_sdp_enabled() and torch.backends.cuda.math_sdp_enabled()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("fused", "graphs"), [(False, False), (False, True), (True, False), (True, True)])
def test_on_a_gpu_fast_paths_answer_like_the_cpu(fused: bool, graphs: bool) -> None:
    on_cpu, policy = tiny_policy(), tiny_policy()
    expected = on_cpu.propose(padded(on_cpu), 3).actions
    for module in (policy.network, policy.tokenizer):
        module.cuda()  # type: ignore[attr-defined]
    policy.accelerate(fused=fused, graphs=graphs)
    together = policy.propose(padded(policy), 3).actions
    np.testing.assert_allclose(together, expected, atol=2e-3)
    for _ in range(2):
        np.testing.assert_allclose(policy.propose(padded(policy), 1).actions, together[:1], atol=2e-3)
