"""Statistics files and the scaling they define."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cosmos_policy_core.data.statistics import Statistics, normalize, unnormalize
from cosmos_policy_core.errors import StatisticsError


@pytest.fixture
def statistics() -> Statistics:
    rng = np.random.default_rng(0)
    return Statistics.of(rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=(50, 3)).astype(np.float32))


def test_scaling_and_back_is_the_identity(statistics: Statistics) -> None:
    x = np.random.default_rng(1).normal(size=(4, 5, 3))
    np.testing.assert_allclose(statistics.unnormalize_actions(statistics.normalize_actions(x)), x, atol=1e-12)


def test_the_range_maps_to_minus_one_and_one_and_nothing_is_clipped() -> None:
    np.testing.assert_array_equal(normalize([0.0, 2.0, 3.0], 0.0, 2.0), [-1.0, 1.0, 2.0])
    np.testing.assert_array_equal(normalize([0.0, 2.0, 3.0], 0.0, 2.0, nonnegative=True, scale=2.0), [0.0, 2.0, 3.0])
    np.testing.assert_array_equal(unnormalize([-1.0, 1.0], 0.0, 2.0), [0.0, 2.0])


def test_a_statistics_file_is_read_back_as_written(statistics: Statistics, tmp_path: Path) -> None:
    statistics.save(tmp_path)
    data = json.loads((tmp_path / "dataset_statistics.json").read_text())
    assert len(data) == 10 and all(len(values) == 3 for values in data.values())
    np.testing.assert_array_equal(Statistics.load(tmp_path).proprio_std, statistics.proprio_std)


def test_a_joint_that_never_moves_is_refused_by_name_unless_widened() -> None:
    values = np.random.default_rng(0).normal(size=(9, 2))
    values[:, 1] = 0.5
    statistics = Statistics.of(values, values)
    with pytest.raises(StatisticsError, match="actions: gripper never change"):
        statistics.require_spread(["waist", "gripper"])
    wide = statistics.widened(0.1)
    wide.require_spread(["waist", "gripper"])
    np.testing.assert_allclose([wide.actions_min[1], wide.actions_max[1]], [0.45, 0.55])
    assert wide.actions_min[0] == statistics.actions_min[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("actions_std"), "actions_std: is missing"),
        (lambda data: data.update(actions_min=[0.0, float("nan"), 0.0]), "actions_min: is not a flat list of finite"),
        (lambda data: data.update(actions_min=[[0.0]]), "actions_min: is not a flat list"),
        (lambda data: data.update(actions_min="low"), "actions_min: is not a list of numbers"),
        (lambda data: data.update(proprio_max=[1.0]), r"the proprio_\* lists have \[1, 3\] entries"),
        (lambda data: data.update(proprio_max=[-99.0] * 3), "proprio_max is below proprio_min"),
    ],
)
def test_a_malformed_statistics_file_is_refused(statistics: Statistics, tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    statistics.save(tmp_path)
    path = tmp_path / "dataset_statistics.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(StatisticsError, match=message):
        Statistics.load(path)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StatisticsError, match="no such file"):
        Statistics.load(tmp_path)
    (tmp_path / "dataset_statistics.json").write_text("{")
    with pytest.raises(StatisticsError, match="is not readable JSON"):
        Statistics.load(tmp_path)
