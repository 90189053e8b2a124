"""One compiled cell for all tests: building and opening a renderer are the slow parts."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import pytest

from aloha_sim.cell import Cell
from aloha_sim.env import AlohaEnv


@pytest.fixture(scope="session")
def environment() -> Iterator[gymnasium.Env]:
    environment = gymnasium.make(
        "aloha_sim:aloha_sim/TransferCube-v0", image_width=64, image_height=64, terminate_on_success=False
    )
    yield environment
    environment.close()


@pytest.fixture(scope="session")
def blind() -> Iterator[AlohaEnv]:
    """Draw nothing: for tests of motion."""
    environment = AlohaEnv(render=False, terminate_on_success=False)
    yield environment
    environment.close()


@pytest.fixture
def cell(blind: AlohaEnv) -> Cell:
    blind.cell.reset(0, pause=0.5)
    return blind.cell
