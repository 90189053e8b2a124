"""Instructions through transformers' T5 encoder, as the published embeddings were made (method notes on text).

Used to prepare a checkpoint, never to run one: the control path reads the embeddings that were made here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cosmos_policy_core.errors import ConfigurationError


class T5Encoder:
    """Encoder half of a T5 model.

    Args:
        model: hub id or local folder.
        tokens: length of an embedding; longer instructions are cut.
        device: where the encoder runs.
        dtype: what it computes in.

    Raises:
        ConfigurationError: transformers is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str, tokens: int, device: str, dtype: torch.dtype) -> None:
        self._tokens, self._device = tokens, device
        try:
            from transformers import AutoTokenizer, T5EncoderModel
        except ImportError as error:
            raise ConfigurationError(
                f"embedding instructions needs transformers ({error}). "
                "Run `pip install transformers sentencepiece`, the extra [t5] of cosmos_policy_core; running a "
                "checkpoint does not need it."
            ) from None
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model)
            self._network: Any = T5EncoderModel.from_pretrained(model, dtype=dtype).to(device).eval()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"--model {model}: cannot be loaded ({_first_sentence(error)}). "
                "Give a folder with a T5 model, or go online once to fetch it from the hub."
            ) from None

    @torch.inference_mode()
    def __call__(self, instruction: str) -> Tensor:
        """Embed one instruction.

        Returns:
            (tokens, channels) bfloat16 on the CPU, zero after the instruction's last token.
        """
        batch = self._tokenizer(
            [instruction], padding="max_length", max_length=self._tokens, truncation=True, return_tensors="pt"
        ).to(self._device)
        hidden = self._network(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state[0]
        # Not multiplied by the mask: 0 x inf, which half precision can give on padding, would be NaN.
        embedding = torch.where(batch.attention_mask[0, :, None].bool(), hidden, 0.0)
        return embedding.to("cpu", torch.bfloat16)


def _first_sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text.split(". ")[0].rstrip(".")
