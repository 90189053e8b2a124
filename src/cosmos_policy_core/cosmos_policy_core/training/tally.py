"""Means of named numbers over the parts of a step, the processes and the steps since the last look."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cosmos_policy_core.training.parallel import Group


class Tally:
    """Collect sums on the device; nothing waits for it until `take`.

    All processes must add the same names.
    """

    def __init__(self, group: Group, parts: int) -> None:
        self._group, self._share = group, 1.0 / (parts * group.size)
        self._pairs: dict[str, Tensor] = {}

    def add(self, pairs: Mapping[str, Tensor]) -> None:
        """Add sums and their counts, (2,) each."""
        for name, pair in pairs.items():
            wide = pair.detach().to(self._group.device, torch.float64)
            self._pairs[name] = self._pairs[name] + wide if name in self._pairs else wide

    def add_part(self, name: str, value: Tensor | float) -> None:
        """Add one part's contribution to a number of the whole step."""
        device = self._group.device
        amount = value.detach().to(device) if isinstance(value, Tensor) else torch.tensor(float(value), device=device)
        self.add({name: torch.stack([amount.double(), torch.tensor(self._share, device=device).double()])})

    def take(self) -> dict[str, float]:
        """Return the means over all processes since the last call; names that nothing was counted for are left out."""
        names = sorted(self._pairs)
        if not names:
            return {}
        sums = self._group.sum(torch.stack([self._pairs[name] for name in names])).tolist()
        self._pairs.clear()
        return {name: total / count for name, (total, count) in zip(names, sums, strict=True) if count}
