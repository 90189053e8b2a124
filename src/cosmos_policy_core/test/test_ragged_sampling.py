"""Samples with different step counts advance together, each as if it were alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from policies import observation, tiny_policy
from torch import Tensor

from cosmos_policy_core.errors import SamplingStopped
from cosmos_policy_core.model.batching import BatchLimit, available_memory, samples_in_memory
from cosmos_policy_core.model.diffusion import sample
from cosmos_policy_core.model.layout import Query
from cosmos_policy_core.model.policy import CosmosPolicy

STEPS = [1, 2, 3, 5, 4, 1, 2]


@pytest.fixture(scope="module")
def policy() -> CosmosPolicy:
    return tiny_policy()


def ask(policy: CosmosPolicy, rows: list[int], **more: object) -> Tensor:
    """Sample rows of one fixed batch: seeds 10, 11, ... with the step counts above."""
    scene = policy.encode(observation(policy))
    seeds, steps = [10 + row for row in rows], [STEPS[row] for row in rows]
    return policy.sample(Query.POLICY, scene.clean.expand(len(rows), -1, -1, -1, -1), scene.text, seeds, steps, **more)  # type: ignore[arg-type]


def test_every_sample_of_a_ragged_batch_equals_the_one_sampled_alone(policy: CosmosPolicy) -> None:
    together = ask(policy, list(range(len(STEPS))))
    for row in range(len(STEPS)):
        torch.testing.assert_close(together[row], ask(policy, [row])[0], atol=2e-5, rtol=1e-5)


def test_a_sample_that_has_arrived_costs_no_more_network_calls() -> None:
    sizes: list[int] = []

    def halve(x: Tensor, sigma: Tensor) -> Tensor:
        sizes.append(len(x))
        return x / 2

    sample(halve, torch.randn(4, 2, dtype=torch.float64) * 80, [5, 3, 2, 1])
    assert sizes == [4, 2, 2, 1, 1]  # two steps are one evaluation, as published


def test_step_counts_that_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="largest first"):
        sample(lambda x, sigma: x, torch.zeros(2, 1), [1, 3])


def test_sampling_stops_before_the_next_network_call(policy: CosmosPolicy) -> None:
    asked = 0

    def after_two() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    calls = 0
    forward = policy.network.forward

    def counting(*args: object, **kwargs: object) -> Tensor:
        nonlocal calls
        calls += 1
        return forward(*args, **kwargs)  # type: ignore[arg-type]

    policy.network.forward = counting  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(SamplingStopped):
            ask(policy, [3, 4], should_stop=after_two)
    finally:
        del policy.network.forward
    assert calls == 2


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    limit, tried = BatchLimit(8), []

    def fits_three(rows: slice) -> Tensor:
        size = rows.stop - rows.start
        tried.append(size)
        if size > 3:
            raise torch.cuda.OutOfMemoryError("no room")
        return torch.arange(rows.start, rows.stop)

    np.testing.assert_array_equal(limit.run(fits_three, 10), np.arange(10))
    assert limit.samples <= 3
    assert tried[0] == 5  # ten in two equal parts, not eight and two
    tried.clear()
    limit.run(fits_three, 4)
    assert max(tried) <= 3


def test_a_single_sample_that_does_not_fit_is_an_error() -> None:
    def never(rows: slice) -> Tensor:
        raise torch.cuda.OutOfMemoryError("no room")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        BatchLimit(4).run(never, 4)


def test_the_limit_on_a_cpu_comes_from_free_memory(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  100 kB\nMemAvailable:   64 kB\n")
    assert available_memory(meminfo) == 64 * 1024
    assert available_memory(tmp_path / "none") is None
    few, many = samples_in_memory(2000, 2048, 4), samples_in_memory(44, 256, 4)
    assert few is None or (many is not None and many > few)
