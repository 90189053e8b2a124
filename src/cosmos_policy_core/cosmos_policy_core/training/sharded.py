"""Resumable states of a spread network and its optimiser, in shards; a state is whole or absent.

`<run>/state/step_00001000/` holds what `torch.distributed.checkpoint` writes and `state.json`. It may be resumed on
another number of processes. Its `.metadata` is a pickle: resume only states that you wrote yourself.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, cast

import torch.distributed.checkpoint as storage
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from cosmos_policy_core.errors import CheckpointError
from cosmos_policy_core.training.parallel import Group

FOLDER = "state"
RECORD = "state.json"


def save(
    run: Path, step: int, network: nn.Module, optimiser: Optimizer, record: dict[str, Any], keep: int, group: Group
) -> None:
    """Write the state after `step` steps, and leave the newest `keep`; the group must call this together."""
    final = run / FOLDER / f"step_{step:08d}"
    partial = final.with_name(f".{final.name}.partial")
    if group.leads:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    group.wait()
    storage.save(_parts(network, optimiser), checkpoint_id=partial)
    if group.leads:
        (partial / RECORD).write_text(json.dumps({"step": step, **record}, indent=1) + "\n")
        shutil.rmtree(final, ignore_errors=True)
        partial.replace(final)
        for old in _finished(run)[:-keep]:
            shutil.rmtree(old)
    group.wait()


def resume(run: Path, network: nn.Module, optimiser: Optimizer, record: dict[str, Any]) -> int:
    """Load the newest whole state and return its step; 0 where there is none.

    Raises:
        CheckpointError: it was written by another run, or is damaged.
    """
    found = _finished(run)
    if not found:
        return 0
    newest = found[-1]
    try:
        written = json.loads((newest / RECORD).read_text())
        changed = [name for name, value in record.items() if written.get(name) != json.loads(json.dumps(value))]
        if not changed:
            parts = _parts(network, optimiser)
            storage.load(parts, checkpoint_id=newest)
            set_model_state_dict(network, parts["network"])
            set_optimizer_state_dict(network, optimiser, parts["optimiser"])
            return int(written["step"])
    except Exception as error:
        raise CheckpointError(
            f"{newest}: can't resume from it ({type(error).__name__}: {error}). "
            "Remove this folder to go on from the state before, or give another --out."
        ) from error
    raise CheckpointError(
        f"{newest}: was written by a run with another {', '.join(changed)}. Take the old settings, or another --out."
    )


def whole_weights(network: nn.Module) -> dict[str, Tensor]:
    """Gather the network's weights on the leading process's CPU; empty elsewhere. The group must call this together."""
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return cast(dict[str, Tensor], get_model_state_dict(network, options=whole))


def _parts(network: nn.Module, optimiser: Optimizer) -> dict[str, Any]:
    return {"network": get_model_state_dict(network), "optimiser": get_optimizer_state_dict(network, optimiser)}


def _finished(run: Path) -> list[Path]:
    return sorted(path.parent for path in (run / FOLDER).glob(f"step_*/{RECORD}"))
