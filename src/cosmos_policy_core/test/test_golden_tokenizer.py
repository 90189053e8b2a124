"""The Wan tokenizer encodes and decodes what the reference encodes and decodes."""

from __future__ import annotations

import math

import torch
from golden_cases import Case, cases, close, manifest, shapes, wan_tokenizer

from cosmos_policy_core.model.images import to_model_range
from cosmos_policy_core.model.wan import WAN_LATENT_MEAN, WAN_LATENT_STD, WanTokenizer


def tokenizer_of(case: Case) -> WanTokenizer:
    return wan_tokenizer(case.config["state_file"], case.config["dim"])


@cases("vae")
@torch.inference_mode()
def test_encoding_matches_the_reference(case: Case) -> None:
    video = to_model_range(case.tensor("in_video_u8"))
    tokenizer = tokenizer_of(case)
    close(tokenizer.mean(video), case["out_mu_raw"], atol=3e-5)
    close(tokenizer.encode(video), case["out_latent"], atol=3e-5)


@cases("vae")
@torch.inference_mode()
def test_encoding_only_the_first_frames_does_not_change_them(case: Case) -> None:
    video = to_model_range(case.tensor("in_video_u8"))
    for frames in {1, case["out_latent"].shape[2] // 2 + 1}:
        close(tokenizer_of(case).encode(video, frames=frames), case["out_latent"][:, :, :frames], atol=3e-5)


@cases("vae")
@torch.inference_mode()
def test_decoding_matches_the_reference_within_the_displayable_range(case: Case) -> None:
    pairs = [("out_latent", "out_decoded"), ("in_rand_latent", "out_decoded_rand")]
    for latent, decoded in pairs:
        if latent in case:
            close(tokenizer_of(case).decode(case.tensor(latent)), case[decoded].clip(-1, 1), atol=3e-5)


def test_the_full_size_tokenizer_has_exactly_the_published_tensors() -> None:
    published = manifest("dim_mult")
    with torch.device("meta"):
        tokenizer = WanTokenizer(published["constructor_arguments"]["dim"])
    expected = {name: tuple(entry["shape"]) for name, entry in published["entries"].items()}
    assert shapes(tokenizer.state_dict()) == expected
    assert sum(math.prod(shape) for shape in expected.values()) == published["total_parameters"]
    assert list(WAN_LATENT_MEAN) == published["latent_mean"]
    assert list(WAN_LATENT_STD) == published["latent_std"]
