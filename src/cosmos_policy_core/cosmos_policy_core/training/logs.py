"""Where a run's numbers go: a CSV table, TensorBoard, Weights & Biases."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.training.trainer import CURVES_FILE


class Log(Protocol):
    """Takes the numbers of a step."""

    def write(self, step: int, row: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class CsvLog:
    """Rows of step, name, value in `curves.csv`. A resumed run forgets what an earlier one wrote beyond its step."""

    def __init__(self, run: Path, resumed_at: int) -> None:
        self._path = run / CURVES_FILE
        if self._path.exists():
            with self._path.open(newline="") as file:
                kept = [row for row in csv.reader(file) if len(row) == 3 and int(row[0]) <= resumed_at]
            partial = self._path.with_suffix(".partial")
            with partial.open("w", newline="") as file:
                csv.writer(file).writerows(kept)
            partial.replace(self._path)

    def write(self, step: int, row: Mapping[str, float]) -> None:
        """Append the numbers of a step."""
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerows((step, name, f"{value:.6g}") for name, value in row.items())

    def close(self) -> None:
        """Nothing is open."""


class TensorBoardLog:
    """Scalars for TensorBoard, under `<run>/tensorboard`."""

    def __init__(self, run: Path, resumed_at: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise _absent("tensorboard") from None
        self._writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=resumed_at + 1)

    def write(self, step: int, row: Mapping[str, float]) -> None:
        """Add the numbers of a step."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


class WandbLog:
    """Numbers for Weights & Biases; project, mode and account come from its own environment variables."""

    def __init__(self, run: Path, resumed_at: int) -> None:
        try:
            import wandb  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise _absent("wandb") from None
        self._run: Any = wandb.init(name=run.name, dir=str(run), id=run.name, resume="allow")

    def write(self, step: int, row: Mapping[str, float]) -> None:
        """Add the numbers of a step."""
        self._run.log(dict(row), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


LOGS: dict[str, Callable[[Path, int], Log]] = {"csv": CsvLog, "tensorboard": TensorBoardLog, "wandb": WandbLog}


def open_logs(names: Sequence[str], run: Path, resumed_at: int) -> list[Log]:
    """Open the logs of a run.

    Raises:
        ConfigurationError: the library of one is not installed.
    """
    return [LOGS[name](run, resumed_at) for name in names]


def _absent(package: str) -> ConfigurationError:
    return ConfigurationError(
        f"logging.to: {package} is not installed. Install it with pip install {package}, or add --set logging.to=[csv]."
    )
