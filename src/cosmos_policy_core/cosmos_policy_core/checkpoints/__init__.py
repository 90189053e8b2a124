"""Checkpoints by name: those that ship with the package, folders, and repositories on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from cosmos_policy_core.checkpoints import hub
from cosmos_policy_core.errors import CheckpointError

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """List the shipped checkpoints."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/config.json")))


def find(name_or_path: str | Path) -> Path:
    """Resolve a shipped checkpoint's name, a folder, or an id on the hub, which is downloaded or found in the cache.

    Raises:
        CheckpointError: nothing is there; names what ships.
    """
    if str(name_or_path) in names():
        return FOLDER / str(name_or_path)
    path = Path(name_or_path).expanduser()
    if not path.is_dir():
        if hub.is_id(str(name_or_path)):
            return hub.fetch(str(name_or_path))
        raise CheckpointError(
            f"{name_or_path}: no such checkpoint folder. Give a folder, or one of the shipped ones: "
            f"{', '.join(names()) or 'none'}."
        )
    return path
