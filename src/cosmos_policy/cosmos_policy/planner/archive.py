"""Keep plan reports as JSON files, for `cosmos-policy explain-plan`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosmos_policy_msgs.msg import PlanReport


def plain(value: Any) -> Any:
    """Turn a message into what JSON holds: mappings by field name, lists, words and numbers (NaN among them)."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, (str, bool, int, float)):
        return value
    return [plain(item) for item in value]


def save(report: PlanReport, folder: Path) -> Path:
    """Write a report; a file under the final name is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = report.header.stamp
    path = folder / f"plan_{stamp.sec}_{stamp.nanosec:09d}_{report.plan_index:03d}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(plain(report)))
    partial.replace(path)
    return path


class Archive:
    """Write reports in a thread of its own: a disk must not keep the arms waiting."""

    def __init__(self, folder: str, complain: Callable[[str], object]) -> None:
        self._folder, self._complain = folder, complain

    def keep(self, report: PlanReport) -> None:
        """Write a report if there is a folder for it."""
        if self._folder:
            threading.Thread(target=self._write, args=(report,), name="archive", daemon=True).start()

    def _write(self, report: PlanReport) -> None:
        try:
            save(report, Path(self._folder))
        except OSError as error:
            self._complain(f"a plan report was not kept: {error}. Is the disk full?")
