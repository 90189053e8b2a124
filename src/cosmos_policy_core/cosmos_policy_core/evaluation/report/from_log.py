"""Evaluation logs as trials to report on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosmos_policy_core.errors import EpisodeError
from cosmos_policy_core.evaluation.report.trials import TrialRow


def trials_from_logs(paths: Sequence[Path]) -> dict[str, list[TrialRow]]:
    """Read logs of `cosmos-policy eval --log`, one entry per evaluation, named by what tells them apart.

    Raises:
        EpisodeError: a file holds no finished trial.
    """
    found: dict[str, tuple[dict[str, Any], dict[int, TrialRow]]] = {}
    for path in paths:
        rows = _rows(path)
        if not rows:
            raise EpisodeError(f"{path}: holds no finished trial. Give a file of `cosmos-policy eval --log`.")
        for campaign, trial in rows:
            key = json.dumps([str(path), campaign], sort_keys=True)
            found.setdefault(key, (campaign | {"log": path.stem}, {}))[1][trial.seed] = trial
    names = _names([campaign for campaign, _ in found.values()])
    return {name: list(trials.values()) for name, (_, trials) in zip(names, found.values(), strict=True)}


def _rows(path: Path) -> list[tuple[dict[str, Any], TrialRow]]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise EpisodeError(
            f"{path}: cannot be read ({error.strerror}). Give a file of `cosmos-policy eval --log`."
        ) from None
    rows = []
    for line in lines:
        try:
            row = json.loads(line)  # a run that was killed leaves half a line at the end
            outcome = row["outcome"]
            trial = TrialRow(**{name: outcome[name] for name in TrialRow.__dataclass_fields__})
        except (ValueError, KeyError, TypeError):
            continue
        rows.append((row["campaign"], trial))
    return rows


def _names(campaigns: Sequence[dict[str, Any]]) -> list[str]:
    """Name each by its planner and by what differs among them."""
    differing = [
        key
        for key in (campaigns[0] if campaigns else {})
        if key != "log" and len({str(campaign.get(key)) for campaign in campaigns}) > 1
    ]
    names = []
    for campaign in campaigns:
        parts = [f"{key} {campaign.get(key)}" for key in differing if key != "planner"]
        name = ", ".join([str(campaign.get("planner", campaign["log"])), *parts])
        names.append(name if name not in names else f"{name} ({campaign['log']})")
    return names
