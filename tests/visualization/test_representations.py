"""Representations against transformers' own hidden states, prompt by prompt."""

import numpy as np
import pytest
import torch

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.export import export_monolingual
from cctuning.visualization.representations import represent
from tests.models import build, word_tokenizer

TEXTS = ("w5 w6 w7", "w8", "w9 w10 w11 w12 w13", "w20 w21")
ENGLISH = ("w30", "w31 w32", "w33", "w34 w35 w36 w37 w38 w39")
PROMPTS = PromptFormat(word_tokenizer())


@torch.no_grad()
def one_by_one(model, layer=-1, pooling="response_start", **inputs):
    found = []
    for number, text in enumerate(TEXTS):
        ids = torch.tensor([PROMPTS.prompt_ids(text)])
        own = {name: torch.tensor([PROMPTS.prompt_ids(ENGLISH[number])]) for name in inputs}
        if own:
            own["connection_index"] = ids.shape[1] - 1
        states = model(input_ids=ids, output_hidden_states=True, use_cache=False, **own).hidden_states
        state = states[layer % model.config.num_hidden_layers + 1][0]
        found.append(state[-1] if pooling == "response_start" else state.mean(0))
    return torch.stack(found).double().numpy()


@pytest.mark.parametrize("pooling", ["response_start", "mean"])
@pytest.mark.parametrize("layer", [-1, 0, 1])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_a_batch_is_as_each_prompt_alone(name, layer, pooling):
    model = build(name)
    seen = []
    found = represent(
        model, PROMPTS, TEXTS, ENGLISH, layer=layer, pooling=pooling, batch_size=3, progress=seen.append
    )
    # Gemma's norms are computed in float32, also in a float64 model.
    tolerance = 1e-5 if name == "gemma2" else 1e-9
    expected = one_by_one(model, layer, pooling)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert sum(seen) == len(TEXTS)


def test_a_bilingual_connection_reads_each_english_parallel():
    torch.manual_seed(0)
    model = CCTuningModel.wrap(build("llama"), ConnectionConfig(pooling="layer", layer=-1)).eval()
    plain = represent(model, PROMPTS, TEXTS, ENGLISH)
    found = represent(model, PROMPTS, TEXTS, ENGLISH, bilingual=True, batch_size=3)
    np.testing.assert_allclose(found, one_by_one(model, english_input_ids=ENGLISH), rtol=1e-9, atol=1e-9)
    assert np.abs(found - plain).max(1).min() > 1e-3
    model.connected = False
    np.testing.assert_allclose(represent(model, PROMPTS, TEXTS, ENGLISH, bilingual=True), plain)


def test_a_monolingual_connection_is_that_of_generate(tmp_path):
    torch.manual_seed(0)
    model = CCTuningModel.wrap(build("llama", dtype=torch.float32)).eval()
    export_monolingual(model, word_tokenizer(), torch.randn(32, 32), tmp_path / "exported")
    exported = load_model(tmp_path / "exported").double()
    found = represent(exported, PROMPTS, TEXTS, ENGLISH, batch_size=3)
    for number, text in enumerate(TEXTS):
        ids = torch.tensor([PROMPTS.prompt_ids(text)])
        own = exported.generate(
            ids, max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
        logits = exported.lm_head(torch.tensor(found[number]))
        torch.testing.assert_close(own.logits[0][0].double(), logits)
    exported.connected = False
    assert np.abs(represent(exported, PROMPTS, TEXTS, ENGLISH) - found).max(1).min() > 1e-3


def test_a_layer_that_is_not_there_is_told():
    with pytest.raises(ValueError, match="layer=3 is not one of the model's 3 layers"):
        represent(build("llama"), PROMPTS, TEXTS, ENGLISH, layer=3)


def test_a_sentence_that_is_too_long_is_told():
    with pytest.raises(ValueError, match="a sentence has 9 tokens, and the model positions for 8: 'w9 w10"):
        represent(build("llama", max_position_embeddings=8), PROMPTS, TEXTS, ENGLISH)


def test_a_token_without_an_embedding_is_told():
    with pytest.raises(ValueError, match="embeddings for 20 tokens"):
        represent(build("llama", vocab_size=20), PROMPTS, TEXTS, ENGLISH)


def test_numbers_that_are_not_finite_are_told():
    model = build("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        represent(model, PROMPTS, TEXTS, ENGLISH)
