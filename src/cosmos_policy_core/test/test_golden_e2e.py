"""From camera images to chunks, futures and values: the whole policy equals the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from golden_cases import Case, cases, close, layout, network, wan_tokenizer
from numpy.typing import NDArray

from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.config import PolicyConfig, TokenizerConfig
from cosmos_policy_core.model.images import average_images, prepare_images
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy, Futures, Proposals, Scene
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.planning.aggregate import aggregate
from cosmos_policy_core.planning.planner import BestOfN
from cosmos_policy_core.planning.presets import REFERENCE

INSTRUCTION = "the instruction of this case"

# Cameras in latent order: name in the vectors, name of its predicted image there.
CAMERAS = {
    "libero": (("wrist_image", "wrist_image"), ("primary_image", "image")),
    "robocasa": (("wrist_image", "wrist_image"), ("primary_image", "image"), ("secondary_image", "image2")),
    "aloha": (("left_wrist_image", "wrist_image"), ("right_wrist_image", "wrist_image2"), ("primary_image", "image")),
}


def policy_of(case: Case, value_input: Literal["all", "future", "action"]) -> CosmosPolicy:
    config, net = case.config, network(case)
    horizon, action_dim = case["out_actions"].shape
    contract = Embodiment.load("aloha")
    preparation = {"resize_before": None, "flip_vertical": False, "jpeg_quality": 95 if config["jpeg"] else None}
    statistics = {
        f"{name}_{key}": case[f"in_stats_{name}_{key if key in ('min', 'max') else 'min'}"]  # only the range is used
        for name in ("actions", "proprio")
        for key in ("min", "max", "mean", "std", "median")
    }
    return CosmosPolicy(
        config=PolicyConfig(
            size="tiny",
            cameras=tuple(name for name, _ in CAMERAS[config["suite"]]),
            image_size=config["image_size"],
            center_crop=config["image_aug"],
            action_dim=action_dim,
            proprio_dim=len(case["in_obs_proprio"]),
            horizon=horizon,
            value_input=value_input,
            seeds="reference",
            tokenizer=TokenizerConfig(kind="wan", base_dim=config["vae_dim"]),
            transformer=net.config,
        ),
        network=net,
        tokenizer=wan_tokenizer(config["vae_file"], config["vae_dim"]),
        statistics=Statistics(**statistics),
        text=TextEmbeddings({INSTRUCTION: case.tensor("in_t5_text_embeddings")[0]}),
        contract=contract.model_copy(update={"images": contract.images.model_copy(update=preparation)}),
    )


def observation_of(case: Case) -> Observation:
    images = {name: case[f"in_obs_{name}"] for name, _ in CAMERAS[case.config["suite"]]}
    return Observation(images=images, proprio=case["in_obs_proprio"], instruction=INSTRUCTION)


def assert_images_look_alike(images: NDArray[np.uint8], case: Case, prefix: str) -> None:
    """Compare predicted images (cameras, S, S, 3): 99.9 % of the pixels within one grey level."""
    for image, (_, name) in zip(images, CAMERAS[case.config["suite"]], strict=True):
        difference = np.abs(image.astype(int) - case[f"{prefix}_{name}"].astype(int))
        assert (difference <= 1).mean() >= 0.999, f"{prefix}_{name}: {(difference > 1).mean():.1%} of the pixels differ"


@cases("e2e")
def test_the_sequence_has_its_frames_where_the_reference_has_them(case: Case) -> None:
    order = layout(case)
    expected = {"action": order.action, "value": order.value}
    expected |= {"current_proprio": order.proprio, "future_proprio": order.future_proprio}
    for (_, name), now, later in zip(CAMERAS[case.config["suite"]], order.images, order.future_images, strict=True):
        expected |= {f"current_{name}": now, f"future_{name}": later}
    found = {
        name.removeprefix("out_idx_").removesuffix("_latent_idx"): int(case[name][0]) for name in case.names("out_idx_")
    }
    assert found == dict.fromkeys(found, -1) | expected  # -1: a frame that the robot does not have


@cases("e2e")
def test_images_and_proprio_are_prepared_and_encoded_like_the_reference(case: Case) -> None:
    policy, observation, order = policy_of(case, "all"), observation_of(case), layout(case)
    images = prepare_images(
        list(observation.images.values()),
        case.config["image_size"],
        jpeg_quality=95 if case.config["jpeg"] else None,
        center_crop=case.config["image_aug"],
    )
    levels = np.abs(images.astype(int) - case["out_processed_images"].astype(int)).max()
    assert levels <= (3 if case.config["jpeg"] else 1)
    close(policy.statistics.normalize_proprio(observation.proprio), case["out_normalized_proprio"], rtol=1e-12)
    clean = policy.encode_images(torch.from_numpy(case["out_processed_images"])[None])
    close(clean[:, :, : order.action], case["out_orig_clean_latent"][:, :, : order.action], atol=1e-4)


@cases("e2e")
def test_a_proposal_holds_the_reference_s_chunk_value_and_future(case: Case) -> None:
    policy = policy_of(case, "all")
    scene = policy.encode(observation_of(case))
    proposals = policy.propose(scene, seeds=[case.config["seed"]], steps=case.config["steps_action"])
    close(proposals.latents, case["out_generated_latent"], atol=1e-4)
    close(proposals.actions[0], case["out_actions"], atol=1e-4)
    close(proposals.values[0], case["out_parallel_value"], atol=1e-5)
    assert_images_look_alike(policy.decode(proposals.latents, scene)[0], case, "out_parallel_future")


def ask_world_model(case: Case, policy: CosmosPolicy) -> tuple[Scene, Proposals, Futures]:
    config = case.config
    scene = policy.encode(observation_of(case))
    proposals = policy.propose(scene, seeds=[config["seed"]], steps=config["steps_action"])
    return scene, proposals, policy.imagine(scene, proposals, config["fs_ens"], config["steps_fs"])


def counted(case: Case, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (futures, members) values that make the score: without a value ensemble the first future's alone."""
    return (values[:1] if case.config["v_ens"] == 1 else values).ravel()


@cases("e2e")
def test_imagined_futures_and_their_values_match_the_reference(case: Case) -> None:
    config = case.config
    policy = policy_of(case, "future" if config["mask_vsp"] else "all")
    scene, _, futures = ask_world_model(case, policy)
    for member in range(config["fs_ens"]):
        close(futures.latents[:, member], case[f"out_ar_future_latent{member}"], atol=1e-4)
    values = counted(case, policy.evaluate(scene, futures, config["v_ens"], config["steps_v"])[0])
    if "out_ar_value_members" in case:
        close(values, case["out_ar_value_members"], atol=1e-5)
    close(aggregate(values, config["agg"]), case["out_ar_value"], atol=1e-5)


@cases("e2e")
def test_imagined_images_match_the_reference(case: Case) -> None:
    policy = policy_of(case, "all")
    scene, _, futures = ask_world_model(case, policy)
    images = policy.decode(futures.latents[0], scene)
    image = {"average": average_images(images), "last": images[-1]}[case.config["fs_agg"]]
    assert_images_look_alike(image, case, "out_ar_future")


@cases("e2e")
def test_values_of_state_and_action_match_the_reference(case: Case) -> None:
    config = case.config
    policy = policy_of(case, "action" if config["mask_q"] else "all")
    scene = policy.encode(observation_of(case))
    proposals = policy.propose(scene, seeds=[config["seed"]], steps=config["steps_action"])
    itself = Futures(proposals.latents[:, None], proposals.seeds)
    values = policy.evaluate(scene, itself, config["v_ens"], config["steps_v"])[0].ravel()
    if "out_ar_qvalue_members" in case:
        close(values, case["out_ar_qvalue_members"], atol=1e-5)
    close(aggregate(values, config["agg"]), case["out_ar_qvalue"], atol=1e-5)


@cases("e2e")
def test_the_reference_preset_values_a_candidate_like_the_reference(case: Case) -> None:
    config = case.config
    policy = policy_of(case, "future" if config["mask_vsp"] else "all")
    settings = replace(
        REFERENCE,
        n=1,
        futures=config["fs_ens"],
        values=config["v_ens"],
        aggregate=config["agg"],
        action_steps=config["steps_action"],
        future_steps=config["steps_fs"],
        value_steps=config["steps_v"],
    )
    plan = BestOfN(policy, policy, settings=settings).decide(observation_of(case), config["seed"])
    close(plan.actions, case["out_actions"], atol=1e-4)
    close(plan.candidate_values[0], case["out_ar_value"], atol=1e-5)
    if "out_ar_value_members" in case:
        close(plan.values[0].ravel(), case["out_ar_value_members"], atol=1e-5)
