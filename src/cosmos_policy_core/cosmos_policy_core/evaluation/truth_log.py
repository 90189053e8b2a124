"""What became of candidates, on disk plan by plan, so that an interrupted check of the world model continues."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cosmos_policy_core.evaluation import json_lines
from cosmos_policy_core.evaluation.truth import Fate

PICTURE_ERRORS = ("image_error", "image_still", "image_floor")


@dataclass
class Followed:
    """What is known of one episode: its plans so far, and whether it was followed to its end."""

    plans: dict[int, list[Fate]] = field(default_factory=dict)
    whole: bool = False

    @property
    def fates(self) -> list[Fate]:
        """All candidates in order."""
        return [fate for plan in sorted(self.plans) for fate in self.plans[plan]]

    def trim(self) -> None:
        """Forget what follows a plan that is missing, because its line was damaged."""
        count = next(number for number in range(len(self.plans) + 1) if number not in self.plans)
        if count < len(self.plans):
            self.plans = {plan: self.plans[plan] for plan in range(count)}
            self.whole = False


class TruthLog:
    """Candidates of plans, one JSON line per plan.

    Args:
        check: everything that decides what comes out, weights included; lines of another check are passed over.
    """

    def __init__(self, path: Path, check: Mapping[str, Any]) -> None:
        self._path = path
        self._check: dict[str, Any] = json.loads(json.dumps(check))

    def read(self) -> dict[int, Followed]:
        """Episodes of this very check, by seed."""
        found: dict[int, Followed] = {}
        for row in json_lines.rows(self._path):
            try:
                if row["check"] != self._check:
                    continue
                episode = found.setdefault(int(row["seed"]), Followed())
                if "fates" in row:
                    episode.plans[int(row["plan"])] = [_fate(each) for each in row["fates"]]
                episode.whole = episode.whole or bool(row.get("whole"))
            except (KeyError, TypeError, ValueError):  # not a line of ours
                continue
        for episode in found.values():
            episode.trim()
        return found

    def append(self, fates: Sequence[Fate]) -> None:
        """Keep the candidates of one plan."""
        rows = [asdict(fate) for fate in fates]
        where = {"seed": fates[0].seed, "plan": fates[0].plan}
        json_lines.append(self._path, {"check": self._check, **where, "fates": rows})

    def finish(self, seed: int) -> None:
        """Keep that an episode was followed to its end."""
        json_lines.append(self._path, {"check": self._check, "seed": seed, "whole": True})


def _fate(row: Mapping[str, Any]) -> Fate:
    return Fate(**{**row, **{name: tuple(row[name]) for name in PICTURE_ERRORS}})
