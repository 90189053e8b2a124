"""The training objective equals the reference's: masks, losses and gradients."""

from __future__ import annotations

import copy
import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from golden_cases import ROLES, Case, cases, close, layout, network

from cosmos_policy_core.data.sampling import Kind
from cosmos_policy_core.model.denoise import Condition, network_input
from cosmos_policy_core.model.diffusion import loss_weight
from cosmos_policy_core.training.measures import SAMPLE_KINDS, describe
from cosmos_policy_core.training.objective import (
    POLICY,
    VALUE,
    WORLD,
    Batch,
    Loss,
    ObjectiveConfig,
    compute_loss,
    condition_masks,
    divisor,
    inject_all,
    silent_loss,
)
from cosmos_policy_core.training.schedule import Cycle, learning_rate_factor

LOSS = {"rtol": 2e-5, "atol": 2e-5}
GRADIENT = {"rtol": 1e-4, "atol": 1e-6}


def batch_of(case: Case, without_value_samples: bool = False) -> Batch:
    rollout, world, value = (
        case.tensor(f"in_{name}_mask") > 0 for name in ("rollout_data", "world_model_sample", "value_function_sample")
    )
    kind = torch.full(rollout.shape, POLICY)
    kind[rollout & world] = WORLD
    kind[rollout & value] = WORLD if without_value_samples else VALUE
    return Batch(
        latents=case.tensor("in_latents"),
        proprio=case.tensor("in_proprio"),
        future_proprio=case.tensor("in_future_proprio"),
        actions=case.tensor("in_actions"),
        value=case.tensor("in_value_function_return"),
        kind=kind,
        text=case.tensor("in_t5_text_embeddings"),
    )


def objective_of(flags: dict[str, Any]) -> ObjectiveConfig:
    """Translate the reference's flags."""
    future_only = flags.get("mask_current_state_action_for_value_prediction", False)
    action_only = flags.get("mask_future_state_for_qvalue_prediction", False)
    seen = {(False, False): "all", (True, False): "future", (False, True): "action", (True, True): "blind"}
    return ObjectiveConfig(
        value_input=seen[future_only, action_only],  # type: ignore[arg-type]
        separate_losses=flags.get("mask_loss_for_action_future_state_prediction", False),
        no_value_for_policy=flags.get("mask_value_prediction_loss_for_policy_prediction", False),
        action_weight=flags.get("action_loss_multiplier", 1),
        reduce=flags.get("loss_reduce", "mean"),
        scale=flags.get("loss_scale", 10.0),
    )


@cases("masks_train")
def test_training_samples_see_the_frames_that_the_reference_shows_them(case: Case) -> None:
    batch, order = batch_of(case), layout(case)
    for variant in case.config["variants"]:
        name = variant["name"]
        close(condition_masks(batch.kind, order, objective_of(variant["flags"])), case[f"out_{name}_mask_BT"])
        close(inject_all(batch.latents, order, batch), case[f"out_{name}_gt_frames"])
        untouched = torch.equal(batch.latents, case.tensor("in_latents"))
        assert untouched == case[f"out_{name}_orig_gt_frames_equal_latents"]


def loss_of(case: Case, variant: dict[str, Any], gradients: bool) -> tuple[Loss, torch.nn.Module]:
    net = network(case)
    if gradients:
        net = copy.deepcopy(net).requires_grad_(True)
    batch = batch_of(case, without_value_samples=variant.get("no_value", False))
    sigma, noise = case.tensor("in_sigma")[:, 0], case.tensor("in_epsilon")
    return compute_loss(net, batch, sigma, noise, layout(case), objective_of(variant["flags"])), net


@cases("train_loss")
def test_every_loss_variant_matches_the_reference(case: Case) -> None:
    for variant in case.config["variants"]:
        name = variant["name"]
        with torch.no_grad():
            loss, _ = loss_of(case, variant, gradients=False)
        close(loss.x0, case[f"out_{name}_x0_pred"], **LOSS)
        close(loss.per_frame, case[f"out_{name}_edm_loss_per_frame"], **LOSS)
        close(loss.per_frame * loss.weights, case[f"out_{name}_masked_loss_per_frame"], **LOSS)
        close(loss.total, case[f"out_{name}_loss"], **LOSS)
        if f"out_{name}_mse_loss" in case:
            close((loss.x0 - loss.target).square().mean(), case[f"out_{name}_mse_loss"], **LOSS)
            close(loss.total / objective_of(variant["flags"]).scale, case[f"out_{name}_edm_loss"], **LOSS)


@cases("train_loss")
def test_gradients_match_the_reference(case: Case) -> None:
    for variant in case.config["variants"]:
        if not variant.get("grads"):
            continue
        name = variant["name"]
        loss, net = loss_of(case, variant, gradients=True)
        loss.total.backward()
        parameters = dict(net.named_parameters())
        norm = torch.sqrt(sum(p.grad.double().square().sum() for p in parameters.values()))  # type: ignore[union-attr,arg-type]
        close(norm, case[f"out_{name}_grad_norm"], **GRADIENT)
        for parameter in case.config["grad_params"]:
            gradient = parameters[parameter].grad
            assert gradient is not None
            close(gradient, case[f"out_{name}_grad_{parameter}"], **GRADIENT)


@cases("train_loss")
def test_what_the_network_is_trained_on_matches_the_reference(case: Case) -> None:
    batch, order, sigma = batch_of(case), layout(case), case.tensor("in_sigma")[:, 0]
    for variant in case.config["variants"]:
        if not variant.get("store_full"):
            continue
        name = variant["name"]
        clean = inject_all(batch.latents, order, batch)
        noisy = clean + sigma[:, None, None, None, None] * case.tensor("in_epsilon")
        masks = condition_masks(batch.kind, order, objective_of(variant["flags"]))
        condition = Condition(clean, masks, network(case).encode_text(batch.text))
        given = network_input(noisy, sigma, condition)
        close(clean, case[f"out_{name}_x0_injected"])
        close(noisy, case[f"out_{name}_xt"], **LOSS)
        close(given.latents, case[f"out_{name}_net_input"], **LOSS)
        close(given.times, case[f"out_{name}_net_timesteps"], **LOSS)
        close(loss_weight(sigma)[:, None], case[f"out_{name}_weights_per_sigma"], **LOSS)


def assert_components_are_logged(case: Case) -> None:
    variant = case.config["variants"][0]
    with torch.no_grad():
        loss, _ = loss_of(case, variant, gradients=False)
    logged = describe(loss, batch_of(case).kind, case.roles)
    prefix = f"out_{variant['name']}_log_"
    for key in case.names(prefix):
        found = logged.get(key.removeprefix(prefix), math.nan)  # of a kind that the batch has none of
        assert found == pytest.approx(float(case[key]), rel=2e-5, abs=2e-5, nan_ok=True), key


@cases("train_loss")
def test_logged_components_match_the_reference(case: Case) -> None:
    assert_components_are_logged(case)


def logged_as(case: Case, suite: str) -> Case:
    """The same batch as another robot's of as many cameras: its third-person camera is another frame."""
    name = case.config["variants"][0]["name"]
    frame = layout(case).future_images[ROLES[suite].index("primary")]
    error = (case[f"out_{name}_x0_injected"] - case[f"out_{name}_x0_pred"])[:, :, frame]
    kind = batch_of(case).kind.numpy()
    changed = {}
    for of_kind in (POLICY, WORLD):
        chosen, label = error[kind == of_kind], f"out_{name}_log_{SAMPLE_KINDS[of_kind]}_future_image"
        for unit, magnitude in (("mse", np.square(chosen)), ("l1", np.abs(chosen))):
            changed[f"{label}_{unit}_loss"] = np.float32(magnitude.mean() if len(chosen) else math.nan)
    return case.changed(changed, suite=suite)


@cases("train_loss")
def test_images_are_logged_under_the_roles_of_their_suite(case: Case) -> None:
    for suite, roles in ROLES.items():
        if len(roles) == len(case.roles):
            assert_components_are_logged(logged_as(case, suite))


@cases("train_loss")
def test_a_batch_without_some_kind_of_sample_logs_the_others(case: Case) -> None:
    kinds, prefix = batch_of(case).kind.numpy(), f"out_{case.config['variants'][0]['name']}_log_"
    for kind in np.unique(kinds):
        cut = {name: case[name][kinds == kind] for name in case.names("in_")}
        own = f"{prefix}{SAMPLE_KINDS[Kind(kind)]}_"
        absent = {name: np.float32(math.nan) for name in case.names(prefix) if not name.startswith(own)}
        assert_components_are_logged(case.changed(cut | absent))


@cases("train_loss")
def test_a_batch_in_parts_adds_up_to_the_whole(case: Case) -> None:
    order, net = layout(case), network(case)
    batch, sigma, noise = batch_of(case), case.tensor("in_sigma")[:, 0], case.tensor("in_epsilon")
    for reduce in ("mean", "sum", "predicted"):
        config = ObjectiveConfig(value_input="future", reduce=reduce, action_weight=3.0)  # type: ignore[arg-type]
        whole = divisor(batch.kind, order, config, batch.latents.shape[1])
        parts = torch.zeros(())
        with torch.no_grad():
            for rows in torch.arange(len(batch.kind)).split(max(len(batch.kind) - 1, 1)):
                part = Batch(**{field.name: getattr(batch, field.name)[rows] for field in fields(batch)})
                parts += compute_loss(net, part, sigma[rows], noise[rows], order, config, whole=whole).total
            together = compute_loss(net, batch, sigma, noise, order, config).total
        close(parts, together.numpy(), **LOSS)


@cases("train_loss")
def test_a_silent_network_loses_what_one_with_zero_outputs_does(case: Case) -> None:
    order, net = layout(case), copy.deepcopy(network(case))
    with torch.no_grad():
        net.final_layer.linear.weight.zero_()
    batch, sigma, noise = batch_of(case), case.tensor("in_sigma")[:, 0], case.tensor("in_epsilon")
    for hidden in ("denoised", "noise"):
        config = ObjectiveConfig(value_input="future", hidden_frames=hidden)  # type: ignore[arg-type]
        with torch.no_grad():
            zero = compute_loss(net, batch, sigma, noise, order, config).total
        close(silent_loss(batch, sigma, noise, order, config), zero.numpy(), **LOSS)


@cases("lr")
def test_the_learning_rate_follows_the_reference_s_cycles(case: Case) -> None:
    columns = (case.config["sched"][key] for key in ("cycle_lengths", "warm_up_steps", "f_start", "f_max", "f_min"))
    cycles = tuple(Cycle(*column) for column in zip(*columns, strict=True))
    factors = [learning_rate_factor(int(step), cycles) for step in case["in_steps"]]
    close(factors, case["out_multiplier"], rtol=1e-12)
