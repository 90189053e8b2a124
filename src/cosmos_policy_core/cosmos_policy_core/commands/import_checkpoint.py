"""`cosmos-policy import-checkpoint`: NVIDIA's released files become a checkpoint folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CheckpointError


@dataclass(frozen=True)
class Options:
    """Read NVIDIA's model file, tokenizer, statistics and instruction embeddings, check every tensor, write a folder.

    Nothing in the files is run. Weights keep their precision. Loaded then with --checkpoint FOLDER.

    Example:
        cosmos-policy import-checkpoint Cosmos-Policy-ALOHA-Predict2-2B checkpoints/aloha --tokenizer tokenizer.pth
    """

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SRC")]
    """Folder like NVIDIA's repository, its model file (.pt), or an id on the Hugging Face hub."""
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DST")]
    """Checkpoint folder to write; must not exist."""
    embodiment: str | None = None
    """Contract name or YAML path; by default the one that the statistics file is named for."""
    tokenizer: Path | None = None
    """tokenizer.pth of the Video2World repository; by default the one beside the model file."""
    statistics: Path | None = None
    """*_dataset_statistics.json; by default the one beside the model file."""
    t5: Path | None = None
    """*_t5_embeddings.pkl; by default the one beside the model file."""
    base: bool = False
    """The model file holds start weights (Video2World): no statistics, no instructions; to be fine-tuned."""
    value_input: Literal["all", "future", "action"] | None = None
    """What the value was trained to see; by default future for a planning model, told by its name, else all."""
    config: Path | None = None
    """config.json (or its folder) of a network that is not the published 2B."""
    json: bool = False
    """Print a JSON object as the last line."""


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Check, write and print the report; returns the exit status."""
    from cosmos_policy_core.checkpoints import find
    from cosmos_policy_core.model.config import CONFIG_FILE, PolicyConfig
    from cosmos_policy_core.model.nvidia.files import locate
    from cosmos_policy_core.model.nvidia.importing import (
        import_folder,
        published_config,
        read_published,
        size_in_bytes,
    )

    local = Path(options.source).expanduser()
    source = local if local.is_file() else find(options.source)
    files = locate(
        source,
        tokenizer=options.tokenizer,
        statistics=options.statistics,
        instructions=options.t5,
        base=options.base,
        download=not local.exists(),
    )
    name = options.embodiment or files.embodiment()
    if name is None:
        raise CheckpointError(f"{source}: no file name tells the robot. Name its contract with --embodiment.")
    contract = Embodiment.load(name)
    if options.config is None:
        config = published_config(contract, files)
    else:
        config = PolicyConfig.load(options.config.parent if options.config.name == CONFIG_FILE else options.config)
    if options.value_input is not None:
        config = config.model_copy(update={"value_input": options.value_input})
    console = Console(soft_wrap=True, highlight=False, stderr=options.json)
    published = read_published(
        files, contract, config, announce=lambda report: console.print("\n".join(report.lines()), markup=False)
    )
    with Progress(
        TextColumn("writing"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as progress:
        task = progress.add_task("writing", total=size_in_bytes(published))
        import_folder(published, options.folder, lambda size: progress.advance(task, size))
    console.print(
        f"wrote {options.folder}: {config.size} for {contract.name}, value sees {config.value_input}, "
        f"{len(published.text.instructions)} instructions",
        markup=False,
    )
    if options.json:
        sees = {"size": config.size, "embodiment": contract.name, "value_input": config.value_input}
        print(json.dumps({"checkpoint": str(options.folder), **sees, "instructions": len(published.text.instructions)}))
    return 0
