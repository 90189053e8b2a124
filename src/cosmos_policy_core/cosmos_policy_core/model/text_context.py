"""What the network sees of an instruction: projected once per task, and padding summed up in a sink."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SINKS = 3
"""Zero tokens that stand for all padding; three bring the sum of their weights within 1e-6 even in bfloat16."""


@dataclass(frozen=True)
class TextContext:
    """Keys and values of the instruction for every block: computed once per task, (B, heads, L, head_dim) each.

    scores: (L,) added to the attention scores of every query, None for nothing.
    """

    keys_values: tuple[tuple[Tensor, Tensor], ...]
    scores: Tensor | None = None

    @property
    def batch(self) -> int:
        return self.keys_values[0][0].shape[0]

    def rows(self, rows: slice | Tensor) -> TextContext:
        """Take some samples of a batch."""
        return TextContext(tuple((k[rows], v[rows]) for k, v in self.keys_values), self.scores)

    def expand(self, batch: int) -> TextContext:
        """Repeat a single instruction for a batch, without copying."""
        pairs = tuple((k.expand(batch, -1, -1, -1), v.expand(batch, -1, -1, -1)) for k, v in self.keys_values)
        return TextContext(pairs, self.scores)


def without_padding(embedding: Tensor, multiple: int = 16) -> tuple[Tensor, Tensor | None]:
    """Cut the zeros after the last word of embeddings (B, L, C), and say what stands for them.

    Published embeddings are 512 tokens long, most of them exact zeros, and the weights were trained to attend all of
    them. A zero token has key RMSNorm(0) = 0 and value 0: it adds exp(0) = 1 to the denominator of every softmax and
    nothing to the numerator. So one zero token whose score is log n equals n of them: a sink.

    Args:
        multiple: of which the remaining length is, so that few lengths occur.

    Returns:
        Embeddings (B, L', C) and scores (L',) float64 to add, or the embeddings as they are and None where nothing
        would be saved.
    """
    length = embedding.shape[1]
    words = int((embedding != 0).any(-1).any(0).nonzero().max()) + 1 if bool((embedding != 0).any()) else 0
    kept = -(-(words + SINKS) // multiple) * multiple
    if kept >= length:
        return embedding, None
    scores = torch.zeros(kept, dtype=torch.float64, device=embedding.device)
    scores[-SINKS:] = _sink_scores(length - kept + SINKS, embedding.dtype)
    return embedding[:, :kept], scores


def _sink_scores(count: int, dtype: torch.dtype) -> Tensor:
    """Numbers of a dtype, `SINKS` of them, whose exponentials add up to `count` from below.

    One alone would be off by 1 %: in bfloat16, log 500 is 6.19 or 6.22.
    """
    scores, left = torch.empty(SINKS, dtype=torch.float64), float(count)
    for index in range(SINKS):
        score = torch.tensor(math.log(left), dtype=torch.float64).to(dtype)
        if math.exp(score) > left:
            score = torch.nextafter(score, torch.tensor(-math.inf, dtype=dtype))
        scores[index] = score
        left = max(left - math.exp(scores[index]), 1e-30)
    return scores
