"""Noise levels, preconditioning and solver are the reference's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from golden_cases import Case, cases, close

from cosmos_policy_core.model.diffusion import (
    NoiseDistribution,
    Schedule,
    edm,
    initial_noise,
    loss_weight,
    rectified_flow,
    sample,
    variance_scales,
)


def schedule_of(config: dict[str, Any]) -> Schedule:
    return Schedule(sigma_min=config["sigma_min"], sigma_max=config["sigma_max"], rho=config["rho"])


@cases("schedule")
def test_noise_levels_match_the_reference(case: Case) -> None:
    schedule = schedule_of(case.config)
    for steps in case.config["num_steps"]:
        close(schedule.sigmas(steps), case[f"out_n{steps}_sigmas_f64"], rtol=1e-12)
        evaluations = schedule.evaluations(steps).to(torch.float32)
        close(evaluations, case[f"out_n{steps}_denoiser_sigmas_f32"], rtol=1e-7)


class Mixture:
    """Ideal denoiser of a one-dimensional Gaussian mixture, element by element; remembers its calls."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.mu, self.w = (torch.tensor(config[name], dtype=torch.float64) for name in ("mu", "w"))
        self.s = config["s"]
        self.calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        level = sigma.double().view(-1, *[1] * x.dim())  # one more axis, for the components
        variance = self.s**2 + level**2
        offset = x.double()[..., None] - self.mu
        share = torch.softmax(self.w.log() - offset**2 / (2 * variance), dim=-1)
        x0 = (share * (self.mu + self.s**2 / variance * offset)).sum(-1).to(x.dtype)
        self.calls.append((sigma, x, x0))
        return x0


@cases("sampler")
def test_sampling_follows_the_reference_trajectory(case: Case) -> None:
    config = case.config
    exact = config["dtype"] == "float64"
    of_states, of_samples = ({"rtol": 1e-9, "atol": 1e-9},) * 2 if exact else ({"atol": 2e-5}, {"atol": 1e-6})
    # The reference scales the float32 noise before it widens it.
    noise = (case.tensor("in_noise") * config["sigma_max"]).to(getattr(torch, config["dtype"]))
    for steps in config["num_steps"]:
        denoiser = Mixture(config)
        final = sample(denoiser, noise, steps, schedule_of(config))
        assert final.dtype == noise.dtype
        close(final, case[f"out_n{steps}_final"], **of_samples)
        close(torch.stack([sigma[0] for sigma, _, _ in denoiser.calls]), case[f"out_n{steps}_eval_sigma"], rtol=1e-7)
        if steps in config["store_traj"]:
            close(torch.stack([x for _, x, _ in denoiser.calls]), case[f"out_n{steps}_eval_x"], **of_states)
            close(torch.stack([x0 for _, _, x0 in denoiser.calls]), case[f"out_n{steps}_eval_x0"], **of_samples)


@cases("init_noise")
def test_start_noise_of_a_seed_is_the_reference_s(case: Case) -> None:
    for seed in case.config["seeds"]:
        np.testing.assert_array_equal(initial_noise(tuple(case.config["shape"]), seed), case[f"out_noise_seed{seed}"])
        close(variance_scales(seed), case[f"out_variance_scales_seed{seed}"], rtol=1e-12)


@cases("scaling")
def test_preconditioning_matches_the_reference(case: Case) -> None:
    names = {"c_skip": "skip", "c_out": "out", "c_in": "into", "c_noise": "noise"}
    for dtype, rtol in (("float32", 3e-7), ("float64", 1e-12)):
        sigma = case.tensor("in_sigma").to(getattr(torch, dtype))
        positive = sigma[sigma > 0]
        flow, classic = rectified_flow(sigma), edm(positive, case.config["edm_sigma_data"])
        for name, field in names.items():
            close(getattr(flow, field), case[f"out_rf_{name}_{dtype}"], rtol=rtol)
            close(getattr(classic, field), case[f"out_edm_{name}_{dtype}"], rtol=rtol, atol=rtol)
        close(loss_weight(positive), case[f"out_rf_loss_weight_{dtype}"], rtol=rtol)
    as_deployed = rectified_flow(case.tensor("in_sigma").to(torch.float32)).noise.to(torch.bfloat16)
    close(as_deployed, case["out_rf_c_noise_as_bf16"])


def five_sigma(probability: np.ndarray, count: int, other: int) -> np.ndarray:
    """Bound the difference of two measured frequencies of an event, of `count` and `other` draws."""
    return 5 * np.sqrt(probability * (1 - probability) * (1 / count + 1 / other)) + 1e-5


def distribution_of(sde: dict[str, Any]) -> NoiseDistribution:
    return NoiseDistribution(
        log_mean=sde["p_mean"],
        log_std=sde["p_std"],
        uniform_low=sde["uniform_lower"],
        uniform_high=sde["uniform_upper"],
    )


@cases("sigma_dist")
def test_training_noise_levels_are_distributed_like_the_reference_s(case: Case) -> None:
    distribution, frames, count = distribution_of(case.config["sde"]), case.config["net"]["state_t"], 1_000_000
    generator = torch.Generator().manual_seed(case.config["seed"])
    draws = distribution.sample(count, 1, generator).numpy()
    expected = case["out_hist_counts"] / case.config["n"]
    counts = np.bincount(np.searchsorted(case["in_hist_edges"], draws), minlength=len(expected)) / count
    assert (np.abs(counts - expected) <= five_sigma(expected, count, case.config["n"])).all()
    levels = case["in_quantile_levels"]
    training = distribution.sample(count, frames, generator).numpy()
    for values, name, reference_count in (
        (draws, "out_quantiles", case.config["n"]),
        (training, "out_training_quantiles", case.config["n2"]),
    ):
        below = np.searchsorted(np.sort(values), case[name]) / count
        assert (np.abs(below - levels) <= five_sigma(levels, count, reference_count)).all(), name
    close(np.sqrt(frames), case["out_video_noise_multiplier"], rtol=1e-12)


@cases("sigma_dist")
def test_training_noise_has_the_moments_of_the_reference_s(case: Case) -> None:
    sde, count = case.config["sde"], 1_000_000
    draws = distribution_of(sde).sample(count, 1, torch.Generator().manual_seed(case.config["seed"])).numpy()
    logs, above = np.log(draws), draws > sde["uniform_upper"]
    spread = logs.std()
    for name, found, deviation in (
        ("out_mean_log_sigma", logs.mean(), spread),
        ("out_std_log_sigma", spread, np.square(logs - logs.mean()).std() / (2 * spread)),
        ("out_mean_sigma", draws.mean(), draws.std()),
        ("out_frac_above_uniform_upper", above.mean(), above.std()),
    ):
        close(found, case[name], atol=5 * deviation * np.sqrt(1 / count + 1 / case.config["n"]))
    samples, shared = case["out_training_shape"]
    assert shared == 1  # level per sample, whatever the number of frames
    assert distribution_of(sde).sample(samples, case.config["net"]["state_t"], torch.Generator()).shape == (samples,)
