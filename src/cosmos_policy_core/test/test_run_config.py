"""Training configurations: what ships is what was published, and a slip of the pen is named."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.training.logs import open_logs
from cosmos_policy_core.training.run_config import RunConfig, load, shipped
from cosmos_policy_core.training.schedule import learning_rate_factor

# Robot, batch over all GPUs, steps, discount, share of demonstrations, what the value sees, warm-up, end of the cycle.
PUBLISHED = {
    "libero": ("libero", 1920, 40_000, 0.99, 0.5, "all", 1000, 30_000),
    "robocasa": ("robocasa", 800, 45_000, 0.99, 0.5, "all", 1000, 30_000),
    "aloha": ("aloha", 200, 50_000, 0.998, 0.5, "all", 2000, 20_000),
    "aloha_planning": ("aloha", 200, 18_000, 0.998, 0.1, "future", 1500, 15_000),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_run_has_its_published_numbers(name: str) -> None:
    config = load(name)
    robot, batch, steps, gamma, demonstrations, value_input, warm_up, length = PUBLISHED[name]
    assert (config.embodiment, config.batch.size, config.steps) == (robot, batch, steps)
    assert (config.sampling.gamma, config.sampling.demonstrations, config.sampling.successes) == (
        gamma,
        demonstrations,
        0.5,
    )
    assert (config.sampling.policy, config.sampling.absolute_scale) == ("published", False)
    assert (config.objective.value_input, config.objective.hidden_frames) == (value_input, "denoised")
    assert (config.objective.reduce, config.objective.scale, config.objective.action_weight) == ("mean", 10.0, 1.0)
    options = config.optimiser
    assert (options.learning_rate, options.betas, options.epsilon) == (1e-4, (0.9, 0.99), 1e-8)
    assert (options.weight_decay, options.clip_norm) == (0.1, 1.0)
    cycles = tuple(cycle.cycle for cycle in options.cycles)
    expected = {0: 1e-6, warm_up: 1.0, length: 0.3, length + 1: 0.06, 10 * length: 0.06}
    assert {step: learning_rate_factor(step, cycles) for step in expected} == pytest.approx(expected)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_configuration_fits_its_robot(name: str) -> None:
    config = load(name)
    Embodiment.load(config.embodiment)
    assert config.accumulation(1) * config.batch.per_process == config.batch.size


def test_planning_ships_as_published_without_its_leak_and_for_q() -> None:
    plain, noise, q = (load(name) for name in ("aloha_planning", "aloha_planning_noise", "aloha_planning_q"))
    q_noise = load("aloha_planning_q_noise")
    assert noise.objective.hidden_frames == "noise" and noise.sampling.absolute_scale
    assert (q.objective.value_input, q.objective.hidden_frames) == ("action", "denoised")
    assert q_noise == noise.model_copy(update={"objective": replace(noise.objective, value_input="action")})
    assert plain.optimiser == noise.optimiser == q.optimiser
    assert not plain.sampling.demonstrations_are_rollouts and load("aloha").sampling.demonstrations_are_rollouts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch.sizes=3", r"nano\.yaml: batch\.sizes: is no key\. Did you mean size\?"),
        ("objective.action_wieght=2", r"objective\.action_wieght: is no key\. Did you mean action_weight\?"),
        ("optimiser.cycles=[{lenght: 3}]", r"optimiser\.cycles\.0\.lenght: is no key\. Did you mean length\?"),
        (
            "optimiser.cycles=[{length: 3, warm_up: 3}]",
            r"optimiser\.cycles\.0\.warm_up: should be less than the cycle's length of 3, not 3\. Correct the value",
        ),
        ("sampling={}", r"sampling\.gamma: is missing\. Take it from the shipped configuration nearest to yours"),
        ("steps=0", r"steps: Input should be greater than 0, not 0\."),
        ("objective.value_input=futur", r"objective\.value_input: Input should be 'all', 'future'"),
        ("steps.x=1", "steps holds a value, no keys"),
        ("steps", r"--set steps: is not key=value\. Write for example --set batch\.size=8\."),
    ],
)
def test_a_slip_of_the_pen_is_named_with_its_place_and_remedy(change: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load("nano", [change])


def test_a_file_is_read_and_what_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text((Path(__file__).parents[1] / "cosmos_policy_core/training/configs/nano.yaml").read_text())
    assert load(str(path), ["seed=7"]) == load("nano").model_copy(update={"seed": 7})
    with pytest.raises(ConfigurationError, match="Shipped are aloha, aloha_planning"):
        load("alhoa")
    path.write_text("steps: [")
    with pytest.raises(ConfigurationError, match=r"mine\.yaml: is not readable YAML"):
        load(str(path))
    path.write_text("- steps")
    with pytest.raises(ConfigurationError, match=r"mine\.yaml: holds no keys"):
        load(str(path))


def test_gradients_are_accumulated_where_there_are_fewer_processes() -> None:
    config: RunConfig = load("aloha")
    assert [config.accumulation(processes) for processes in (1, 2, 8)] == [8, 4, 1]
    with pytest.raises(ConfigurationError, match=r"batch\.per_process 25 times 3 processes"):
        config.accumulation(3)


@pytest.mark.parametrize(("package", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_log_whose_library_is_absent_says_how_to_get_it(
    package: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(ConfigurationError, match=f"pip install {package}, or add --set logging.to="):
        open_logs([package], tmp_path, 0)
