"""Processes of a pool."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def die_with_parent() -> None:
    """End this process when the command is killed; a pool's processes would otherwise wait for work for ever."""
    for library in ("OMP_NUM_THREADS", "LP_NUM_THREADS"):
        os.environ.setdefault(library, "1")  # the processes already fill the cores
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
