"""The shipped training configurations hold what the published runs resolved to."""

from __future__ import annotations

from typing import Any

import pytest
from golden_cases import FOLDER, ROLES, policy_configs

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.diffusion import NoiseDistribution, Schedule
from cosmos_policy_core.model.layout import LatentLayout, Query
from cosmos_policy_core.model.transformer import TransformerConfig
from cosmos_policy_core.training.run_config import RunConfig, load, shipped

OURS = {"aloha_vsprime": "aloha_planning"}  # names that differ


def runs(trained: bool) -> pytest.MarkDecorator:
    """Parametrise a test with every published configuration that trains, or that only infers."""
    found = [
        pytest.param(name, published, id=name)
        for name, published in policy_configs().items()
        if ("optimizer" in published) == trained
    ]
    reason = f"{FOLDER}: no published configurations"
    missing = pytest.param("", {}, id="no-configurations", marks=pytest.mark.skip(reason=reason))
    return pytest.mark.parametrize(("name", "published"), found or [missing])


def ours(name: str) -> RunConfig:
    shipped_name = OURS.get(name, name)
    if shipped_name not in shipped():
        pytest.skip(f"no configuration ships for the published run {name!r}")
    return load(shipped_name)


@runs(trained=True)
def test_the_learning_rate_and_the_optimiser_are_the_published_ones(name: str, published: dict[str, Any]) -> None:
    options, scheduler, adam = ours(name).optimiser, published["scheduler"], published["optimizer"]
    columns = {"length": "cycle_lengths", "warm_up": "warm_up_steps", "start": "f_start"}
    columns |= {"peak": "f_max", "end": "f_min"}
    for key, published_key in columns.items():
        assert [getattr(cycle, key) for cycle in options.cycles] == scheduler[published_key], key
    assert (options.learning_rate, list(options.betas)) == (adam["lr"], adam["betas"])
    assert (options.epsilon, options.weight_decay) == (adam["eps"], adam["weight_decay"])


@runs(trained=True)
def test_batches_are_drawn_and_labelled_as_published(name: str, published: dict[str, Any]) -> None:
    config, data = ours(name), published["dataset"]
    assert config.batch.per_process == published["dataloader"]["batch_size"]
    sampling = config.sampling
    assert (sampling.policy, sampling.absolute_scale, sampling.gamma) == ("published", False, data["gamma"])
    assert sampling.demonstrations == data["demonstration_sampling_prob"]
    assert sampling.successes == data["success_rollout_sampling_prob"]
    assert sampling.demonstrations_are_rollouts == data.get("treat_demos_as_success_rollouts", False)
    assert config.augmentation is not None
    assert config.augmentation.crop == data["use_image_aug"]
    assert (config.augmentation.rotation > 0) == data["use_stronger_image_aug"]
    assert Embodiment.load(config.embodiment).chunk_horizon == data["chunk_size"]


@runs(trained=True)
def test_noise_and_loss_are_the_published_ones(name: str, published: dict[str, Any]) -> None:
    config, model = ours(name), published["model"]
    sde, noise, objective = model["sde"], config.noise, config.objective
    assert sde["hybrid_sigma_distribution"] and noise.uniform_share == NoiseDistribution.uniform_share
    assert noise.log_mean == pytest.approx(sde["p_mean"], rel=1e-15)
    assert (noise.log_std, noise.uniform_low, noise.uniform_high) == (
        sde["p_std"],
        sde["uniform_lower"],
        sde["uniform_upper"],
    )
    assert (objective.reduce, objective.scale) == (model["loss_reduce"], model["loss_scale"])
    assert objective.action_weight == model["action_loss_multiplier"]
    assert objective.separate_losses == model["mask_loss_for_action_future_state_prediction"]
    assert objective.no_value_for_policy == model["mask_value_prediction_loss_for_policy_prediction"]
    assert (objective.value_input in ("future", "blind")) == model["mask_current_state_action_for_value_prediction"]
    assert (objective.value_input in ("action", "blind")) == model["mask_future_state_for_qvalue_prediction"]
    assert (config.compute.dtype, config.compute.shard_size) == (model["precision"], model["fsdp_shard_size"])


@runs(trained=True)
def test_the_sequence_and_the_network_are_the_published_ones(name: str, published: dict[str, Any]) -> None:
    contract, model = Embodiment.load(ours(name).embodiment), published["model"]
    roles = tuple(camera.role for camera in contract.cameras)
    layout = LatentLayout(len(roles))
    assert roles == ROLES[contract.name] and layout.frames == model["state_t"]
    conditioned = len(layout.conditioned(Query.POLICY))
    assert conditioned == model["min_num_conditional_frames"] == model["max_num_conditional_frames"]
    network, default = model["net"], TransformerConfig()
    shared = network.keys() & vars(default).keys()
    assert {"model_channels", "num_blocks", "num_heads", "adaln_lora_dim", "rope_h_extrapolation_ratio"} <= shared
    assert {key: getattr(default, key) for key in shared} == {key: network[key] for key in shared}
    assert default.time_scale == network["timestep_scale"]


@runs(trained=False)
def test_inference_runs_between_the_published_noise_levels(name: str, published: dict[str, Any]) -> None:
    sde = published["model"]["sde"]
    assert (Schedule.sigma_min, Schedule.sigma_max) == (sde["sigma_min"], sde["sigma_max"])
