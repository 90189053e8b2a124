"""Normalisation, value labels and the make-up of an epoch are the reference's."""

from __future__ import annotations

import numpy as np
from golden_cases import Case, cases, close

from cosmos_policy_core.data.returns import action_chunk, epoch_structure, monte_carlo_returns
from cosmos_policy_core.data.statistics import normalize, statistics_of, unnormalize


@cases("normalize")
def test_actions_and_proprio_are_scaled_like_the_reference_scales_them(case: Case) -> None:
    ranges = {name: (case[f"in_stats_{name}_min"], case[f"in_stats_{name}_max"]) for name in ("actions", "proprio")}
    for scale in case.config["mults"]:
        suffix = str(scale).replace(".", "p")
        for name, (low, high) in ranges.items():
            for kind, nonnegative in (("pm1", False), ("nonneg", True)):
                scaled = normalize(case[f"in_{name}"], low, high, nonnegative=nonnegative, scale=scale)
                close(scaled, case[f"out_{name}_{suffix}_{kind}"], rtol=1e-12, atol=1e-15)
        robot = unnormalize(case["in_norm_actions"], *ranges["actions"], scale=scale)
        close(robot, case[f"out_unnorm_actions_{suffix}"], rtol=1e-12, atol=1e-15)
    there = normalize(case["in_actions"], *ranges["actions"])
    close(unnormalize(there, *ranges["actions"]), case["out_roundtrip_actions"], rtol=1e-12, atol=1e-12)


@cases("normalize")
def test_statistics_match_the_reference(case: Case) -> None:
    for name, array in (("actions", case["in_actions"]), ("proprio", case["in_proprio_ep"])):
        summary = statistics_of(array)
        for key in ("min", "max", "median"):
            close(getattr(summary, key), case[f"out_stat_{name}_{key}"], rtol=1e-12)
        for key in ("mean", "std"):
            close(getattr(summary, key), case[f"out_stat_{name}_{key}"], rtol=1e-5, atol=1e-7)


@cases("returns")
def test_value_labels_match_the_reference(case: Case) -> None:
    for number, (length, reward, gamma) in enumerate(case.config["cases"]):
        close(monte_carlo_returns(length, reward, gamma), case[f"out_returns{number}"], atol=1e-6)


@cases("returns")
def test_chunks_repeat_the_last_action_beyond_the_end(case: Case) -> None:
    for number, (length, horizon, start) in enumerate(case.config["chunk_cases"]):
        chunk = action_chunk(case["in_actions"][:length], start, horizon)
        np.testing.assert_array_equal(chunk, case[f"out_chunk{number}"])


@cases("returns")
def test_an_epoch_holds_the_samples_that_the_reference_s_holds(case: Case) -> None:
    epochs = [tuple(epoch_structure(*entry)) for entry in case.config["epoch_cases"]]
    np.testing.assert_array_equal(epochs, case["out_epoch"])
