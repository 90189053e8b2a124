"""LIBERO and RoboCasa trials, with simulators written by hand that speak like theirs."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cosmos_policy_core.cli import main
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ConfigurationError, ContractError, ObservationError, SimulatorError
from cosmos_policy_core.evaluation.adapters import libero, robocasa
from cosmos_policy_core.evaluation.adapters.cell import BenchmarkCell, run_trial, run_trials, trial_seed
from cosmos_policy_core.evaluation.adapters.libero import LiberoCell
from cosmos_policy_core.evaluation.adapters.robocasa import RobocasaCell
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.untrained import nano_for, untrained_policy
from cosmos_policy_core.planning.budget import Budget
from cosmos_policy_core.planning.planner import Direct, Plan


class Tabletop:
    """A simulator in robosuite's manner; done after `solved_at` steps that are no settling steps."""

    def __init__(self, contract: Embodiment, width: int, solved_at: int = 10**6) -> None:
        self.contract, self.solved_at = contract, solved_at
        self.action_spec = (-np.ones(width), np.ones(width))
        self.received: list[NDArray[np.float64]] = []
        self.closed = False
        self.state: NDArray[np.float64] | None = None
        self.steps = 0

    def seen(self) -> dict[str, Any]:
        readings: dict[str, Any] = {"robot0_gripper_qpos": np.array([0.02, -0.02]), "task_state": np.zeros(3)}
        readings |= {"robot0_eef_pos": np.array([0.1, 0.2, float(self.steps)]), "robot0_eef_quat": np.eye(4)[3]}
        for camera in self.contract.cameras:
            image = np.zeros((camera.height, camera.width, 3), dtype=np.uint8)
            image[0] = 255  # bright at the top as rendered, so at the bottom as the policy sees it
            readings[camera.name] = image
        return readings

    def reset(self) -> Mapping[str, Any]:
        self.steps = 0
        return self.seen()

    def step(self, action: NDArray[np.float64]) -> tuple[Mapping[str, Any], float, bool, Mapping[str, Any]]:
        assert np.shape(action) == self.action_spec[0].shape
        self.received.append(np.array(action))
        self.steps += 1
        return self.seen(), 0.0, self._check_success(), {}

    def set_init_state(self, state: NDArray[np.float64]) -> Mapping[str, Any]:
        self.state = state
        return self.seen()

    def get_ep_meta(self) -> dict[str, str]:
        return {"lang": "open the microwave"}

    def _check_success(self) -> bool:
        return self.steps >= self.solved_at + 10  # ten settling steps come first

    def close(self) -> None:
        self.closed = True


class Counting:
    """A planner whose k-th action says k, and that remembers what it saw."""

    def __init__(self, horizon: int) -> None:
        self.horizon, self.seen, self.seeds = horizon, list[Observation](), list[tuple[int, int]]()

    def decide(self, observation: Observation, seed: int, plan: int = 0, *, budget: Budget | None = None) -> Plan:
        self.seen.append(observation)
        self.seeds.append((seed, plan))
        actions = np.repeat(np.arange(self.horizon)[:, None] / 100, 7, axis=1)
        return Plan(actions, 0, actions[None], np.empty(0), np.empty((1, 0, 0)), (seed,))


STATES = np.arange(6.0).reshape(3, 2)


def libero_cell(solved_at: int = 10**6, max_steps: int = 40) -> tuple[LiberoCell, Tabletop]:
    simulator = Tabletop(Embodiment.load("libero"), 7, solved_at)
    return LiberoCell(simulator, "push the plate", STATES, max_steps), simulator


def test_a_libero_trial_settles_first_and_then_runs_whole_chunks() -> None:
    cell, simulator = libero_cell()
    trial = run_trial(cell, planner := Counting(16), trial=4, seed=9)
    assert not trial.success and trial.steps == 40 and len(trial.plans) == 3
    np.testing.assert_array_equal(simulator.received[:10], np.tile(libero.SETTLE_ACTION, (10, 1)))
    np.testing.assert_allclose([action[0] for action in simulator.received[10:27]], [*np.arange(16) / 100, 0.0])
    assert simulator.state is not None
    np.testing.assert_array_equal(simulator.state, STATES[1])  # initial states are used in turn
    assert planner.seen[0].instruction == "push the plate" and planner.seeds == [(9, 0), (9, 1), (9, 2)]
    np.testing.assert_array_equal(planner.seen[0].proprio, [0.02, -0.02, 0.1, 0.2, 10.0, 0, 0, 0, 1])
    assert set(planner.seen[0].images) == {"robot0_eye_in_hand_image", "agentview_image"}


def test_a_libero_trial_ends_at_the_first_success() -> None:
    trial = run_trial(libero_cell(solved_at=20)[0], Counting(16), 0, 0)
    assert trial.success and trial.steps == 20 and len(trial.plans) == 2


def test_images_reach_the_planner_as_rendered_and_the_contract_turns_them() -> None:
    cell, _ = libero_cell()
    seen, _ = cell.reset(seed=0)
    assert seen["images"]["agentview_image"][0].min() == 255 and cell.contract.images.flip_vertical


def test_a_robocasa_trial_has_a_fresh_kitchen_and_half_of_each_chunk() -> None:
    contract, kitchens, scenes = Embodiment.load("robocasa"), list[Tabletop](), list[tuple[tuple[int, int], int]]()

    def make(scene: tuple[int, int], seed: int) -> Tabletop:
        scenes.append((scene, seed))
        kitchens.append(Tabletop(contract, 12, solved_at=33))
        return kitchens[-1]

    cell = RobocasaCell(make, "CoffeePressButton")
    trials = list(run_trials(cell, planner := Counting(32), range(9, 11), seed=195))
    assert [trial.success for trial in trials] == [True, True] and [trial.steps for trial in trials] == [33, 33]
    assert len(trials[0].plans) == 3  # 16 + 16 + 1 steps
    received = np.array(kitchens[0].received)
    assert (received[:10] == 0).all() and (received[10:, 7:] == [0, 0, 0, 0, -1]).all()
    np.testing.assert_allclose(received[10:43, 0], [*np.arange(16) / 100] * 2 + [0.0])
    assert [scene for scene, _ in scenes] == [(1, 1), (2, 2)] and kitchens[0].closed and not kitchens[1].closed
    assert scenes[0][1] != scenes[1][1] and planner.seen[0].instruction == "open the microwave"
    cell.close()
    assert kitchens[1].closed


def test_budgets_and_tasks_are_the_published_ones() -> None:
    assert len(robocasa.TASKS) == len(set(robocasa.TASKS)) == 24 and set(robocasa.MAX_STEPS) < set(robocasa.TASKS)
    assert RobocasaCell(lambda scene, seed: None, "OpenDrawer").max_steps == 500
    assert RobocasaCell(lambda scene, seed: None, "OpenDoubleDoor").max_steps == 1000
    assert libero.MAX_STEPS["libero_10"] == 520 and sum(libero.TASKS.values()) == 130


def test_no_two_trials_share_a_seed() -> None:
    seeds = [trial_seed(seed, trial) for seed in (195, 196, 197) for trial in range(50)]
    assert len(set(seeds)) == 150 and all(0 <= seed < 2**31 for seed in seeds)


def test_a_simulator_that_shows_something_else_is_refused() -> None:
    cell, simulator = libero_cell()
    cell.reset(seed=0)
    with pytest.raises(ObservationError, match="Give 7 finite numbers"):
        cell.step(np.zeros(12))
    simulator.contract = Embodiment.load("robocasa")
    with pytest.raises(ObservationError, match=r"robot0_eye_in_hand_image: the simulator gave uint8 \(224, 224, 3\)"):
        cell.step(np.zeros(7))
    with pytest.raises(ObservationError, match="Call reset first"):
        libero_cell()[0].step(np.zeros(7))
    with pytest.raises(ContractError, match="body: is missing"):
        LiberoCell(simulator, "x", STATES, 10, Embodiment.load("aloha"))


def test_unknown_suites_and_tasks_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="suite 'libero_11' is unknown. Use one of: libero_spatial"):
        LiberoCell.make("libero_11", 0)
    with pytest.raises(ConfigurationError, match=r"libero_goal has tasks 0..9, not 10"):
        LiberoCell.make("libero_goal", 10)
    with pytest.raises(ConfigurationError, match="task 'Juggle' is unknown. Use one of: PnPCounterToCab"):
        RobocasaCell.make("Juggle")


@pytest.mark.parametrize(
    ("module", "make", "name"),
    [
        ("libero", lambda: LiberoCell.make("libero_goal", 0), "LIBERO"),
        ("robocasa", lambda: RobocasaCell.make("OpenDrawer"), "RoboCasa"),
    ],
)
def test_a_simulator_that_is_not_installed_says_what_to_install(module: str, make, name: str) -> None:  # type: ignore[no-untyped-def]
    if importlib.util.find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    with pytest.raises(SimulatorError, match=f"{name} is not installed .*https://github.com/"):
        make()


@pytest.mark.parametrize(
    ("module", "make"),
    [("libero", lambda: LiberoCell.make("libero_goal", 0)), ("robocasa", lambda: RobocasaCell.make("OpenDrawer"))],
)
def test_the_real_simulator_runs_a_chunk(module: str, make) -> None:  # type: ignore[no-untyped-def]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    cell: BenchmarkCell = make()
    cell.max_steps = cell.contract.executed_steps
    assert run_trial(cell, Counting(cell.contract.chunk_horizon), 0, 0).steps == cell.max_steps
    cell.close()


def test_initial_states_are_read_without_running_code(tmp_path: Path) -> None:
    torch.save(STATES, tmp_path / "good.init")
    np.testing.assert_array_equal(libero.read_states(tmp_path / "good.init"), STATES)

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save(Trap(), tmp_path / "trap.init")
    with pytest.raises(SimulatorError, match="trap.init: the initial states cannot be read"):
        libero.read_states(tmp_path / "trap.init")
    assert not (tmp_path / "ran").exists()
    torch.save(np.zeros(3), tmp_path / "flat.init")
    with pytest.raises(SimulatorError, match=r"holds an array of shape \(3,\)"):
        libero.read_states(tmp_path / "flat.init")


@pytest.mark.parametrize(
    ("suite", "task", "sentence"),
    [
        ("libero_goal", "0", "LIBERO is not installed"),
        ("robocasa", "OpenDrawer", "RoboCasa is not installed"),
        ("libero_goal", "stove", "LIBERO's tasks are numbered"),
    ],
)
def test_the_command_names_a_missing_simulator_before_it_loads_weights(
    suite: str, task: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "not installed" in sentence and importlib.util.find_spec(suite.split("_")[0]) is not None:
        pytest.skip(f"{suite} is installed")
    assert main(["eval-benchmark", "--checkpoint", "/nowhere", "--suite", suite, "--task", task]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", ["libero", "robocasa"])
def test_a_real_policy_plays_a_trial(name: str) -> None:
    contract = Embodiment.load(name)
    config = nano_for(contract)
    small = dataclasses.replace(config.transformer, model_channels=32, num_blocks=1, num_heads=2, adaln_lora_dim=4)
    config = config.model_copy(update={"transformer": small})
    policy = untrained_policy(contract, ["push the plate", "open the microwave"], config)
    policy.network.eval().requires_grad_(False)
    cell: BenchmarkCell
    if name == "libero":
        cell = LiberoCell(Tabletop(contract, 7), "push the plate", STATES, 18)
    else:
        cell = RobocasaCell(lambda scene, seed: Tabletop(contract, 12), "OpenDrawer")
        cell.max_steps = 18
    trial = run_trial(cell, Direct(policy, steps=1), 0, 0)
    assert trial.steps == 18 and trial.plans[1].actions.shape == (contract.chunk_horizon, 7)
