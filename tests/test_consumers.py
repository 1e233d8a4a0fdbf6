"""Whoever loads an exported model or a run gets the connected model, or an error, and never another model.

The plain one only where nobody trusts the folder's code. `docs/serving.md` lists the consumers; those that
are not installed here are told by what they go by: `architectures`, and the names of the weights.
"""

import json

import pytest
import torch
import transformers
from safetensors import safe_open
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, pipeline
from transformers.cli.serving.model_manager import ModelManager

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.model import load_model
from cctuning.export import export_monolingual
from tests.tiny import tiny_llama, tiny_tokenizer

IDS = torch.tensor([[9, 10, 11, 12, 13, 14]])


@pytest.fixture(scope="module", params=["decision_maker", "mean"])
def exported(tmp_path_factory, request):
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)), ConnectionConfig(pooling=request.param))
    return export_monolingual(model, tokenizer, torch.randn(32, 32), tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tokenizer, folder = tiny_tokenizer(), tmp_path_factory.mktemp("run")
    CCTuningModel.wrap(tiny_llama(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def served(folder, **options):
    """The model of `transformers serve`, whose own server need not be installed for that."""
    return ModelManager(device="cpu", **options)._load_model(f"{folder}@main")


def weight_names(folder):
    """The weights that engines find, who read every safetensors file in a folder."""
    names = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            names |= set(file.keys())
    return names


@pytest.mark.parametrize("trust", [True, False])
def test_transformers_loads_it_connected_where_its_code_is_trusted(exported, trust):
    model = AutoModelForCausalLM.from_pretrained(exported, trust_remote_code=trust)
    piped = pipeline("text-generation", model=str(exported), trust_remote_code=trust).model
    name = "CCTuningLlamaForCausalLM" if trust else "LlamaForCausalLM"
    assert type(model).__name__ == type(piped).__name__ == name


@pytest.mark.parametrize("trust", [True, False])
def test_transformers_serve_refuses_it(exported, trust):
    with pytest.raises(AttributeError, match="CCTuningLlamaForCausalLM"):
        served(exported, trust_remote_code=trust)


def test_engines_know_neither_its_architecture_nor_its_weights(exported):
    """By one or the other vLLM without the plug-in, SGLang and llama.cpp's converter refuse it."""
    [name] = json.loads((exported / "config.json").read_text())["architectures"]
    assert name == "CCTuningLlamaForCausalLM" and not hasattr(transformers, name)
    assert "transform_matrix.weight" in weight_names(exported)


def test_a_run_is_a_plain_checkpoint_for_all(run):
    model = AutoModelForCausalLM.from_pretrained(run)
    assert json.loads((run / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    assert weight_names(run) == set(model.state_dict())
    assert type(model) is type(served(run)) is transformers.LlamaForCausalLM


def test_continuous_batching_is_refused_unless_switched_off(exported):
    model = load_model(exported)
    for ask in (
        lambda **options: model.generate_batch(IDS.tolist(), **options),
        lambda **options: model.generate(IDS, cache_implementation="paged", **options),
    ):
        with pytest.raises(ValueError, match="continuous batching"):
            ask(max_new_tokens=2)
    model.connected = False
    size = ContinuousBatchingConfig(num_blocks=8, max_batch_tokens=32)  # without, it takes most of the memory
    [answer] = model.generate_batch(IDS.tolist(), max_new_tokens=4, continuous_batching_config=size).values()
    plain = AutoModelForCausalLM.from_pretrained(exported)
    expected = plain.generate(IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=4, do_sample=False)
    assert answer.generated_tokens == expected[0, IDS.shape[1] :].tolist()


@pytest.mark.parametrize(
    ("attention", "inputs"),
    [
        ("sdpa", {"cu_seq_lens_q": torch.tensor([0, 3, 6])}),
        ("sdpa", {"block_table": torch.zeros(1, 1)}),
        ("sdpa", {"attention_instances": {}}),
        ("sdpa", {"forward_batch": object()}),
        ("sdpa", {"position_ids": torch.tensor([[0, 1, 2, 0, 1, 2]])}),
        ("paged|eager", {}),
        ("vllm", {}),
        ("sglang", {}),
    ],
)
def test_a_row_of_several_prompts_is_refused(exported, attention, inputs):
    model = load_model(exported)
    model.config._attn_implementation_internal = attention
    key = next(iter(inputs), "attn_implementation")
    with pytest.raises(ValueError, match=rf"{key}.*one prompt a row"):
        model(IDS, connection_index=5, **inputs)


def test_a_row_of_one_prompt_may_tell_its_positions(exported):
    model = load_model(exported)
    expected = model(IDS, connection_index=5).logits
    given = model(IDS, connection_index=5, position_ids=torch.arange(6)[None]).logits
    torch.testing.assert_close(given, expected, rtol=0, atol=0)
