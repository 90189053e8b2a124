"""Whole sampling calls of the policy equal the reference's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from golden_cases import Case, cases, close, half_network, layout, network, relative_error
from torch import Tensor

from cosmos_policy_core.model.denoise import Condition, NetworkInput, generate, network_input, predict_clean
from cosmos_policy_core.model.diffusion import Schedule, initial_noise, sample, variance_scales
from cosmos_policy_core.model.latents import extract_actions, extract_value, inject
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.transformer import DiffusionTransformer

STATE = {"atol": 3e-4}  # 1e-6 of solver states, which reach 300
SAMPLE = {"atol": 5e-5}


@cases("denoise")
@torch.inference_mode()
def test_predictions_keep_conditioned_frames_and_denoise_the_others(case: Case) -> None:
    net = network(case)
    noisy, sigma = case.tensor("in_xt"), case.tensor("in_sigma")
    condition = Condition(
        clean=case.tensor("in_gt_frames"),
        mask=case.tensor("in_condition_mask")[:, 0, :, 0, 0],
        text=net.encode_text(case.tensor("in_t5_text_embeddings")),
        padding_mask=case.tensor("in_padding_mask"),
    )
    given = network_input(noisy, sigma, condition)
    close(given.latents, case["out_net_input"], atol=3e-5, rtol=1e-5)
    close(given.times, case["out_net_timesteps"], atol=3e-5, rtol=1e-5)
    x0 = predict_clean(net, noisy, sigma, condition)
    close(x0, case["out_x0"], atol=3e-5, rtol=1e-5)
    level = sigma.view(*sigma.shape, *[1] * (2 - sigma.dim()))[:, None, :, None, None]
    close((noisy - x0) / level, case["out_eps"], atol=3e-5, rtol=1e-5)


@dataclass
class Recorder:
    """A denoiser that remembers what it was asked and what it answered."""

    denoise: Callable[[Tensor, Tensor], Tensor]
    sigmas: list[Tensor] = field(default_factory=list)
    states: list[Tensor] = field(default_factory=list)
    answers: list[Tensor] = field(default_factory=list)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.sigmas.append(sigma)
        self.states.append(x)
        self.answers.append(self.denoise(x, sigma))
        return self.answers[-1]


def query_of(call: dict[str, Any]) -> Query:
    if call["mode"] != "value":
        return {"policy": Query.POLICY, "world": Query.WORLD}[call["mode"]]
    return masked_value_query(call.get("mask_vsp"), call.get("mask_q"))


def masked_value_query(future_only: bool | None, action_only: bool | None) -> Query:
    if future_only and action_only:
        return Query.BLIND_VALUE
    if action_only:
        return Query.ACTION_VALUE
    return Query.FUTURE_VALUE if future_only else Query.VALUE


@dataclass(frozen=True)
class Call:
    """One sampling call of a case, prepared."""

    condition: Condition
    noise: Tensor
    steps: int
    schedule: Schedule

    def run(self, net: DiffusionTransformer) -> tuple[Tensor, Recorder]:
        recorder = Recorder(lambda x, sigma: predict_clean(net, x, sigma, self.condition))
        return sample(recorder, self.noise, self.steps, self.schedule), recorder

    def inputs(self, net: DiffusionTransformer, recorder: Recorder) -> list[NetworkInput]:
        return [
            network_input(x, sigma, self.condition) for x, sigma in zip(recorder.states, recorder.sigmas, strict=True)
        ]


def prepare(case: Case, call: dict[str, Any], latents: Tensor, net: DiffusionTransformer) -> Call:
    order = layout(case)
    clean = inject(latents, order.proprio, case.tensor("in_proprio"))
    mask = order.condition_mask(query_of(call)).expand(len(latents), -1)
    text = net.encode_text(case.tensor("in_t5_text_embeddings"))
    schedule = Schedule()
    if call.get("variance_scale"):
        schedule = schedule.scaled(variance_scales(call["seed"]))
    # One draw for the whole batch, as the reference does it.
    noise = initial_noise(tuple(latents.shape), call["seed"]) * schedule.sigma_max
    return Call(Condition(clean, mask, text), noise, call["num_steps"], schedule)


@cases("generate")
@torch.inference_mode()
def test_policy_world_and_value_samples_match_the_reference(case: Case) -> None:
    net, order = network(case), layout(case)
    done: dict[str, Tensor] = {}
    for call in case.config["calls"]:
        name = call["name"]
        latents = done[call["prev"]] if "prev" in call else case.tensor("in_latents")
        prepared = prepare(case, call, latents, net)
        sampled, seen = prepared.run(net)
        close(sampled, case[f"out_{name}_sample"], **SAMPLE)
        close(torch.stack(seen.sigmas), case[f"out_{name}_denoiser_sigmas"], rtol=1e-6)
        if call.get("store_steps"):
            np.testing.assert_array_equal(latents, case[f"out_{name}_orig_clean"])
            close(prepared.noise, case[f"out_{name}_initial_noise"], **STATE)
            close(torch.stack(seen.states), case[f"out_{name}_step_x"], **STATE)
            close(torch.stack(seen.answers), case[f"out_{name}_step_x0"], **SAMPLE)
        horizon, width = case[f"out_{name}_action"].shape[1:]
        close(extract_actions(sampled[:, :, order.action], horizon, width), case[f"out_{name}_action"], **SAMPLE)
        close(extract_value(sampled[:, :, order.value]), case[f"out_{name}_value"], **SAMPLE)
        # Later calls start from the stored sample, so that a failure names the call that went wrong.
        done[name] = case.tensor(f"out_{name}_sample")


@cases("generate")
def test_generate_is_the_same_sampling_call(case: Case) -> None:
    net, call = network(case), case.config["calls"][0]
    prepared = prepare(case, call, case.tensor("in_latents"), net)
    sampled = generate(net, prepared.condition, prepared.noise, prepared.steps, schedule=prepared.schedule)
    close(sampled, case[f"out_{call['name']}_sample"], **SAMPLE)


@cases("generate_bf16")
@torch.inference_mode()
def test_sampling_in_the_deployed_precision_stays_near_the_reference(case: Case) -> None:
    half, full = half_network(case), network(case)
    for call in case.config["calls"]:
        name = call["name"]
        exact, _ = prepare(case, call, case.tensor("in_latents"), full).run(full)
        close(exact, case[f"out_{name}_sample_f32"], **SAMPLE)
        latents = case.tensor("in_latents")
        prepared = prepare(case, call, latents, half)
        sampled, seen = prepared.run(half)
        untouched = torch.equal(latents, case.tensor("in_latents"))
        assert untouched == case[f"out_{name}_orig_clean_equals_latents"]
        assert str(sampled.dtype).removeprefix("torch.") == str(case[f"out_{name}_sample_dtype"]).removeprefix("torch.")
        assert relative_error(sampled, case[f"out_{name}_sample"]) < 3e-2
        given = prepared.inputs(half, seen)
        times = torch.stack([one.times.bfloat16() for one in given])
        close(times, case[f"out_{name}_net_timesteps"])
        close(given[0].latents.bfloat16(), case[f"out_{name}_net_input_first"], rtol=2**-7, atol=1e-9)


@cases("generate_bf16")
@torch.inference_mode()
def test_the_deployed_network_sees_every_time_rounded_as_the_reference_s_does(case: Case) -> None:
    half = half_network(case)
    for call in case.config["calls"]:
        seen: list[Tensor] = []
        hook = half.t_embedder[0].register_forward_pre_hook(lambda module, given, seen=seen: seen.append(given[0]))
        prepare(case, call, case.tensor("in_latents"), half).run(half)
        hook.remove()
        expected = case.tensor(f"out_{call['name']}_net_timesteps").amax(dim=-1)  # of the frames that are denoised
        assert torch.equal(torch.stack(seen)[..., 1].float(), expected.float())
        assert all((times[:, 0] == 0).all() for times in seen)  # of the conditioned ones


@cases("masks_infer")
def test_every_query_conditions_the_frames_that_the_reference_conditions(case: Case) -> None:
    order = layout(case)
    latents = case.tensor("in_latents")
    injected = inject(latents, order.proprio, case.tensor("in_proprio"))
    for variant in case.config["variants"]:
        name, count = variant["name"], variant["num_cond"]
        has_proprio = variant.get("proprio", True)
        close(injected if has_proprio else latents, case[f"out_{name}_gt_frames"])
        close(latents, case[f"out_{name}_orig_gt_frames"])
        query = {
            len(order.conditioned(Query.POLICY)): Query.POLICY,
            len(order.conditioned(Query.WORLD)): Query.WORLD,
            order.value: masked_value_query(variant["mask_vsp"], variant["mask_q"]),
        }.get(count)
        if query is not None:  # a single conditioned frame is no query of this package
            close(order.condition_mask(query).expand(len(latents), -1), case[f"out_{name}_mask_BT"])
