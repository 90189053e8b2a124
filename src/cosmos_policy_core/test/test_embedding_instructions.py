"""`embed-instructions`: T5 embeddings beside the weights, made once."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path

import pytest
import torch
from foreign_files import small, write_rollout
from policies import INSTRUCTION, tiny_policy
from rich.console import Console

from cosmos_policy_core.cli import main
from cosmos_policy_core.commands.embed_instructions import add, existing
from cosmos_policy_core.errors import ConfigurationError, InstructionError
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.model.text import TextEmbeddings

INSTALLED = importlib.util.find_spec("transformers") is not None
QUIET = Console(quiet=True)


def encode(instruction: str) -> torch.Tensor:
    """Stand in for T5: as many ones as words."""
    embedding = torch.zeros(8, 4, dtype=torch.bfloat16)
    embedding[: len(instruction.split())] = 1.0
    return embedding


def test_new_instructions_are_added_to_those_a_checkpoint_knows(tmp_path: Path) -> None:
    add(tmp_path, {}, ["fold shirt"], encode, QUIET)
    add(tmp_path, existing(tmp_path), ["put candy in bag"], encode, QUIET)
    text = TextEmbeddings.load(tmp_path)
    assert text.instructions == ("fold shirt", "put candy in bag")
    assert text["put candy in bag"].sum() == 16 and text["fold shirt"].dtype == torch.bfloat16
    assert [path.name for path in tmp_path.iterdir()] == ["text_embeddings.safetensors"]


def test_embeddings_of_another_shape_are_not_mixed(tmp_path: Path) -> None:
    add(tmp_path, {}, ["fold shirt"], encode, QUIET)
    with pytest.raises(ConfigurationError, match=r"holds embeddings of shape \(8, 4\), and this model gives \(8, 2\)"):
        add(tmp_path, existing(tmp_path), ["lift"], lambda text: encode(text)[:, :2], QUIET)
    assert TextEmbeddings.load(tmp_path).instructions == ("fold shirt",)


def test_known_instructions_need_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path / "checkpoint", {}, ["open the drawer"], encode, QUIET)
    contract = tmp_path / "libero.yaml"
    contract.write_text(small("libero").to_yaml())
    write_rollout(tmp_path / "data" / "a.hdf5", 2, compressed=True)
    words = ["--out", tmp_path / "checkpoint", "--data", tmp_path / "data", "--embodiment", contract]
    assert main(["embed-instructions", *map(str, words), "--model", "/nowhere"]) == 0
    assert "0 instructions embedded, 1 known" in " ".join(capsys.readouterr().err.split())


def test_the_command_that_an_unknown_instruction_names_makes_it_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_policy(tiny_policy(), tmp_path / "checkpoint")
    unknown = "pass the cube to the robot's left arm"
    with pytest.raises(InstructionError) as error:
        TextEmbeddings.load(tmp_path / "checkpoint")[unknown]
    command = str(error.value).split("`")[1].replace("CHECKPOINT", str(tmp_path / "checkpoint"))
    program, *words = shlex.split(command)
    assert program == "cosmos-policy" and repr(INSTRUCTION) in str(error.value)
    assert main(words) == 0
    policy = CosmosPolicy.from_pretrained(tmp_path / "checkpoint")
    assert policy.text.instructions == (unknown, INSTRUCTION)
    same_words = TextEmbeddings.hashed([unknown], *policy.text[INSTRUCTION].shape)
    assert torch.equal(policy.text[unknown], same_words[unknown])


def test_nothing_to_embed_says_what_to_give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed-instructions", "--out", str(tmp_path)]) == 2
    assert "Give --instructions 'fold shirt'" in capsys.readouterr().err
    assert main(["embed-instructions", "--out", str(tmp_path), "--instructions", " "]) == 2
    assert "one is empty" in capsys.readouterr().err


def test_without_transformers_the_command_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if it were not installed
    assert main(["embed-instructions", "--out", str(tmp_path), "--instructions", "fold shirt"]) == 2
    assert "pip install transformers sentencepiece" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not INSTALLED, reason="transformers is not installed: pip install transformers sentencepiece")
class TestWithTransformers:
    """A T5 with random weights, built here."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        import tokenizers
        import transformers

        words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "fold": 3, "shirt": 4}
        tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 1)]
        )
        folder = tmp_path / "t5"
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
        ).save_pretrained(folder)
        torch.manual_seed(0)
        config = transformers.T5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
        transformers.T5EncoderModel(config).save_pretrained(folder)
        return folder

    def test_an_instruction_is_padded_with_zeros(self, model: Path, tmp_path: Path) -> None:
        words = ["--out", tmp_path / "out", "--model", model, "--tokens", 12, "--dtype", "float32"]
        assert main(["embed-instructions", *map(str, words), "--instructions", "fold shirt", "shirt"]) == 0
        text = TextEmbeddings.load(tmp_path / "out")
        embedding = text["fold shirt"]
        assert embedding.shape == (12, 16) and embedding.dtype == torch.bfloat16
        assert (embedding[3:] == 0).all() and (embedding[:3] != 0).any(dim=1).all()
        assert (text["shirt"][2:] == 0).all()

    def test_padding_does_not_change_what_the_words_mean(self, model: Path) -> None:
        from cosmos_policy_core.model.t5 import T5Encoder

        short, long = (T5Encoder(str(model), tokens, "cpu", torch.float32)("fold shirt") for tokens in (3, 20))
        torch.testing.assert_close(short, long[:3])

    def test_a_folder_without_a_model_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["--out", tmp_path / "out", "--model", tmp_path, "--instructions", "fold shirt"]
        assert main(["embed-instructions", *map(str, words)]) == 2
        assert "cannot be loaded" in capsys.readouterr().err
