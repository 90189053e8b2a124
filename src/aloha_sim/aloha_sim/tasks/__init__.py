"""The tasks of the cell, by name. A new task is one module here and one line in the table."""

from __future__ import annotations

from aloha_sim.tasks.base import Task
from aloha_sim.tasks.candies_in_bowl import CandiesInBowl
from aloha_sim.tasks.hurried_transfer import HurriedTransfer
from aloha_sim.tasks.insertion import Insertion
from aloha_sim.tasks.transfer_cube import TransferCube

TASKS: dict[str, Task] = {
    "transfer_cube": TransferCube(),
    "hurried_transfer": HurriedTransfer(),
    "insertion": Insertion(),
    "candies_in_bowl": CandiesInBowl(),
}
"""Name -> task. The gymnasium id of `some_task` is `aloha_sim/SomeTask-v0`."""


def gym_id(task: str) -> str:
    """Return the gymnasium id of a task."""
    return f"aloha_sim/{task.title().replace('_', '')}-v0"
