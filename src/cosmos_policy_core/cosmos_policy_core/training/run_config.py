"""Everything about a training run that is not a path: one YAML file, checked before anything is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from cosmos_policy_core.data.sampling import Mix, SamplingPolicy
from cosmos_policy_core.errors import ConfigurationError
from cosmos_policy_core.model.augmentation import AugmentationConfig
from cosmos_policy_core.model.diffusion import NoiseDistribution
from cosmos_policy_core.training.objective import ObjectiveConfig
from cosmos_policy_core.training.schedule import FOREVER, Cycle

FOLDER = Path(__file__).parent / "configs"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StartConfig(_Strict):
    """What is taken from the start checkpoint beside its shape, its tokenizer and its instructions."""

    weights: Literal["checkpoint", "fresh"] = "checkpoint"
    statistics: Literal["checkpoint", "demonstrations"] = "checkpoint"
    """`demonstrations`: computed from them, for start weights that never saw this robot."""
    smallest_range: float = Field(0.0, ge=0)
    """Dimensions that move less in the demonstrations are scaled by this; 0 refuses constant ones."""
    highest_loss: float = Field(0.6, gt=0)
    """Refuse to start above this share of a silent network's loss. Fresh weights have 1.0 or more; the reference's
    base weights are reported to start RoboCasa at 2.78, where from scratch it starts at 12.4."""


class SamplingConfig(_Strict):
    """Which samples a step sees and what their values are, see `data.sampling.Mix`."""

    policy: SamplingPolicy = "published"
    demonstrations: float = Field(0.5, ge=0, le=1)
    successes: float = Field(0.5, ge=0, le=1)
    demonstrations_are_rollouts: bool = False
    gamma: float = Field(gt=0, le=1)
    absolute_scale: bool = False
    """Keep the scale of partial success scores; published is False, which labels them like full ones."""

    @property
    def mix(self) -> Mix:
        return Mix(self.demonstrations, self.successes, self.demonstrations_are_rollouts)


class CycleConfig(_Strict):
    """One cycle of the learning rate; factors of the base rate, see `schedule.Cycle`."""

    length: int = Field(FOREVER, gt=0)
    warm_up: int = Field(0, ge=0)
    start: float = 1.0
    peak: float = 1.0
    end: float = 1.0

    @field_validator("warm_up")
    @classmethod
    def _leaves_steps_for_the_rest(cls, steps: int, info: ValidationInfo) -> int:
        length = info.data.get("length", FOREVER)
        if steps >= length:
            raise ValueError(f"should be less than the cycle's length of {length}")
        return steps

    @property
    def cycle(self) -> Cycle:
        return Cycle(self.length, self.warm_up, self.start, self.peak, self.end)


class OptimiserConfig(_Strict):
    """AdamW on float32 master weights; weight decay on every parameter, as published."""

    learning_rate: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    epsilon: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    cycles: tuple[CycleConfig, ...] = Field(min_length=1)


class BatchConfig(_Strict):
    """`size` samples per optimiser step over all processes, `per_process` at a time; the rest is accumulated."""

    size: int = Field(gt=0)
    per_process: int = Field(gt=0)


class ComputeConfig(_Strict):
    """How the network is computed; nothing here changes what is learned beyond rounding."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    activation_checkpointing: bool = True
    shard_size: int | None = Field(None, gt=0)
    """Processes that share one copy of the weights; all by default. Published: 8."""
    encode_at_once: int = Field(8, gt=0)
    """Samples whose images are tokenized together."""
    workers: int = Field(8, ge=0)
    """Processes per process that decode images."""


class SavingConfig(_Strict):
    """Steps between two resumable states, how many of them stay, and steps between two exported checkpoints.

    With `every` a multiple of `logging.every`, a resumed run writes the very rows of an uninterrupted one.
    """

    every: int = Field(1000, gt=0)
    keep: int = Field(3, gt=0)
    export_every: int | None = Field(None, gt=0)


class ValidationConfig(_Strict):
    """Share of every task's episodes held out, and how often they are looked at."""

    share: float = Field(0.01, ge=0, lt=1)
    every: int = Field(1000, gt=0)
    batches: int = Field(4, gt=0)


class LoggingConfig(_Strict):
    """Steps between two entries, and where they go."""

    every: int = Field(10, gt=0)
    to: tuple[Literal["csv", "tensorboard", "wandb"], ...] = ("csv",)


class RunConfig(_Strict):
    """A training run. Defaults are the paper's where it has one."""

    embodiment: str
    steps: int = Field(gt=0)
    seed: int = Field(0, ge=0)
    start: StartConfig = StartConfig()
    sampling: SamplingConfig
    objective: ObjectiveConfig = ObjectiveConfig()
    augmentation: AugmentationConfig | None = AugmentationConfig()
    noise: NoiseDistribution = NoiseDistribution()
    optimiser: OptimiserConfig
    batch: BatchConfig
    compute: ComputeConfig = ComputeConfig()
    saving: SavingConfig = SavingConfig()
    validation: ValidationConfig = ValidationConfig()
    logging: LoggingConfig = LoggingConfig()

    def accumulation(self, processes: int) -> int:
        """Count the parts of a batch that one process computes one after the other.

        Raises:
            ConfigurationError: the batch does not divide.
        """
        together = self.batch.per_process * processes
        if self.batch.size % together:
            raise ConfigurationError(
                f"batch.size {self.batch.size} is not a multiple of batch.per_process {self.batch.per_process} times "
                f"{processes} processes. Set batch.per_process to a divisor of {self.batch.size / processes:g}."
            )
        return self.batch.size // together


def shipped() -> tuple[str, ...]:
    """Name the configurations that ship."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load(name_or_path: str, changes: Sequence[str] = ()) -> RunConfig:
    """Read a shipped configuration or a file.

    Args:
        changes: `key.subkey=value`, in YAML, over what the file says.

    Raises:
        ConfigurationError: naming file, key and remedy.
    """
    path = FOLDER / f"{name_or_path}.yaml" if name_or_path in shipped() else Path(name_or_path)
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigurationError(
            f"{name_or_path}: no such file or shipped configuration. Shipped are {', '.join(shipped())}."
        ) from None
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: is not readable YAML ({error}). Correct it.") from None
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{path}: holds no keys. Start from a copy of a shipped one: {', '.join(shipped())}.")
    for change in changes:
        _change(raw, change)
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {_sentence(error)}") from None


def _change(raw: dict[str, Any], change: str) -> None:
    keys, equals, value = change.partition("=")
    *parents, last = keys.split(".")
    if not equals or not last:
        raise ConfigurationError(f"--set {change}: is not key=value. Write for example --set batch.size=8.")
    for key in parents:
        raw = raw.setdefault(key, {})
        if not isinstance(raw, dict):
            raise ConfigurationError(f"--set {change}: {key} holds a value, no keys. Leave out what follows it.")
    raw[last] = yaml.safe_load(value)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "(top level)"
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _known(first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        return f"{key}: is no key. " + (f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}.")
    if first["type"] == "missing":
        return f"{key}: is missing. Take it from the shipped configuration nearest to yours: {', '.join(shipped())}."
    message = first["msg"].removeprefix("Value error, ")
    return f"{key}: {message}, not {first['input']!r}. Correct the value."


def _known(where: tuple[int | str, ...]) -> list[str]:
    """Keys beside the one that is none."""
    fields: Any = RunConfig.model_fields
    for part in where:
        if isinstance(part, int):
            continue
        annotation = fields[part].annotation
        options = getattr(annotation, "__args__", (annotation,))
        inner = next(option for option in options if option not in (type(None), Ellipsis))
        fields = getattr(inner, "model_fields", None) or getattr(inner, "__dataclass_fields__", {})
    return list(fields)
