"""Instruction embeddings: a cache beside the weights, never an encoder in the control path.

The published models read T5-11B embeddings (512 x 1024, padding positions zero). Small models may use hashed word
embeddings, which need no weights and no download.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cosmos_policy_core.errors import CheckpointError, InstructionError
from cosmos_policy_core.model.streaming import stream_tensors

EMBEDDINGS_FILE = "text_embeddings.safetensors"


class TextEmbeddings:
    """Known instructions of a checkpoint, each (L, channels)."""

    def __init__(self, embeddings: Mapping[str, Tensor]) -> None:
        self._embeddings = dict(embeddings)

    @property
    def instructions(self) -> tuple[str, ...]:
        return tuple(sorted(self._embeddings))

    def __getitem__(self, instruction: str) -> Tensor:
        """Look up an instruction, exactly as it was trained.

        Raises:
            InstructionError: naming the known ones.
        """
        try:
            return self._embeddings[instruction]
        except KeyError:
            known = "; ".join(repr(known) for known in self.instructions) or "none"
            raise InstructionError(
                f"instruction {instruction!r}: no embedding in the checkpoint. Known: {known}. Use one of these. "
                "Other words for a known task are added with `cosmos-policy embed-instructions --out CHECKPOINT "
                f"--instructions {shlex.quote(instruction)}`; a new task needs demonstrations, too."
            ) from None

    def merged(self, more: TextEmbeddings) -> TextEmbeddings:
        """Return these and more instructions; where both know one, these count."""
        return TextEmbeddings({**more._embeddings, **self._embeddings})

    def save(self, folder: Path) -> None:
        """Write the embeddings of a checkpoint folder, whole or not at all."""
        stream_tensors(self._embeddings, folder / EMBEDDINGS_FILE)

    @classmethod
    def load(cls, folder: Path) -> TextEmbeddings:
        path = folder / EMBEDDINGS_FILE
        try:
            return cls(load_file(path))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{path}: text embeddings can't be read ({error}). Export the checkpoint again."
            ) from error

    @classmethod
    def hashed(cls, instructions: Iterable[str], tokens: int, channels: int) -> TextEmbeddings:
        """Embed instructions by their words: unit vectors seeded by each word's hash, zeros after the last word."""
        return cls({text: _hash_words(text, tokens, channels) for text in instructions})


def _hash_words(text: str, tokens: int, channels: int) -> Tensor:
    embedding = torch.zeros(tokens, channels)
    for position, word in enumerate(re.findall(r"\w+", text.lower())[:tokens]):
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
        embedding[position] = torch.from_numpy(np.random.RandomState(seed).standard_normal(channels).astype(np.float32))
    return embedding
