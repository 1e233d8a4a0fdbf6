"""A real model's weights in vLLM, where the variable CCTUNING_TEST_MODEL names a folder."""

import os

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cctuning import CCTuningModel
from cctuning.export import export_monolingual
from tests.serving.vllm.engines import Engine
from tests.serving.vllm.exports import Reference, check_equal, engine_environment, needs_vllm

needs_vllm()
pytestmark = pytest.mark.slow
FOLDER = os.environ.get("CCTUNING_TEST_MODEL")
if not FOLDER:
    pytest.skip("CCTUNING_TEST_MODEL names no folder", allow_module_level=True)

QUESTIONS = [
    "Mji mkuu wa Kenya ni upi?",
    "Какая столица Франции?",
    "¿Cuál es la capital de Chile y cuántas personas viven en ella?",
    "What is the capital of Peru?",
    "Wie viele Planeten hat das Sonnensystem?",
    "日本の首都はどこですか。",
    "Quelle est la plus longue rivière du monde, et où commence-t-elle ?",
    "Schreibe einen Satz über Wasser.",
]


def test_sequences_are_those_of_generate(tmp_path, monkeypatch):
    for name, value in {**engine_environment(), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}.items():
        monkeypatch.setenv(name, value)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    base = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    size = base.config.hidden_size
    model = CCTuningModel.wrap(base)
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(model.decision_maker.weight, generator=generator)
    transform = torch.eye(size) + torch.randn(size, size, generator=generator) / size**0.5
    reference = Reference(export_monolingual(model, tokenizer, transform, tmp_path))
    chats = [[{"role": "user", "content": question}] for question in QUESTIONS]
    prompts = [tokenizer.apply_chat_template(c, add_generation_prompt=True, return_dict=False) for c in chats]
    expected, plain = reference.answers(prompts), reference.answers(prompts, connected=False)
    assert sum(one.tokens != other.tokens for one, other in zip(expected, plain, strict=True)) > 4
    engine = Engine.start(tmp_path)
    try:
        check_equal(engine.sequences(prompts), expected)
        check_equal(engine.sequences(prompts, {"connected": False}), plain)
    finally:
        engine.stop()
