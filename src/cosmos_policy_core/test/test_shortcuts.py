"""Work that is left out or done once changes no answer: each shortcut against the long way."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from policies import INSTRUCTION, observation, tiny_policy
from torch import Tensor

from cosmos_policy_core.model.config import TokenizerConfig
from cosmos_policy_core.model.images import to_model_range
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.model.text_context import SINKS, without_padding
from cosmos_policy_core.model.transformer import DiffusionTransformer, TransformerConfig
from cosmos_policy_core.model.wan import WanTokenizer
from cosmos_policy_core.planning.planner import BestOfN

ROUNDING = {"atol": 2e-6, "rtol": 1e-5}


@pytest.fixture(scope="module")
def policy() -> CosmosPolicy:
    return tiny_policy()


@pytest.fixture(scope="module")
def video_policy() -> CosmosPolicy:
    """A policy whose tokenizer is causal, like the published one."""
    return tiny_policy(tokenizer=TokenizerConfig(kind="wan", base_dim=8))


@pytest.fixture(scope="module")
def network() -> DiffusionTransformer:
    torch.manual_seed(0)
    config = TransformerConfig(
        model_channels=64, num_blocks=2, num_heads=2, adaln_lora_dim=8, crossattn_emb_channels=24
    )
    made = DiffusionTransformer(config)
    for name, parameter in made.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.2)
    return made.eval().requires_grad_(False)


def inputs(batch: int = 2, frames: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, times that are 0 on the first three frames, and the mask of those."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 16, frames, 4, 4, generator=generator)
    mask = torch.zeros(batch, 1, frames, 4, 4)
    mask[:, :, :3] = 1
    noise = torch.tensor([0.99, 0.8])[:batch]
    return x, (1 - mask[:, 0, :, 0, 0]) * noise[:, None], mask


def instruction(words: int, length: int = 512, channels: int = 24) -> Tensor:
    """An embedding as T5's are kept: exact zeros after the last word."""
    embedding = torch.zeros(1, length, channels)
    embedding[:, :words] = torch.randn(1, words, channels, generator=torch.Generator().manual_seed(words))
    return embedding


# Text ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [0, 1, 5, 13, 14, 60])
def test_a_sink_answers_like_all_the_padding_it_stands_for(network: DiffusionTransformer, words: int) -> None:
    x, times, mask = inputs()
    whole, short = network.encode_text(instruction(words)), network.encode_instruction(instruction(words))
    assert whole.keys_values[0][0].shape[2] == 512
    assert short.keys_values[0][0].shape[2] == -(-(words + SINKS) // 16) * 16
    expected = network(x, times, whole.expand(2), mask)
    torch.testing.assert_close(network(x, times, short.expand(2), mask), expected, **ROUNDING)


def test_words_without_the_sink_would_be_another_answer(network: DiffusionTransformer) -> None:
    x, times, mask = inputs()
    expected = network(x, times, network.encode_text(instruction(5)).expand(2), mask)
    dropped = network(x, times, network.encode_text(instruction(5)[:, :5]).expand(2), mask)
    assert (dropped - expected).abs().max() > 1000 * ROUNDING["atol"]


def test_the_sink_is_as_good_in_the_deployed_precision(network: DiffusionTransformer) -> None:
    x, times, mask = inputs()
    half = DiffusionTransformer(network.config)
    half.load_state_dict(network.state_dict())
    half.to(torch.bfloat16).requires_grad_(False)
    exact = half.float()(x, times, half.encode_text(instruction(5)).expand(2), mask)
    half.to(torch.bfloat16)
    errors = [
        (half(x.bfloat16(), times.bfloat16(), encode(instruction(5)).expand(2), mask) - exact).norm() / exact.norm()
        for encode in (half.encode_text, half.encode_instruction)
    ]
    assert errors[1] < 1.2 * errors[0] < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("words", [1, 12, 29, 400])
def test_the_weights_of_the_sink_add_up_to_the_padding(dtype: torch.dtype, words: int) -> None:
    kept, scores = without_padding(instruction(words).to(dtype))
    assert scores is not None
    assert (kept[:, words:] == 0).all()
    assert torch.equal(scores, scores.to(dtype).double())
    assert math.isclose(float(scores[words:].exp().sum()), 512 - words, rel_tol=1e-5)
    assert (scores[:words] == 0).all()


@pytest.mark.parametrize("words", [500, 512])
def test_an_instruction_that_fills_its_embedding_stays_as_it_is(words: int) -> None:
    kept, scores = without_padding(instruction(words))
    assert kept.shape[1] == 512 and scores is None


def test_an_instruction_is_projected_once_for_all_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, calls = tiny_policy(), list[int]()
    encode = policy.network.encode_text
    monkeypatch.setattr(policy.network, "encode_text", lambda embedding: calls.append(1) or encode(embedding))
    for seed in range(3):
        scene = policy.encode(observation(policy, seed))
        policy.evaluate(scene, policy.imagine(scene, policy.propose(scene), 1), 1)
    assert len(calls) == 1


def test_projected_keys_and_values_answer_like_the_embedding_itself(network: DiffusionTransformer) -> None:
    x, times, mask = inputs()
    embedding = instruction(5, length=8).expand(2, -1, -1)
    assert torch.equal(network(x, times, network.encode_text(embedding), mask), network(x, times, embedding, mask))


def test_a_policy_with_padded_instructions_answers_as_if_it_attended_the_padding() -> None:
    policy = tiny_policy()
    channels = policy.config.transformer.crossattn_emb_channels
    policy.text = TextEmbeddings({INSTRUCTION: instruction(4, channels=channels)[0]})
    scene = policy.encode(observation(policy))
    assert scene.text.scores is not None
    padded = policy.network.encode_text(policy.text[INSTRUCTION][None])
    short, whole = (policy.propose(dataclasses.replace(scene, text=text), 2).actions for text in (scene.text, padded))
    np.testing.assert_allclose(short, whole, atol=1e-5)


# Times --------------------------------------------------------------------------------------------------------------


def test_two_modulations_serve_all_frames(network: DiffusionTransformer) -> None:
    x, times, mask = inputs()
    text = network.encode_text(instruction(5, length=8)).expand(2)
    distinct = torch.stack([torch.zeros(2), times[:, -1]], dim=1)
    which = (mask[:, 0, :, 0, 0] == 0).long()
    seen: list[torch.Size] = []
    handle = network.t_embedder[1].register_forward_hook(lambda module, given, out: seen.append(given[0].shape))
    short = network(x, distinct, text, mask, which=which)
    handle.remove()
    assert seen == [(2, 2, 64)]
    torch.testing.assert_close(short, network(x, times, text, mask), **ROUNDING)


def test_rotary_tables_made_while_answering_serve_training_too(network: DiffusionTransformer) -> None:
    x, times, mask = inputs()
    trained = DiffusionTransformer(network.config)
    trained.load_state_dict(network.state_dict())
    text = instruction(5, length=8).expand(2, -1, -1)
    with torch.inference_mode():
        trained(x, times, text, mask)
    trained(x, times, text, mask).square().mean().backward()
    assert trained.blocks[0].self_attn.q_proj.weight.grad is not None  # type: ignore[index]


# Frames -------------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_frames_that_are_encoded_equal_those_of_the_whole_video(video_policy: CosmosPolicy) -> None:
    scene, layout = video_policy.encode(observation(video_policy)), video_policy.config.layout
    assert scene.images is not None
    side = video_policy.config.image_size
    video = torch.full((1, layout.frames, 3, side, side), -1.0)
    video[:, list(layout.images)] = video[:, list(layout.future_images)] = to_model_range(scene.images).movedim(-1, -3)
    whole = video_policy.tokenizer.encode_stills(video)
    for index in (layout.blank, *layout.images):
        torch.testing.assert_close(scene.clean[:, :, index], whole[:, :, index], **ROUNDING)


def test_only_frames_that_are_read_are_encoded(video_policy: CosmosPolicy) -> None:
    tokenizer, lengths = video_policy.tokenizer, list[int]()
    assert isinstance(tokenizer, WanTokenizer)
    tokenizer.forget()
    handle = tokenizer.vae.encoder.register_forward_pre_hook(lambda module, given: lengths.append(given[0].shape[2]))
    for _ in range(2):
        video_policy.encode(observation(video_policy))
    handle.remove()
    # Of 41 pixel frames: a black one and the place of the proprioception, once; three cameras every time.
    assert lengths == [1, 4] + [4, 4, 4] * 2


@torch.inference_mode()
def test_remembered_black_frames_change_no_latent(video_policy: CosmosPolicy) -> None:
    tokenizer = video_policy.tokenizer
    for batch, black, frames in ((1, 2, None), (3, 2, None), (2, 1, None), (1, 2, 4), (1, 2, 1)):
        stills = torch.rand(batch, 3, 3, 16, 16, generator=torch.Generator().manual_seed(batch)) * 2 - 1
        whole = torch.cat([torch.full((batch, black, 3, 16, 16), -1.0), stills], dim=1)
        for _ in range(2):
            short = tokenizer.encode_stills(stills, frames, black=black)
            torch.testing.assert_close(short, tokenizer.encode_stills(whole, frames), **ROUNDING)


@torch.inference_mode()
def test_black_frames_are_forgotten_with_the_weights_that_saw_them() -> None:
    tokenizer, other = (
        tiny_policy(seed, tokenizer=TokenizerConfig(kind="wan", base_dim=8)).tokenizer for seed in (0, 1)
    )
    assert isinstance(tokenizer, WanTokenizer) and isinstance(other, WanTokenizer)
    stills = torch.zeros(1, 1, 3, 16, 16)
    before = tokenizer.encode_stills(stills, black=2)
    tokenizer.load_state_dict(other.state_dict())
    after = tokenizer.encode_stills(stills, black=2)
    assert torch.equal(after, other.encode_stills(stills, black=2)) and not torch.equal(after, before)
    assert tokenizer.to(torch.float64).encode_stills(stills, black=2).dtype == torch.float64


@pytest.mark.parametrize("query", list(Query))
def test_frames_that_a_query_does_not_condition_on_are_never_read(policy: CosmosPolicy, query: Query) -> None:
    scene, layout = policy.encode(observation(policy)), policy.config.layout
    clean = torch.randn(1, *policy.config.latent_shape, generator=torch.Generator().manual_seed(2))
    other = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    other[:, :, list(layout.conditioned(query))] = clean[:, :, list(layout.conditioned(query))]
    first, second = (policy.sample(query, frames, scene.text, [4], [2]) for frames in (clean, other))
    assert torch.equal(first, second)


def test_a_plan_encodes_once_and_decodes_when_asked(policy: CosmosPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("encode_stills", "decode_stills"):
        work = getattr(policy.tokenizer, name)
        monkeypatch.setattr(
            policy.tokenizer,
            name,
            lambda *given, name=name, work=work, **options: calls.append(name) or work(*given, **options),
        )
    planner = BestOfN(policy, policy, n=2, futures=2, values=2)
    assert planner.decide(observation(policy), seed=0).images is None
    assert calls == ["encode_stills"]
    assert planner.decide(observation(policy), seed=0, images=True).images is not None
    assert calls[1:] == ["encode_stills", "decode_stills"]


@torch.inference_mode()
def test_decoding_stops_after_the_last_image_and_changes_none(video_policy: CosmosPolicy) -> None:
    layout, tokenizer = video_policy.config.layout, video_policy.tokenizer
    latents = torch.randn(1, *video_policy.config.latent_shape, generator=torch.Generator().manual_seed(2))
    whole, part = tokenizer.decode_stills(latents), tokenizer.decode_stills(latents[:, :, : layout.value])
    torch.testing.assert_close(part, whole[:, : layout.value], **ROUNDING)
