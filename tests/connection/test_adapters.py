import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.adapters import (
    check_not_tied,
    check_target_modules,
    load_merged,
    make_plain_adapter,
    with_connection,
)
from cctuning.pretrained.kinds import ModelError
from tests.tiny import tiny_llama


def adapted_llama(**changes):
    model = CCTuningModel.wrap(tiny_llama(50), ConnectionConfig(gate="vector"))
    config = with_connection(LoraConfig(target_modules="all-linear", r=2, **changes), model)
    return get_peft_model(model, config)


def test_the_connection_is_trained_in_full_and_not_adapted():
    model = adapted_llama()
    trained = [
        name for name, weight in model.named_parameters() if weight.requires_grad and "lora_" not in name
    ]
    modules = ["decision_maker", "connection_gate"]
    assert trained == [f"base_model.model.{name}.modules_to_save.default.weight" for name in modules]
    ours = [name for name, _ in model.named_parameters() if any(module in name for module in modules)]
    assert not any("lora_" in name for name in ours)


def test_other_modules_that_are_saved_stay():
    config = adapted_llama(modules_to_save=["lm_head"]).peft_config["default"]
    assert config.modules_to_save == ["connection_gate", "decision_maker", "lm_head"]


def test_plain_models_and_runs_without_adapter_are_left_alone():
    config = LoraConfig(target_modules="all-linear")
    assert with_connection(config, tiny_llama(50)) is config
    assert with_connection(None, CCTuningModel.wrap(tiny_llama(50))) is None


def test_a_plain_adapter_is_the_adapter_without_the_connection(tmp_path):
    model = adapted_llama()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    model.save_pretrained(tmp_path)
    before = load_file(tmp_path / "adapter_model.safetensors")
    make_plain_adapter(tmp_path)
    after = load_file(tmp_path / "adapter_model.safetensors")
    modules = ("decision_maker", "connection_gate")
    assert before.keys() - after.keys() == {f"base_model.model.{name}.weight" for name in modules}
    assert PeftConfig.from_pretrained(str(tmp_path)).modules_to_save is None
    loaded = PeftModel.from_pretrained(tiny_llama(50), str(tmp_path))
    ids = torch.arange(3, 9)[None]
    torch.testing.assert_close(loaded.eval()(ids).logits, model.eval()(ids).logits)


def test_a_misspelt_target_is_named_with_the_nearest():
    model = tiny_llama(50)
    check_target_modules(model, ["q_proj", "mlp.up_proj"])
    with pytest.raises(ValueError, match=r"no module 'v_prj'.*v_proj"):
        check_target_modules(model, ["q_proj", "v_prj"])


def saved_adapter(folder, *, tied, **settings):
    """A plain adapter and its base model, as somebody else would train and save them."""
    base = tiny_llama(50, tie_word_embeddings=tied)
    base.save_pretrained(folder / "base")
    torch.manual_seed(1)
    config = LoraConfig(task_type="CAUSAL_LM", r=2, init_lora_weights=False, **settings)
    adapted = get_peft_model(base, config)
    adapted.peft_config["default"].base_model_name_or_path = str(folder / "base")
    adapted.save_pretrained(folder / "adapter")
    return adapted


@pytest.mark.parametrize("module", ["embed_tokens", "lm_head"])
def test_an_adapter_of_a_tied_matrix_is_not_merged(module, tmp_path):
    adapted = saved_adapter(tmp_path, tied=True, target_modules=["q_proj", module])
    with pytest.raises(ModelError, match=f"{module}.*tie_word_embeddings"):
        load_merged(tmp_path / "adapter")
    with pytest.raises(ModelError, match=f"{module}.*tie_word_embeddings"):
        check_not_tied(adapted)


@pytest.mark.parametrize(
    ("tied", "modules"), [(False, ["q_proj", "embed_tokens"]), (False, ["lm_head"]), (True, "all-linear")]
)
def test_any_other_adapter_is_the_model_that_peft_runs(tied, modules, tmp_path):
    adapted = saved_adapter(tmp_path, tied=tied, target_modules=modules).eval()
    ids = torch.arange(3, 9)[None]
    with torch.no_grad():
        expected = adapted(ids).logits
        torch.testing.assert_close(load_merged(tmp_path / "adapter").eval()(ids).logits, expected)


def test_an_adapter_that_replaces_modules_is_refused_with_what_to_do(tmp_path):
    saved_adapter(tmp_path, tied=False, target_modules=["q_proj"], modules_to_save=["lm_head"])
    with pytest.raises(ModelError, match=r"modules_to_save=\['lm_head'\].*merge"):
        load_merged(tmp_path / "adapter")
