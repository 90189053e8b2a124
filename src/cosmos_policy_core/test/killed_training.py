"""Run the trainer and kill it from within, as `kill -9` would: python killed_training.py STEP ARGUMENTS...

Killed while the state after STEP steps is being written, so that a half-written one is left behind.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import tyro

from cosmos_policy_core.training import __main__ as program
from cosmos_policy_core.training import sharded

if __name__ == "__main__":
    step = int(sys.argv.pop(1))
    whole = sharded.storage.save

    def save(parts: dict[str, Any], checkpoint_id: Any) -> None:
        whole(parts, checkpoint_id=checkpoint_id)
        if f"{step:08d}" in checkpoint_id.name:
            os.kill(os.getpid(), signal.SIGKILL)

    sharded.storage.save = save  # type: ignore[assignment]
    tyro.cli(program.main)
