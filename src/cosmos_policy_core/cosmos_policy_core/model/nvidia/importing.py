"""Turn NVIDIA's files into a checkpoint folder of this package, or into a policy in memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CheckpointError, StatisticsError
from cosmos_policy_core.model.checkpoint import (
    EMBODIMENT_FILE,
    MODEL_FILE,
    PREFIX,
    STATISTICS_FILE,
    TOKENIZER_FILE,
    assemble,
    build_tokenizer,
    digest,
    published_identity,
)
from cosmos_policy_core.model.config import PolicyConfig, StepsConfig
from cosmos_policy_core.model.nvidia.files import PublishedFiles, locate
from cosmos_policy_core.model.nvidia.reading import read_instructions, read_weights
from cosmos_policy_core.model.nvidia.report import TensorReport, compare
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.streaming import DTYPES, Progress, all_finite, stream_tensors
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.model.transformer import DiffusionTransformer
from cosmos_policy_core.model.untrained import statistics_of_limits

# JPEG round trip of the published evaluations. ALOHA's client sends images as they are; LIBERO and RoboCasa compress
# theirs (method notes 1.3). The checkpoint keeps its own habit, whatever the robot's recordings do.
PUBLISHED_JPEG = {"aloha": None, "libero": 95, "robocasa": 95}

# Denoising steps of the published evaluations; ALOHA's are the defaults.
PUBLISHED_STEPS = {"libero": StepsConfig(action=5), "robocasa": StepsConfig(action=5)}
PUBLISHED_GAMMA = {"libero": 0.99, "robocasa": 0.99, "aloha": 0.998}


@dataclass(frozen=True)
class Published:
    """A checkpoint of NVIDIA's, read and checked; weights may still lie on disk."""

    files: PublishedFiles
    config: PolicyConfig
    contract: Embodiment
    network: Mapping[str, Tensor]
    tokenizer: Mapping[str, Tensor]
    statistics: Statistics
    text: TextEmbeddings
    reports: tuple[TensorReport, TensorReport]


def published_config(contract: Embodiment, files: PublishedFiles) -> PolicyConfig:
    """Describe the published 2B network on a robot: what each model's value was trained to see, and its steps."""
    return PolicyConfig(
        cameras=tuple(camera.name for camera in contract.cameras),
        action_dim=contract.action_dim,
        proprio_dim=contract.proprio_dim,
        horizon=contract.chunk_horizon,
        value_input="future" if files.value_sees_future_only else "all",
        gamma=PUBLISHED_GAMMA.get(contract.name) if files.statistics else None,
        steps=PUBLISHED_STEPS.get(contract.name, StepsConfig()),
    )


def published_contract(contract: Embodiment, files: PublishedFiles) -> Embodiment:
    """Prepare live images as the checkpoint's training images were; start weights will learn the robot's way."""
    name = files.embodiment() or contract.name
    if files.statistics is None or name not in PUBLISHED_JPEG:
        return contract
    images = contract.images.model_copy(update={"jpeg_quality": PUBLISHED_JPEG[name]})
    return contract.model_copy(update={"images": images})


def read_published(
    files: PublishedFiles,
    contract: Embodiment,
    config: PolicyConfig | None = None,
    announce: Callable[[TensorReport], None] | None = None,
) -> Published:
    """Read and check every file of a checkpoint.

    Args:
        config: of a network that is not the published 2B.
        announce: told the report of each weight file before a bad one is refused.

    Raises:
        CheckpointError, StatisticsError: what is wrong, in which file, and the remedy.
    """
    config = config or published_config(contract, files)
    contract = published_contract(contract, files)
    with torch.device("meta"):
        network, tokenizer = DiffusionTransformer(config.transformer), build_tokenizer(config)
    assert isinstance(tokenizer, torch.nn.Module)
    checked = []
    for path, expected in (
        (files.weights, {PREFIX + name: tensor.shape for name, tensor in network.state_dict().items()}),
        (files.tokenizer, {name: tensor.shape for name, tensor in tokenizer.state_dict().items()}),
    ):
        found = read_weights(path)
        report = compare(path, expected, found)
        if announce is not None:
            announce(report)
        report.require()
        checked.append(({name: found[name] for name in expected}, report))
    (weights, of_network), (autoencoder, of_tokenizer) = checked
    return Published(
        files,
        config,
        contract,
        weights,
        autoencoder,
        _statistics(files.statistics, contract),
        _instructions(files.instructions, config),
        (of_network, of_tokenizer),
    )


def import_folder(published: Published, folder: Path, progress: Progress | None = None) -> None:
    """Write a checkpoint folder, whole or not at all; weights keep their dtype.

    Raises:
        CheckpointError: the folder exists, the disk is too small, or a tensor is not finite.
    """
    _check_space(published, folder)
    with _all_or_nothing(folder) as partial:
        published.config.save(partial)
        for path, tensors, name in (
            (published.files.weights, published.network, MODEL_FILE),
            (published.files.tokenizer, published.tokenizer, TOKENIZER_FILE),
        ):
            try:
                stream_tensors(tensors, partial / name, progress)
            except CheckpointError as error:
                raise CheckpointError(f"{path}: {error}") from None
        published.statistics.save(partial / STATISTICS_FILE)
        published.text.save(partial)
        (partial / EMBODIMENT_FILE).write_text(published.contract.to_yaml())
        (partial / "README.md").write_text(_card(published))


def load_published(
    source: Path,
    device: torch.device,
    dtype: torch.dtype | None = None,
    download: bool = False,
    config: PolicyConfig | None = None,
) -> CosmosPolicy:
    """Load a folder laid out like NVIDIA's repositories, or one of its model files, without writing anything.

    Args:
        download: take the tokenizer, and a planning model's statistics, from the hub where they are not there.
        config: of a network that is not the published 2B.

    Raises:
        CheckpointError, StatisticsError, ContractError: what is wrong, in which file, and the remedy.
    """
    files = locate(source, download=download)
    name = files.embodiment()
    if name is None:
        raise CheckpointError(
            f"{source}: no file name tells the robot. Import it with `cosmos-policy import-checkpoint {source} "
            "FOLDER --embodiment NAME` and load that folder."
        )
    published = read_published(files, Embodiment.load(name), config)
    return assemble(
        config=published.config,
        weights={name.removeprefix(PREFIX): tensor for name, tensor in published.network.items()},
        tokenizer_weights=published.tokenizer,
        sources=(files.weights, files.tokenizer),
        statistics=published.statistics,
        text=published.text,
        contract=published.contract,
        identity=published_identity(files.weights),
        device=device,
        dtype=dtype,
    )


def _statistics(path: Path | None, contract: Embodiment) -> Statistics:
    """Read the ranges of the training data; start weights have none, so the contract's limits stand in."""
    if path is None:
        return statistics_of_limits(contract)
    statistics = Statistics.load(path)
    for kind, given, wanted in (
        ("actions", len(statistics.actions_min), contract.action_dim),
        ("proprio", len(statistics.proprio_min), contract.proprio_dim),
    ):
        if given != wanted:
            raise StatisticsError(
                f"{path}: {kind} has {given} dimensions, embodiment {contract.name} has {wanted}. "
                "Give the statistics of this robot, or another --embodiment."
            )
    names = [f"dimension {index}" for index in range(max(contract.action_dim, contract.proprio_dim))]
    if contract.action_dim == contract.proprio_dim == len(contract.joint_names):
        names = list(contract.joint_names)
    try:
        statistics.require_spread(names)
    except StatisticsError as error:
        raise StatisticsError(f"{path}: {error}") from None
    return statistics


def _instructions(path: Path | None, config: PolicyConfig) -> TextEmbeddings:
    if path is None:
        return TextEmbeddings({})
    wanted = (config.text.tokens, config.transformer.crossattn_emb_channels)
    embeddings = {}
    for instruction, embedding in read_instructions(path).items():
        if tuple(embedding.shape) not in (wanted, (1, *wanted)):
            raise CheckpointError(
                f"{path}: the embedding of {instruction!r} has shape {list(embedding.shape)} instead of "
                f"{list(wanted)}. Give the cache of T5-11B embeddings that belongs to this model."
            )
        if embedding.dtype not in DTYPES:
            raise CheckpointError(
                f"{path}: the embedding of {instruction!r} is {str(embedding.dtype).removeprefix('torch.')} instead of "
                "bfloat16 or float32. Give the cache of NVIDIA's repository, or make one with embed-instructions."
            )
        if not all_finite(embedding):
            raise CheckpointError(f"{path}: the embedding of {instruction!r} holds NaN or infinity. Download it again.")
        embeddings[instruction] = embedding.reshape(wanted).clone()
    return TextEmbeddings(embeddings)


def _check_space(published: Published, folder: Path) -> None:
    needed = size_in_bytes(published)
    existing = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise CheckpointError(
            f"{folder}: needs {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left. Free some, or choose "
            "another disk."
        )


def size_in_bytes(published: Published) -> int:
    """Count the bytes of all weights."""
    tensors = (*published.network.values(), *published.tokenizer.values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[Path]:
    """Yield a folder beside the wanted one, which takes its place at the end; nothing stays of a failure."""
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise CheckpointError(f"{folder}: already exists. Remove it, or choose another name.")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _card(published: Published) -> str:
    """Say in the folder where its weights come from."""
    files = published.files
    sources = [
        path.name for path in (files.weights, files.tokenizer, files.statistics, files.instructions) if path is not None
    ]
    lines = [
        f"# {files.weights.stem}",
        "",
        f"Imported for the embodiment `{published.contract.name}` from {', '.join(sources)}.",
        f"SHA-256 of the source weights begins with `{digest(files.weights)}`.",
        "The terms of NVIDIA's repositories apply to these weights.",
        "",
    ]
    if files.statistics is None:
        lines += ["Start weights: the statistics are the contract's limits, to be replaced by fine-tuning.", ""]
    return "\n".join(lines)
