"""NVIDIA's files become a checkpoint folder whole, or a sentence says why not; nothing inside them is ever run."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_cases import manifest
from published_files import (
    EMBEDDINGS,
    INSTRUCTIONS,
    STATISTICS,
    WEIGHTS,
    policy_state,
    tiny_config,
    tokenizer_state,
    write_repository,
)
from safetensors.torch import load_file

from cosmos_policy_core import cli
from cosmos_policy_core.data.statistics import FILE_NAME
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.errors import CheckpointError, StatisticsError
from cosmos_policy_core.model.checkpoint import MODEL_FILE, TOKENIZER_FILE, save_policy
from cosmos_policy_core.model.config import PolicyConfig
from cosmos_policy_core.model.nvidia.files import is_published, locate
from cosmos_policy_core.model.nvidia.importing import (
    import_folder,
    load_published,
    published_config,
    published_contract,
    read_published,
)
from cosmos_policy_core.model.nvidia.reading import read_instructions, read_weights
from cosmos_policy_core.model.nvidia.report import compare
from cosmos_policy_core.model.observation import Observation
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.streaming import all_finite, stream_tensors

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("hub") / "Cosmos-Policy-ALOHA-Predict2-2B", tiny_config())


@pytest.fixture
def source(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / published.name))


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    tiny_config().save(folder)
    return folder / "config.json"


def run(*words: str | Path) -> int:
    return cli.main(["import-checkpoint", *(str(word) for word in words)])


def read(source: Path, **options: Any) -> Any:
    return read_published(locate(source, **options), Embodiment.load("aloha"), tiny_config())


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    state = read_weights(path)
    change(state)
    torch.save(
        {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in state.items()}, path
    )


# A whole import -----------------------------------------------------------------------------------------------------


def test_every_published_name_arrives_with_its_numbers_and_dtype(source: Path, config_file: Path) -> None:
    folder = source.parent / "imported"
    assert run(source, folder, "--config", config_file) == 0
    for name, file, prefix in ((WEIGHTS, MODEL_FILE, "net."), ("tokenizer.pth", TOKENIZER_FILE, "")):
        before, after = read_weights(source / name), load_file(folder / file)
        assert set(after) == {key for key in before if key.startswith(prefix) and not _is_ignored(key)}
        for key, tensor in after.items():
            assert tensor.dtype == before[key].dtype
            assert torch.equal(tensor, before[key]), key


def _is_ignored(name: str) -> bool:
    return name.endswith("_extra_state") or name.startswith(("net.pos_embedder.", "net.accum_"))


def test_an_imported_checkpoint_and_the_files_it_came_from_answer_alike(source: Path, config_file: Path) -> None:
    folder = source.parent / "imported"
    assert run(source, folder, "--config", config_file) == 0
    rng = np.random.default_rng(0)
    cameras = Embodiment.load("aloha").cameras
    images = {camera.name: rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for camera in cameras}
    observation = Observation(images, np.asarray(Embodiment.load("aloha").start_action), INSTRUCTIONS[0])
    imported = CosmosPolicy.from_pretrained(folder)
    in_memory = load_published(source, CPU, config=tiny_config())
    actions = imported.propose(observation, steps=1).actions
    assert np.isfinite(actions).all()
    np.testing.assert_array_equal(actions, in_memory.propose(observation, steps=1).actions)
    assert imported.text.instructions == in_memory.text.instructions == INSTRUCTIONS
    assert in_memory.identity.startswith("Cosmos-Policy-ALOHA-Predict2-2B@")


def test_the_report_counts_every_class(source: Path, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, source.parent / "imported", "--config", config_file) == 0
    said = capsys.readouterr().out
    networks, norms = 20 * 2 + 7, 4 * 2 + 1
    assert f"matched     {networks} ({networks} bfloat16)" in said
    assert f"ignored     {norms + 7} " in said
    assert "matched     194 (194 float32)" in said
    assert said.count("missing     0") == said.count("unexpected  0") == 2
    assert "2 instructions" in said


def test_the_full_size_names_shapes_and_parameter_counts_are_the_published_ones() -> None:
    contract = Embodiment.load("aloha")
    for argument, prefix, count, parameters in (
        ("model_channels", "net.", 567, 1_956_413_440),
        ("dim_mult", "", 194, 126_892_531),
    ):
        content = manifest(argument)
        found: dict[str, Any] = {
            name: torch.empty(entry["shape"], dtype=_stored_dtype(entry), device="meta")
            for name, entry in content["entries"].items()
        }
        found |= dict.fromkeys(content.get("possible_extra_keys", {}).get("keys", ()))
        report = compare(Path("published"), _expected(contract, prefix), found)
        report.require()
        assert len(report.matched) == count
        assert sum(math.prod(content["entries"][name]["shape"]) for name in report.matched) == parameters
        assert (report.missing, report.unexpected, report.faults) == ((), (), ())


def _stored_dtype(entry: dict[str, Any]) -> torch.dtype:
    """Published files hold bfloat16 where the manifest, taken before the cast, says float32."""
    return torch.int64 if entry["dtype"] == "int64" else torch.bfloat16


def _expected(contract: Embodiment, prefix: str) -> dict[str, torch.Size]:
    from cosmos_policy_core.model.checkpoint import build_tokenizer
    from cosmos_policy_core.model.transformer import DiffusionTransformer

    config = PolicyConfig()
    with torch.device("meta"):
        module = DiffusionTransformer(config.transformer) if prefix else build_tokenizer(config)
    assert isinstance(module, torch.nn.Module)
    return {prefix + name: tensor.shape for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "value_input"),
    [(WEIGHTS, "all"), ("Cosmos-Policy-ALOHA-Planning-Model-Predict2-2B.pt", "future")],
)
def test_policy_and_planning_model_differ_in_what_their_value_sees(source: Path, name: str, value_input: str) -> None:
    (source / WEIGHTS).rename(source / name)
    config = published_config(Embodiment.load("aloha"), locate(source))
    assert config.value_input == value_input
    assert config.gamma == 0.998
    assert config.model_copy(update={"value_input": "future", "gamma": None}) == PolicyConfig()


@pytest.mark.parametrize(
    ("robot", "frames", "dims", "steps", "gamma"),
    [("ALOHA", 11, (50, 14, 14), 10, 0.998), ("LIBERO", 9, (16, 7, 9), 5, 0.99), ("RoboCasa", 11, (32, 7, 9), 5, 0.99)],
)
def test_every_policy_repository_is_recognised_by_its_files(
    tmp_path: Path, robot: str, frames: int, dims: tuple[int, ...], steps: int, gamma: float
) -> None:
    source = write_repository(tmp_path / "snapshot", tiny_config(), robot)
    files = locate(source)
    contract = Embodiment.load(files.embodiment() or "none")
    full = published_config(contract, files)
    assert (contract.name, full.layout.frames, full.steps.action, full.gamma) == (robot.lower(), frames, steps, gamma)
    assert (full.horizon, full.action_dim, full.proprio_dim) == dims
    sizes = {key: getattr(tiny_config(), key) for key in ("size", "image_size", "transformer", "tokenizer", "text")}
    import_folder(read_published(files, contract, full.model_copy(update=sizes)), tmp_path / "imported")
    policy = CosmosPolicy.from_pretrained(tmp_path / "imported")
    rng = np.random.default_rng(0)
    images = {
        camera.name: rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)
        for camera in contract.cameras
    }
    proposals = policy.propose(Observation(images, np.zeros(dims[2]), INSTRUCTIONS[0]), steps=1)
    assert proposals.actions.shape == (1, dims[0], dims[1])


@pytest.mark.parametrize(("name", "quality"), [("aloha", None), ("libero", 95), ("robocasa", 95)])
def test_a_checkpoint_prepares_images_as_its_training_did(source: Path, name: str, quality: int | None) -> None:
    (source / STATISTICS).rename(source / f"{name}_{FILE_NAME}")
    robot = Embodiment.load(name)
    of_checkpoint = published_contract(robot, locate(source))
    assert of_checkpoint.images.jpeg_quality == quality
    assert of_checkpoint.differences(robot) == []  # the robot may record as it likes


def test_start_weights_take_the_robot_s_way_with_images(source: Path) -> None:
    robot = Embodiment.load("aloha")
    assert published_contract(robot, locate(source, base=True)).images.jpeg_quality == robot.images.jpeg_quality == 95


def test_a_planning_model_takes_statistics_and_instructions_of_the_policy_beside_it(source: Path) -> None:
    planning = source.parent / "Cosmos-Policy-ALOHA-Planning-Model-Predict2-2B"
    (planning / "model").mkdir(parents=True)
    (source / WEIGHTS).rename(planning / "model" / "model.pt")
    (source / "tokenizer.pth").rename(planning / "tokenizer.pth")
    files = locate(planning)
    assert files.weights.name == "model.pt"
    assert files.statistics is not None
    assert files.statistics.resolve() == source / STATISTICS


def test_start_weights_need_no_robot_data(source: Path, config_file: Path, tmp_path: Path) -> None:
    base = tmp_path / "Cosmos-Predict2-2B-Video2World"
    (base / "tokenizer").mkdir(parents=True)
    (source / WEIGHTS).rename(base / "model-480p-16fps.pt")
    (base / "model-720p-16fps.pt").write_bytes(b"another resolution")
    (source / "tokenizer.pth").rename(base / "tokenizer" / "tokenizer.pth")
    folder = tmp_path / "imported"
    assert run(base, folder, "--base", "--embodiment", "aloha", "--config", config_file) == 0
    policy = CosmosPolicy.from_pretrained(folder)
    assert policy.text.instructions == ()
    np.testing.assert_array_equal(policy.statistics.actions_max, policy.contract.action_upper)


def test_files_can_be_named_one_by_one(source: Path, config_file: Path, tmp_path: Path) -> None:
    for index, name in enumerate((WEIGHTS, "tokenizer.pth", STATISTICS, EMBEDDINGS)):
        (tmp_path / str(index)).mkdir()
        (source / name).rename(tmp_path / str(index) / name)
    words = ["--tokenizer", tmp_path / "1/tokenizer.pth", "--statistics", tmp_path / "2" / STATISTICS]
    words += ["--t5", tmp_path / "3" / EMBEDDINGS, "--embodiment", "aloha", "--config", config_file]
    assert run(tmp_path / "0" / WEIGHTS, tmp_path / "imported", *words) == 0
    assert CosmosPolicy.from_pretrained(tmp_path / "imported").contract.name == "aloha"


def test_older_pytorch_files_are_read_as_well(source: Path) -> None:
    state = tokenizer_state(tiny_config())
    torch.save(state, source / "tokenizer.pth", _use_new_zipfile_serialization=False)
    after = read(source).tokenizer
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())


# Files that are refused ---------------------------------------------------------------------------------------------


def test_a_missing_tensor_is_named(source: Path) -> None:
    rewrite(source / WEIGHTS, lambda state: state.pop("net.blocks.1.mlp.layer2.weight"))
    with pytest.raises(CheckpointError, match=r"46 tensors fit; missing 1 \(net\.blocks\.1\.mlp\.layer2\.weight\)"):
        read(source)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(source: Path) -> None:
    rewrite(source / "tokenizer.pth", lambda state: state.update({"conv2.weight": torch.zeros(8, 16, 1, 1, 1)}))
    with pytest.raises(CheckpointError, match=r"tokenizer\.pth.*conv2\.weight.*\[8, 16, 1, 1, 1\] instead of \[16"):
        read(source)


def test_a_network_with_more_than_ours_is_refused(source: Path) -> None:
    rewrite(source / WEIGHTS, lambda state: state.update({"net.x_embedder.proj.1.bias": torch.zeros(32).bfloat16()}))
    with pytest.raises(CheckpointError, match=r"unexpected 1 \(net\.x_embedder\.proj\.1\.bias\)"):
        read(source)


def test_tensors_beside_the_network_are_reported_and_left_out(source: Path) -> None:
    rewrite(source / WEIGHTS, lambda state: state.update({"net_ema.t_embedding_norm.weight": torch.zeros(32)}))
    report = read(source).reports[0]
    assert report.unexpected == ("net_ema.t_embedding_norm.weight",)


def test_another_model_size_is_named(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, source.parent / "imported") == 2
    assert "2 blocks and width 32; this import is for 28 blocks and width 2048" in capsys.readouterr().err
    assert not (source.parent / "imported").exists()


def test_a_folder_like_nvidias_is_recognised_when_a_policy_is_loaded(source: Path) -> None:
    assert is_published(source)
    with pytest.raises(CheckpointError, match="2 blocks and width 32"):
        CosmosPolicy.from_pretrained(source)


def test_a_checkpoint_folder_of_ours_is_not_taken_for_nvidias(source: Path, tmp_path: Path) -> None:
    policy = load_published(source, CPU, config=tiny_config())
    save_policy(policy, tmp_path / "ours")
    shutil.copy(source / WEIGHTS, tmp_path / "ours" / "training_state.pt")
    assert not is_published(tmp_path / "ours")


def test_float16_is_refused(source: Path) -> None:
    torch.save(policy_state(tiny_config(), torch.float16), source / WEIGHTS)
    with pytest.raises(CheckpointError, match="float16"):
        read(source)


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.pth", EMBEDDINGS])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 0.999])
def test_a_truncated_file_is_named(source: Path, name: str, share: float) -> None:
    whole = (source / name).read_bytes()
    (source / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=rf"{name}.*(truncated|empty).*Download"):
        read(source)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"<!DOCTYPE html>", "not a PyTorch file"),
    ],
)
def test_what_a_failed_download_leaves_is_named(source: Path, content: bytes, says: str) -> None:
    (source / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match=says):
        read(source)


def test_weights_that_are_not_finite_are_refused_and_leave_nothing_behind(source: Path, tmp_path: Path) -> None:
    rewrite(source / WEIGHTS, lambda state: state["net.final_layer.linear.weight"].fill_(torch.nan))
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS}: net\.final_layer\.linear\.weight holds NaN"):
        import_folder(read(source), tmp_path / "imported")
    assert {path.name for path in tmp_path.iterdir()} == {source.name}


def test_a_folder_that_exists_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "precious").touch()
    with pytest.raises(CheckpointError, match="already exists"):
        import_folder(read(source), tmp_path / "imported")


@pytest.mark.parametrize(
    ("name", "option"), [("tokenizer.pth", "--tokenizer"), (STATISTICS, "--statistics"), (EMBEDDINGS, "--t5")]
)
def test_a_missing_file_is_named_with_its_option(source: Path, name: str, option: str) -> None:
    (source / name).unlink()
    with pytest.raises(CheckpointError, match=option):
        locate(source)


def test_statistics_of_another_robot_are_refused(source: Path) -> None:
    statistics = json.loads((source / STATISTICS).read_text())
    (source / STATISTICS).write_text(json.dumps({key: values[:7] for key, values in statistics.items()}))
    with pytest.raises(StatisticsError, match="7 dimensions, embodiment aloha has 14"):
        read(source)


def test_statistics_with_a_constant_joint_are_refused_by_its_name(source: Path) -> None:
    statistics = json.loads((source / STATISTICS).read_text())
    statistics["actions_max"][1] = statistics["actions_min"][1]
    (source / STATISTICS).write_text(json.dumps(statistics))
    with pytest.raises(StatisticsError, match=rf"{STATISTICS}.*follower_left/shoulder"):
        read(source)


def test_embeddings_of_another_encoder_are_refused(source: Path) -> None:
    (source / EMBEDDINGS).write_bytes(pickle.dumps({"fold shirt": torch.zeros(1, 6, 8)}))
    with pytest.raises(CheckpointError, match=r"'fold shirt' has shape \[1, 6, 8\] instead of \[6, 16\]"):
        read(source)


# Files that attack --------------------------------------------------------------------------------------------------


class Attack:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


class HiddenAttack(Attack):
    """Hides the call in the bytes of a storage, which PyTorch's own function would unpickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        from torch.storage import _load_from_bytes

        data = io.BytesIO()
        torch.save(Attack(self.trace), data, _use_new_zipfile_serialization=False)
        return _load_from_bytes, (data.getvalue(),)


@pytest.mark.parametrize("kind", [Attack, HiddenAttack])
def test_an_instruction_cache_that_calls_something_is_refused_and_does_not_run(
    tmp_path: Path, kind: type[Attack]
) -> None:
    trace, cache = tmp_path / "trace", tmp_path / EMBEDDINGS
    cache.write_bytes(pickle.dumps({"fold shirt": torch.zeros(1, 2), "put candies in bowl": kind(trace)}))
    with pytest.raises(CheckpointError, match=f"{EMBEDDINGS}.*mkdir.*nothing in it was run"):
        read_instructions(cache)
    assert not trace.exists()
    pickle.loads(cache.read_bytes())
    assert trace.exists(), "the attack itself is broken"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_weight_file_that_calls_something_is_refused_and_does_not_run(tmp_path: Path, zipped: bool) -> None:
    trace, path = tmp_path / "trace", tmp_path / WEIGHTS
    torch.save({"net.a": Attack(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}.*mkdir.*nothing in it was run"):
        read_weights(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), "the attack itself is broken"


@pytest.mark.parametrize(
    "entry", [{"fold shirt": [1, 2]}, {3: torch.zeros(2)}, {}, ["fold shirt"], {"fold shirt": np.zeros(2)}]
)
def test_a_cache_of_anything_but_sentences_and_tensors_is_refused(tmp_path: Path, entry: Any) -> None:
    (tmp_path / EMBEDDINGS).write_bytes(pickle.dumps(entry))
    with pytest.raises(CheckpointError, match=EMBEDDINGS):
        read_instructions(tmp_path / EMBEDDINGS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64])
def test_embeddings_of_another_precision_are_refused_by_its_name(source: Path, dtype: torch.dtype) -> None:
    (source / EMBEDDINGS).write_bytes(pickle.dumps({"fold shirt": torch.zeros(1, 6, 16, dtype=dtype)}))
    with pytest.raises(CheckpointError, match=rf"'fold shirt' is {str(dtype).removeprefix('torch.')}"):
        read(source)


def test_a_tensor_that_claims_more_than_its_storage_is_refused(tmp_path: Path) -> None:
    tensor = torch.zeros(4)

    class Overreach:
        def __reduce__(self) -> tuple[Any, ...]:
            function, arguments = tensor.__reduce_ex__(2)[:2]
            return function, (arguments[0], 0, (1 << 20,), (1,), *arguments[4:])

    (tmp_path / EMBEDDINGS).write_bytes(pickle.dumps({"fold shirt": Overreach()}))
    with pytest.raises(CheckpointError, match="out of bounds for storage"):
        read_instructions(tmp_path / EMBEDDINGS)


# Reading and writing ------------------------------------------------------------------------------------------------


def test_cached_embeddings_keep_their_numbers(tmp_path: Path) -> None:
    embeddings = {text: torch.randn(1, 4, 3).bfloat16().transpose(1, 2) for text in INSTRUCTIONS}
    (tmp_path / EMBEDDINGS).write_bytes(pickle.dumps(embeddings))
    torch.save(embeddings, tmp_path / "saved_by_torch.pkl")
    for name in (EMBEDDINGS, "saved_by_torch.pkl"):
        after = read_instructions(tmp_path / name)
        assert all(torch.equal(after[text], embeddings[text]) for text in INSTRUCTIONS)


def test_streamed_files_read_back_alike_even_from_views_and_shared_memory(tmp_path: Path) -> None:
    memory = torch.randn(6, 5)
    tensors = {
        "transposed": memory.T,
        "expanded": torch.ones(1).expand(3, 2),
        "first": memory[:2],
        "again": memory[:2],
        "half": memory.bfloat16(),
        "scalar": torch.tensor(2.0),
        "empty": torch.empty(0, 4),
    }
    written: list[int] = []
    stream_tensors(tensors, tmp_path / "a.safetensors", written.append)
    after = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(after[name], tensor) for name, tensor in tensors.items())
    assert sum(written) == sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_one_number_that_is_not_finite_is_found(dtype: torch.dtype, number: float) -> None:
    tensor = torch.randn(300, 70).to(dtype)
    assert all_finite(tensor)
    tensor[217, 31] = number
    assert not all_finite(tensor)


# The hub ------------------------------------------------------------------------------------------------------------


def ask_hub(name: str, cache: Path, **environment: str) -> str:
    """Look for a checkpoint in a process of its own: the hub's settings are read once, at import."""
    code = (
        "import sys; from cosmos_policy_core import checkpoints, errors\n"
        "try: print(checkpoints.find(sys.argv[1]))\n"
        "except errors.CheckpointError as error: print(error)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, name],
        env={**os.environ, "HF_HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_an_unreachable_hub_is_one_sentence(tmp_path: Path, environment: dict[str, str]) -> None:
    said = ask_hub("nvidia/x", tmp_path, **environment)
    assert said.startswith("nvidia/x: no such folder here, and as a Hugging Face id: the hub can't be reached")
    assert "\n" not in said


def test_a_hub_id_in_the_cache_loads_without_a_connection(source: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--lab--tiny" / "snapshots" / ("a" * 40)
    import_folder(read(source), snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a" * 40)
    found = ask_hub("lab/tiny", tmp_path, HF_HUB_OFFLINE="1")
    assert CosmosPolicy.from_pretrained(found).config.size == "tiny"


# Full size ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_full_size_checkpoint_is_imported_and_loaded_without_a_second_copy(tmp_path: Path) -> None:
    source = write_repository(tmp_path / "Cosmos-Policy-ALOHA-Predict2-2B", PolicyConfig())
    folder = tmp_path / "imported"
    assert run(source, folder) == 0
    before, after = read_weights(source / WEIGHTS), load_file(folder / MODEL_FILE)
    assert len(after) == 567
    assert all(torch.equal(tensor, before[name]) and tensor.dtype == torch.bfloat16 for name, tensor in after.items())
    del before, after
    code = (
        "import sys, torch; from pathlib import Path; from cosmos_policy_core.model.policy import CosmosPolicy\n"
        "policy = CosmosPolicy.from_pretrained(sys.argv[1], dtype=torch.bfloat16)\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(*[line.split()[1] for line in status.splitlines() if line.startswith(('VmHWM', 'RssAnon'))])\n"
        "print(sum(parameter.numel() for parameter in policy.network.parameters()), policy.config.value_input)"
    )
    for path in (folder, source):
        answer = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        peak, anonymous, parameters, value_input = answer.stdout.split()
        print(
            f"{path.name}: peak {int(peak) / 1e6:.2f} GB, of which not backed by the file {int(anonymous) / 1e6:.2f} GB"
        )
        assert (int(parameters), value_input) == (1_956_413_440, "all")
        assert int(anonymous) < 2e6, "kB: the weights were copied"
