"""`cosmos-policy embed-instructions`: what a checkpoint knows of language, computed once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import track

from cosmos_policy_core.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Options:
    """Embed instructions with T5 and add them to a folder's text_embeddings.safetensors.

    A checkpoint that reads word hashes (nano) gets those, without a model.

    Example:
        cosmos-policy embed-instructions --data aloha/preprocessed --embodiment aloha --out checkpoints/mine
    """

    out: Path
    """Folder to write into, for example a checkpoint; instructions that are already there are kept."""
    instructions: tuple[str, ...] = ()
    """Instructions, each in quotes."""
    data: tuple[Path, ...] = ()
    """Folders of episodes whose instructions are embedded."""
    embodiment: str = "aloha_sim"
    """Contract of those episodes: a name or a YAML file."""
    model: str = "google-t5/t5-11b"
    """T5 model: a hub id or a folder. The published checkpoints use t5-11b, whose encoder takes 10 GB in bfloat16."""
    tokens: int | None = None
    """Length of an embedding; by default the checkpoint's, or 512 in a folder without one."""
    device: str = "cpu"
    """Where T5 runs: cpu or cuda."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """What T5 computes in; embeddings are stored as bfloat16."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Embed what is missing and write the file.

    Raises:
        ConfigurationError: no instruction was given, T5 is missing, or the folder holds embeddings of another shape.
    """
    console = Console(stderr=True)
    wanted = dict.fromkeys([*_checked(options.instructions), *_found(options, console)])
    if not wanted:
        raise ConfigurationError("no instruction. Give --instructions 'fold shirt', or --data with a folder.")
    if options.tokens is not None and options.tokens < 1:
        raise ConfigurationError(f"--tokens {options.tokens}: an embedding has at least one token.")
    known = existing(options.out)
    missing = [instruction for instruction in wanted if instruction not in known]
    if missing:
        add(options.out, known, missing, _encoder(options), console)
    console.print(f"{len(missing)} instructions embedded, {len(wanted) - len(missing)} known; wrote {options.out}.")
    if options.json:
        print(json.dumps({"out": str(options.out), "embedded": missing, "known": sorted(known)}))
    return 0


def existing(folder: Path) -> dict[str, Tensor]:
    """Read the embeddings of a folder; a folder without any has none."""
    from cosmos_policy_core.model.text import EMBEDDINGS_FILE, TextEmbeddings

    if not (folder / EMBEDDINGS_FILE).exists():
        return {}
    text = TextEmbeddings.load(folder)
    return {instruction: text[instruction] for instruction in text.instructions}


def add(
    folder: Path,
    known: dict[str, Tensor],
    missing: Sequence[str],
    encode: Callable[[str], Tensor],
    console: Console,
) -> None:
    """Embed the missing instructions and write them beside the known ones, whole or not at all.

    Raises:
        ConfigurationError: the known embeddings have another shape.
    """
    from cosmos_policy_core.model.text import TextEmbeddings

    made = {text: encode(text).contiguous() for text in track(missing, "embedding", console=console, transient=True)}
    shapes = {tuple(tensor.shape) for tensor in (*known.values(), *made.values())}
    if len(shapes) > 1:
        raise ConfigurationError(
            f"{folder}: holds embeddings of shape {next(tuple(tensor.shape) for tensor in known.values())}, and this "
            f"model gives {next(tuple(tensor.shape) for tensor in made.values())}. "
            "Use the model and --tokens they were made with, or another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    TextEmbeddings(known | made).save(folder)


def _encoder(options: Options) -> Callable[[str], Tensor]:
    """Choose what the folder's checkpoint was trained to read: T5, or word hashes."""
    import torch

    from cosmos_policy_core.model.config import CONFIG_FILE, PolicyConfig
    from cosmos_policy_core.model.t5 import T5Encoder
    from cosmos_policy_core.model.text import TextEmbeddings

    config = PolicyConfig.load(options.out) if (options.out / CONFIG_FILE).exists() else None
    tokens = options.tokens or (512 if config is None else config.text.tokens)
    if config is not None and config.text.kind == "hash":
        channels = config.transformer.crossattn_emb_channels
        return lambda instruction: TextEmbeddings.hashed([instruction], tokens, channels)[instruction]
    return T5Encoder(options.model, tokens, options.device, getattr(torch, options.dtype))


def _checked(instructions: Sequence[str]) -> list[str]:
    if any(not instruction.strip() for instruction in instructions):
        raise ConfigurationError("--instructions: one is empty. Leave it out.")
    return list(instructions)


def _found(options: Options, console: Console) -> list[str]:
    """Collect the distinct instructions of the data folders."""
    from cosmos_policy_core.data.layouts import read_folder
    from cosmos_policy_core.embodiment import Embodiment

    if not options.data:
        return []
    contract, found = Embodiment.load(options.embodiment), []
    for folder in options.data:
        episodes, left_out = read_folder(folder, contract)
        found += [episode.instruction for episode in episodes]
        for item in left_out:
            console.print(f"left out: {item.reason}", style="red", markup=False, highlight=False)
    return sorted(set(found))
