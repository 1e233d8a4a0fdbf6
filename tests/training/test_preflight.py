"""What would stop a run later is found before it begins."""

import pytest
from transformers import GenerationConfig

from cctuning.data.encoding import encode
from cctuning.data.prompts import PromptFormat
from cctuning.training.preflight import (
    check_attention,
    check_positions,
    check_saving,
    check_targets,
    trained_dtype,
)
from tests.models import build
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def examples():
    return encode(tiny_rows(8), PromptFormat(TOKENIZER), cutoff_len=512, english_cutoff_len=512)[0]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_row_beyond_the_models_positions_is_named(name):
    made = examples()
    longest = max(made, key=lambda example: len(example.input_ids))
    config = build(name).config
    for positions, fails in ((len(longest.input_ids), False), (len(longest.input_ids) - 1, True)):
        setattr(config, "n_positions" if name == "gpt2" else "max_position_embeddings", positions)
        if fails:
            with pytest.raises(ValueError, match=rf"row {longest.row.number}\b.* lower cutoff_len"):
                check_positions(made, config)
        else:
            check_positions(made, config)


def test_a_model_without_positions_takes_any_row():
    check_positions(examples(), build("bloom").config)


def test_an_attention_that_is_not_installed_is_refused(monkeypatch):
    check_attention(None)
    check_attention("sdpa")
    monkeypatch.setattr("cctuning.training.preflight.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"flash_attention_2 .*flash-attn"):
        check_attention("flash_attention_2")


@pytest.mark.parametrize("name", ["embed_tokens", "lm_head", "model.embed_tokens"])
def test_an_adapter_of_a_tied_matrix_is_refused(name):
    tied, untied = (tiny_llama(400, tie_word_embeddings=tie).config for tie in (True, False))
    check_targets(untied, ["q_proj", name])
    check_targets(tied, ["q_proj"])
    with pytest.raises(ValueError, match=f"{name}.*tie_word_embeddings"):
        check_targets(tied, ["q_proj", name])


def test_what_cannot_be_saved_is_known_before_training():
    config = tiny_llama(400).config
    check_saving(TOKENIZER, config, GenerationConfig(do_sample=True, top_p=0.5))
    with pytest.raises(ValueError, match="top_p"):
        check_saving(TOKENIZER, config, GenerationConfig(temperature=0.9, top_p=0.6))


def test_float16_is_trained_in_float32_unless_it_is_asked_for_or_frozen():
    assert trained_dtype("auto", "float16", adapter=False) == "float32"
    assert trained_dtype("float16", "float16", adapter=False) == "float16"
    assert trained_dtype("auto", "float16", adapter=True) == "float16"
    assert trained_dtype("auto", "bfloat16", adapter=False) == "bfloat16"
    assert trained_dtype("bfloat16", "float32", adapter=False) == "bfloat16"
