"""The actions of a recorded episode, without its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos_policy_core.data import layouts
from cosmos_policy_core.data.bags.plans import REPORTS_TOPIC, executed_spans, read_plans
from cosmos_policy_core.data.bags.reading import Bag
from cosmos_policy_core.data.bags.recording import describe_gaps
from cosmos_policy_core.data.bags.resample import Tolerances, find_gaps, make_grid
from cosmos_policy_core.data.bags.streams import command_signal
from cosmos_policy_core.data.provenance import check_contract
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import EpisodeError


def recorded_actions(path: Path, contract: Embodiment) -> NDArray[np.float64]:
    """Read (L, A) actions at the control rate, from a bag or from a file of one episode; labels do not matter.

    Raises:
        EpisodeError: naming the episode and what is wrong: another contract, no commands, gaps.
    """
    path = Path(path)
    if path.is_dir():
        return _of_bag(path, contract)
    found = layouts.entries(path)
    if len(found) != 1:
        raise EpisodeError(f"{path}: holds {len(found)} episodes. Give a file of one.")
    return np.asarray(found[0].read(contract, "replay").actions, dtype=np.float64)


def _of_bag(path: Path, contract: Embodiment) -> NDArray[np.float64]:
    with Bag(path) as bag:
        check_contract(bag.record.contract, path, contract)
        silent = [arm.command_topic for arm in contract.arms if not bag.counts.get(arm.command_topic)]
        if silent:
            raise EpisodeError(f"{path}: nothing was recorded of {', '.join(silent)}, so there is nothing to play.")
        commands = [command_signal(bag, arm) for arm in contract.arms]
        plans = read_plans(bag) if REPORTS_TOPIC in bag.types else []
    spans = executed_spans(plans, commands, contract) if plans else None
    grid = make_grid(commands, commands, spans, contract)
    gaps = find_gaps([], commands, grid, Tolerances.of(contract).command)
    if gaps:
        raise EpisodeError(f"{path}: has gaps: {describe_gaps(gaps)}. Play another episode.")
    return np.concatenate([signal.interpolated(grid.reached) for signal in commands], axis=1)
