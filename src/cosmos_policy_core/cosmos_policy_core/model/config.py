"""Everything about a checkpoint that is not a weight: `config.json` of its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosmos_policy_core.errors import CheckpointError
from cosmos_policy_core.model.diffusion import Prediction, Schedule
from cosmos_policy_core.model.layout import LatentLayout, Query
from cosmos_policy_core.model.transformer import TransformerConfig

CONFIG_FILE = "config.json"
FORMAT_VERSION = 1

HiddenFrames = Literal["denoised", "noise"]
"""`denoised`, as published: they are only left unconditioned. Training fills them with the true state and action under
noise, which a value can partly read at low noise; inference starts them from pure noise and denoises them along.
`noise`: they hold noise and nothing else, in training and at every step of inference alike."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenizerConfig(_Strict):
    """`wan` is the published causal video VAE; `image` encodes every camera image alone (nano)."""

    kind: Literal["wan", "image"] = "wan"
    widths: tuple[int, ...] = (16, 48, 96)
    """Channel widths of the image tokenizer."""
    base_dim: int = 96
    """Base width of the Wan VAE; 96 is the published one."""


class TextConfig(_Strict):
    """`t5`: 512 x 1024 embeddings of T5-11B; `hash`: word hashes (nano)."""

    kind: Literal["t5", "hash"] = "t5"
    tokens: int = 512


class StepsConfig(_Strict):
    """Denoising steps by default, of the last ensemble member for futures and values."""

    action: int = Field(10, ge=1)
    future: int = Field(5, ge=1)
    value: int = Field(5, ge=1)


class PolicyConfig(_Strict):
    """Shape and habits of one checkpoint. Field defaults are the paper's 2B model on ALOHA."""

    format_version: int = FORMAT_VERSION
    size: str = "2b"
    cameras: tuple[str, ...] = ("cam_left_wrist", "cam_right_wrist", "cam_high")
    """Camera names in latent order."""
    image_size: int = 224
    center_crop: bool = True
    """Whether training cropped images at random, so that inference crops their centre."""
    action_dim: int = 14
    proprio_dim: int = 14
    horizon: int = 50
    prediction: Prediction = "v"
    value_input: Literal["all", "future", "action"] = "future"
    """What the value query sees: V(s, a, s'), V(s') or Q(s, a)."""
    hidden_frames: HiddenFrames = "denoised"
    """What the frames hold that a V(s') or Q(s, a) query must not see, see `HiddenFrames`."""
    gamma: float | None = Field(None, gt=0, le=1)
    """Discount per control step of the value labels; unknown where None."""
    episode_steps: int | None = Field(None, ge=1)
    """Most control steps that a success in the training data takes; unknown where None."""
    seeds: Literal["reference", "independent"] = "independent"
    """Seeds: base + member as published, or independent streams per plan and per (candidate, stage, member)."""
    steps: StepsConfig = StepsConfig()
    schedule: Schedule = Schedule()
    tokenizer: TokenizerConfig = TokenizerConfig()
    text: TextConfig = TextConfig()
    transformer: TransformerConfig = TransformerConfig()

    @property
    def layout(self) -> LatentLayout:
        return LatentLayout(len(self.cameras))

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of one sample."""
        side = self.image_size // 8
        return (self.transformer.in_channels, self.layout.frames, side, side)

    @property
    def value_query(self) -> Query:
        return {"all": Query.VALUE, "future": Query.FUTURE_VALUE, "action": Query.ACTION_VALUE}[self.value_input]

    def save(self, folder: Path) -> None:
        (folder / CONFIG_FILE).write_text(self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> PolicyConfig:
        """Read a folder's configuration.

        Raises:
            CheckpointError: naming the file, the key and the remedy.
        """
        path = folder / CONFIG_FILE
        try:
            raw: Any = json.loads(path.read_text())
        except FileNotFoundError:
            raise CheckpointError(
                f"{folder}: no {CONFIG_FILE} here, so this is not a checkpoint folder. "
                "Give the folder that `cosmos-policy train` wrote, or the name of a shipped checkpoint."
            ) from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: not readable as JSON ({error}). Export the checkpoint again.") from error
        try:
            config = cls.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "(top level)"
            raise CheckpointError(
                f"{path}: {key}: {first['msg']}. The file was edited or belongs to another version."
            ) from None
        if config.format_version != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: format_version {config.format_version}; this version reads {FORMAT_VERSION}. "
                "Export the checkpoint with this version."
            )
        return config


def nano(cameras: tuple[str, ...], **changes: Any) -> PolicyConfig:
    """Make the CPU-sized configuration: where it departs from the paper is exactly what is set here."""
    layout = LatentLayout(len(cameras))
    transformer = TransformerConfig(
        model_channels=256,
        num_blocks=4,
        num_heads=8,
        adaln_lora_dim=64,
        crossattn_emb_channels=32,
        patch_spatial=4,
        time_scale=1000.0,
        vector_frames=layout.vectors,
        position_embedding=(layout.frames, 2, 2),
    )
    defaults: dict[str, Any] = {
        "size": "nano",
        "cameras": cameras,
        "image_size": 64,
        "center_crop": False,
        "prediction": "x0",
        "steps": StepsConfig(action=5, future=3, value=1),
        "tokenizer": TokenizerConfig(kind="image"),
        "text": TextConfig(kind="hash", tokens=8),
        "transformer": transformer,
    }
    return PolicyConfig(**{**defaults, **changes})
