"""Checkpoints on the Hugging Face hub, by `organisation/name`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cosmos_policy_core.errors import CheckpointError

CHECKPOINT_FILES = ("*.json", "*.yaml", "*.safetensors", "*.pt", "*.pkl", "*.pth", "README.md")
# Start weights come in several sizes of picture; the published policies begin at this one.
FILES_OF = {
    "nvidia/Cosmos-Predict2-2B-Video2World": ("model-480p-16fps.pt", "tokenizer/tokenizer.pth", "README.md"),
}


def is_id(name: str) -> bool:
    """Whether a name can be a repository on the hub: two plain words with a slash between them."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) is not None


def fetch(name: str, patterns: Sequence[str] | None = None) -> Path:
    """Download a repository's checkpoint files, or find them in the cache; returns their folder.

    Raises:
        CheckpointError: no connection, no such repository, no access; in one sentence.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
    except ImportError:
        raise CheckpointError(
            f"{name}: no such folder here; downloading it needs huggingface_hub. "
            "Install it with `pip install huggingface_hub`, or give a local folder."
        ) from None
    patterns = FILES_OF.get(name, CHECKPOINT_FILES) if patterns is None else patterns
    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns)))
    except GatedRepoError:
        problem = f"access is granted per account; accept its terms at https://huggingface.co/{name} and log in"
    except RepositoryNotFoundError:
        problem = "the hub has no such repository, or not for this account; check the spelling"
    except LocalEntryNotFoundError:
        problem = "the hub can't be reached and nothing is cached; connect, or copy the files here"
    except OSError as error:
        problem = f"the download failed ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    raise CheckpointError(f"{name}: no such folder here, and as a Hugging Face id: {problem}.")
