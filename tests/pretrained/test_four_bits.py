"""Bases of four bits: the connected step is that of the numbers they stand for, and so is what is merged."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GPT2Config, GPT2LMHeadModel

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.adapters import load_merged, with_connection
from cctuning.pretrained.four_bits import is_four_bit, load_four_bits
from cctuning.pretrained.kinds import QUANTIZATION_FILE, ModelError
from cctuning.pretrained.loading import load_causal_lm
from cctuning.pretrained.weights import WeightsError
from cctuning.training.memory.four_bits import FourBitLinear
from cctuning.training.memory.step import build_model
from tests.connection.test_model import arguments, some_rows
from tests.hostile.models import edit
from tests.models import build
from tests.naive import Settings, gradients, naive_training_step
from tests.training.memory.shapes import SHAPES, lora, step_of

pytest.importorskip("bitsandbytes")

SETTINGS = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
KINDS = [SETTINGS, SETTINGS | {"bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": False}]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "base"
    build("llama", dtype=torch.float32).save_pretrained(folder)
    return folder


def stood_for(base, settings):
    """The numbers that the four bits stand for, by the library alone."""
    model = AutoModelForCausalLM.from_pretrained(base, quantization_config=BitsAndBytesConfig(**settings))
    return model.dequantize()


def adapted(model):
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    torch.manual_seed(1)
    return get_peft_model(model, with_connection(config, model))


@pytest.mark.parametrize("settings", KINDS, ids=["nf4", "fp4"])
def test_a_connected_step_is_that_of_the_numbers_that_four_bits_stand_for(base, settings):
    model = load_four_bits(base, settings, dtype="float32")
    model = adapted(CCTuningModel.wrap(model, ConnectionConfig(hard=False))).train()
    plain = adapted(stood_for(base, settings))
    given = {name: weight for name, weight in model.named_parameters() if "lora_" in name}
    for name, weight in plain.named_parameters():
        if "lora_" in name:
            weight.data.copy_(given[name].data)
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    (name,) = set(trained) - set(given)
    decision_maker = trained[name].detach().T.clone().requires_grad_()
    torch.manual_seed(3)
    step = naive_training_step(plain.get_base_model(), some_rows(), decision_maker, Settings(hard=False))
    expected = gradients(
        step.loss,
        {key: weight for key, weight in plain.named_parameters() if key in given} | {name: decision_maker},
    )
    torch.manual_seed(3)
    loss = model(**arguments(some_rows()), use_cache=False).loss
    torch.testing.assert_close(loss, step.loss, rtol=1e-5, atol=1e-6)
    loss.backward()
    for key, weight in trained.items():
        gradient = expected[key].T if key == name else expected[key]
        assert gradient.abs().max() > 0, key
        # As a whole: single elements may be next to nothing, and float32 rounds the largest.
        assert (weight.grad - gradient).norm() < 1e-4 * gradient.norm(), key


def saved_adapter(base, folder, *, settings=SETTINGS, dtype="float32"):
    model = adapted(load_four_bits(base, settings, dtype=dtype))
    model.save_pretrained(folder)
    saved = settings | {"dtype": dtype}
    (folder / QUANTIZATION_FILE).write_text(json.dumps(saved))
    return model.eval()


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_an_adapter_is_merged_into_the_numbers_that_it_was_trained_on(base, tmp_path, dtype):
    model, ids = saved_adapter(base, tmp_path), torch.arange(3, 9)[None]
    expected = model(ids).logits
    merged = load_merged(tmp_path, dtype=dtype)
    if dtype == "auto":
        torch.testing.assert_close(merged(ids).logits, expected, rtol=1e-4, atol=1e-5)
    assert {weight.dtype for weight in merged.parameters()} == {
        torch.float32 if dtype == "auto" else torch.bfloat16
    }
    assert {buffer.dtype for buffer in merged.buffers()} <= {torch.float32, torch.int64}
    merged.save_pretrained(tmp_path / "merged")
    assert "quantization_config" not in json.loads((tmp_path / "merged/config.json").read_text())
    other = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path).eval()
    assert not torch.allclose(other(ids).logits, expected, atol=1e-3)  # of the base as it is stored


@pytest.mark.parametrize("change", [{"dtype": "int8"}, {"load_in_4bit": False}, {"dtype": None}])
def test_a_damaged_record_of_the_bits_is_named(base, tmp_path, change):
    saved_adapter(base, tmp_path)
    (tmp_path / QUANTIZATION_FILE).write_text(json.dumps(SETTINGS | {"dtype": "float32"} | change))
    with pytest.raises(OSError, match=QUANTIZATION_FILE):
        load_merged(tmp_path)


@pytest.mark.parametrize("settings", KINDS, ids=["double", "single"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named_by_its_layer(tmp_path, settings, value):
    model = build("llama", dtype=torch.float32)
    model.model.layers[1].mlp.up_proj.weight.data[3, 5] = value
    model.save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"layers\.1\.mlp\.up_proj.*diverged"):
        load_four_bits(tmp_path, settings, dtype="float32")


def test_a_model_that_could_not_be_made_plain_again_is_refused(tmp_path):
    config = GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"load_in_4bit.*Conv1D"):
        load_four_bits(tmp_path, SETTINGS, dtype="float32")
    (tmp_path / "model.gguf").touch()
    with pytest.raises(ModelError, match="prepare model"):
        load_four_bits(tmp_path / "model.gguf", SETTINGS, dtype="float32")


@pytest.mark.parametrize("double_quant", [False, True])
def test_the_memory_estimate_packs_what_the_library_packs(tmp_path, double_quant):
    step = step_of(SHAPES["tied"], lora=lora(), four_bits=True, double_quant=double_quant, connection=None)
    packed = {
        name: module.weight.nbytes
        for name, module in build_model(step).named_modules()
        if isinstance(module, FourBitLinear)
    }
    AutoModelForCausalLM.from_config(step.config).save_pretrained(tmp_path)
    settings = SETTINGS | {"bnb_4bit_use_double_quant": double_quant}
    real = get_peft_model(load_four_bits(tmp_path, settings, dtype="float32"), lora())
    modules = {name: module for name, module in real.named_modules() if is_four_bit(module)}
    modules = {name: module for name, module in modules.items() if isinstance(module, nn.Linear)}
    assert packed == {name: module.weight.nbytes for name, module in modules.items()}


def test_plain_weights_that_are_called_quantised_are_refused(base, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    edit(folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ModelError, match=r"quantization_config.* is plain"):
        load_causal_lm(folder)


def test_a_checkpoint_of_four_bits_loads(base, tmp_path):
    model = load_four_bits(base, SETTINGS, dtype="float32")
    model.save_pretrained(tmp_path)
    loaded = load_causal_lm(tmp_path)
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(loaded(ids).logits, model(ids).logits)
