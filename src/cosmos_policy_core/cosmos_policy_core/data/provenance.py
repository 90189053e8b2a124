"""The contract inside a recording, held against the one it is read with."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import ContractError, EpisodeError


def check_contract(text: str, path: Path, contract: Embodiment) -> None:
    """Refuse a recording of another robot, or one whose numbers mean something else.

    Args:
        text: the contract inside, as YAML. Recordings of other recorders carry none; their shapes, joints and images
            are checked all the same.

    Raises:
        EpisodeError: listing every difference.
    """
    if not text:
        return
    try:
        recorded = _parsed(text)
    except ContractError as error:
        raise EpisodeError(f"{path}: the contract inside is not valid. Record it again. {error}") from None
    lines = contract.differences(recorded)
    if recorded.name != contract.name:
        lines.insert(0, f"it is of '{recorded.name}', not of '{contract.name}'")
    if lines:
        raise EpisodeError(f"{path}: was recorded under another contract: {'; '.join(lines)}. Use its own contract.")


@lru_cache(maxsize=8)  # every episode of a folder carries the same text, and parsing is most of the time of reading
def _parsed(text: str) -> Embodiment:
    return Embodiment.from_yaml(text, source="the recording")
