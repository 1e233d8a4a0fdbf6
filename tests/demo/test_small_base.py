"""The small base model: it learns its rows, and loads as any other."""

import math
import re
import sys

import pytest
import torch

from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.generation.generate import answer
from cctuning.pretrained.loading import load_tokenizer
from demo import small_base
from tests.scripts import write_rows

pytestmark = pytest.mark.slow


def test_it_learns_its_rows_and_loads_as_any_other_model(tmp_path, monkeypatch, capsys):
    data, folder = write_rows(tmp_path / "rows.jsonl", 40), tmp_path / "base"
    sizes = {"hidden": 32, "layers": 1, "vocabulary": 300, "steps": 60}
    arguments = [f"--{name}={value}" for name, value in sizes.items()]
    monkeypatch.setattr(sys, "argv", ["small_base", str(data), f"--output={folder}", *arguments])
    small_base.main()
    loss = float(re.search(r"loss ([\d.]+) ->", capsys.readouterr().out)[1])
    assert loss < 0.85 * math.log(300)  # what an untrained model has
    prompts = PromptFormat(load_tokenizer(folder))
    model = load_model(folder)
    assert model.generation_config.eos_token_id == prompts.stop_token_id
    assert len(answer(model, prompts, ["Mji mkuu wa Kenya ni upi?"])) == 1


def test_too_few_rows_are_named(tmp_path):
    rows, _ = small_base.read_rows([str(write_rows(tmp_path / "rows.jsonl", 2))])
    prompts = PromptFormat(small_base.train_tokenizer(rows, 300))
    with pytest.raises(ValueError, match=r"2 rows hold .* tokens, and 256 are needed"):
        small_base.blocks(rows, prompts)


def test_blocks_hold_both_languages(tmp_path):
    rows, _ = small_base.read_rows([str(write_rows(tmp_path / "rows.jsonl", 40))])
    tokenizer = small_base.train_tokenizer(rows, 300)
    torch.manual_seed(0)
    text = tokenizer.decode(small_base.blocks(rows, PromptFormat(tokenizer)).flatten())
    assert "### Instruction:" in text
    assert "Nairobi." in text
