"""Checkpoint folders: `config.json`, safetensors, statistics, text embeddings and the embodiment contract.

    config.json  model.safetensors  tokenizer.safetensors  dataset_statistics.json
    text_embeddings.safetensors  embodiment.yaml  README.md (model card)

Nothing here is ever unpickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cosmos_policy_core.checkpoints import find
from cosmos_policy_core.data.statistics import Statistics
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CheckpointError
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.streaming import DTYPES, all_finite, stream_tensors
from cosmos_policy_core.model.text import TextEmbeddings
from cosmos_policy_core.model.tokenizer import ImageTokenizer, Tokenizer, WanTokenizer
from cosmos_policy_core.model.transformer import DiffusionTransformer

MODEL_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.safetensors"
STATISTICS_FILE = "dataset_statistics.json"
EMBODIMENT_FILE = "embodiment.yaml"
PREFIX = "net."


def build_tokenizer(config: PolicyConfig) -> Tokenizer:
    """Make an untrained tokenizer of the configured kind."""
    if config.tokenizer.kind == "wan":
        return WanTokenizer(base_dim=config.tokenizer.base_dim)
    return ImageTokenizer(config.image_size, config.transformer.in_channels, config.tokenizer.widths)


def save_policy(policy: CosmosPolicy, folder: Path) -> None:
    """Write a checkpoint folder; existing files of an older save are replaced one by one, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    policy.config.save(folder)
    network = {PREFIX + name: tensor for name, tensor in policy.network.state_dict().items()}
    # What training made of the weights is kept whatever it is; loading is where numbers are judged.
    stream_tensors(network, folder / MODEL_FILE, finite=False)
    stream_tensors(_module(policy.tokenizer).state_dict(), folder / TOKENIZER_FILE, finite=False)
    policy.statistics.save(folder / STATISTICS_FILE)
    policy.text.save(folder)
    (folder / EMBODIMENT_FILE).write_text(policy.contract.to_yaml())


def load_policy(path: str | Path, device: torch.device, dtype: torch.dtype | None = None) -> CosmosPolicy:
    """Read a checkpoint onto a device: a folder, a shipped name, NVIDIA's files or an id on the Hugging Face hub.

    Raises:
        CheckpointError, StatisticsError, ContractError: what is wrong, in which file, and the remedy.
    """
    # Imported here: reading NVIDIA's files builds on this module.
    from cosmos_policy_core.model.nvidia.files import is_published
    from cosmos_policy_core.model.nvidia.importing import load_published

    if Path(path).suffix == ".pt" and Path(path).is_file():
        return load_published(Path(path), device, dtype)
    folder = find(path)
    if is_published(folder):
        return load_published(folder, device, dtype, download=folder != Path(path).expanduser())
    policy = assemble(
        config=PolicyConfig.load(folder),
        weights={name.removeprefix(PREFIX): tensor for name, tensor in read_tensors(folder / MODEL_FILE).items()},
        tokenizer_weights=read_tensors(folder / TOKENIZER_FILE),
        sources=(folder / MODEL_FILE, folder / TOKENIZER_FILE),
        statistics=Statistics.load(folder / STATISTICS_FILE),
        text=TextEmbeddings.load(folder),
        contract=Embodiment.load(folder / EMBODIMENT_FILE),
        identity=identity(folder),
        device=device,
        dtype=dtype,
    )
    _check_shapes(policy, folder)
    return policy


def assemble(
    *,
    config: PolicyConfig,
    weights: Mapping[str, Tensor],
    tokenizer_weights: Mapping[str, Tensor],
    sources: tuple[Path, Path],
    statistics: Statistics,
    text: TextEmbeddings,
    contract: Embodiment,
    identity: str,
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> CosmosPolicy:
    """Put a policy together from its parts, with one copy of the weights: modules take the tensors as their own.

    Args:
        sources: the files of network and tokenizer, for errors.
        dtype: float32 on a CPU and bfloat16 elsewhere by default.

    Raises:
        CheckpointError: weights that don't fit the configuration, or are not finite.
    """
    dtype = dtype or (torch.float32 if device.type == "cpu" else torch.bfloat16)
    with torch.device("meta"):
        network, tokenizer = DiffusionTransformer(config.transformer), build_tokenizer(config)
    for module, tensors, source in (
        (network, weights, sources[0]),
        (_module(tokenizer), tokenizer_weights, sources[1]),
    ):
        load_strictly(module, tensors, source)
        module.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return CosmosPolicy(
        config=config,
        network=network,
        tokenizer=tokenizer,
        statistics=statistics,
        text=text,
        contract=contract,
        identity=identity,
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: the file is missing, truncated or something else.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: missing. Export the checkpoint again, or copy the whole folder.") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: not a complete safetensors file ({error}). Copy it again and compare its size."
        ) from error


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that must match name for name and shape for shape; the module keeps these very tensors.

    Raises:
        CheckpointError: counts and first names of what is missing, unexpected or of another shape; a dtype that is
            not supported; numbers that are not finite.
    """
    expected = module.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    unexpected = sorted(weights.keys() - expected.keys())
    reshaped = sorted(name for name in expected.keys() & weights.keys() if expected[name].shape != weights[name].shape)
    if missing or unexpected or reshaped:
        parts = [
            f"{len(names)} {what} (first: {names[0]})"
            for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
            if names
        ]
        raise CheckpointError(
            f"{path}: tensors do not fit the configuration: {', '.join(parts)}. "
            "The file belongs to another model size or version; take config.json and weights from the same export."
        )
    foreign = [name for name, tensor in weights.items() if tensor.dtype not in DTYPES]
    if foreign:
        raise CheckpointError(
            f"{path}: {foreign[0]} is {str(weights[foreign[0]].dtype).removeprefix('torch.')}. "
            "Export the checkpoint as bfloat16 or float32."
        )
    module.load_state_dict(weights, assign=True)
    broken = [name for name, tensor in weights.items() if tensor.is_floating_point() and not all_finite(tensor)]
    if broken:
        raise CheckpointError(
            f"{path}: {broken[0]} holds NaN or infinity. The training diverged or the file is damaged."
        )


def identify(path: str | Path) -> str:
    """Tell the identity that a checkpoint has once it is loaded, from its files alone.

    Args:
        path: as :func:`load_policy` takes it.

    Raises:
        CheckpointError: nothing that could be loaded is there.
    """
    from cosmos_policy_core.model.nvidia.files import is_published, weights_of

    published = Path(path).expanduser()
    if not (published.suffix == ".pt" and published.is_file()):
        folder = find(path)
        if not is_published(folder):
            if not (folder / MODEL_FILE).is_file():
                raise CheckpointError(f"{folder}: not a checkpoint folder: it has no {MODEL_FILE}. Check the path.")
            return identity(folder)
        published = folder
    return published_identity(weights_of(published))


def published_identity(weights: Path) -> str:
    """Name a checkpoint by NVIDIA's file of its weights."""
    return f"{weights.stem}@{digest(weights)}"


def identity(folder: Path) -> str:
    """Name a checkpoint by its folder and its weights: `nano_transfer_cube@1f2e3d4c`."""
    return f"{folder.resolve().name}@{digest(folder / MODEL_FILE)}"


def digest(path: Path) -> str:
    """Return the first eight digits of a file's SHA-256."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            whole.update(block)
    return whole.hexdigest()[:8]


def _module(tokenizer: Tokenizer) -> nn.Module:
    assert isinstance(tokenizer, nn.Module)
    return tokenizer


def _check_shapes(policy: CosmosPolicy, folder: Path) -> None:
    """Compare what the weights were shaped for with the contract beside them."""
    config, contract = policy.config, policy.contract
    pairs = (
        ("action_dim", config.action_dim, contract.action_dim),
        ("proprio_dim", config.proprio_dim, contract.proprio_dim),
        ("horizon", config.horizon, contract.chunk_horizon),
        ("cameras", config.cameras, tuple(camera.name for camera in contract.cameras)),
    )
    for key, of_config, of_contract in pairs:
        if of_config != of_contract:
            raise CheckpointError(
                f"{folder}: {key} is {of_config} in config.json and {of_contract} in {EMBODIMENT_FILE}. "
                "The files come from different exports."
            )
