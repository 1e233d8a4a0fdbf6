import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from cctuning import CCTuningModel
from cctuning.connection.adapters import check_target_modules, make_plain_adapter, with_pooling
from tests.tiny import tiny_llama


def adapted_llama(**changes):
    model = CCTuningModel.wrap(tiny_llama(50))
    config = with_pooling(LoraConfig(target_modules="all-linear", r=2, **changes), model)
    return get_peft_model(model, config)


def test_the_decision_maker_is_trained_in_full_and_not_adapted():
    model = adapted_llama()
    trained = [
        name for name, weight in model.named_parameters() if weight.requires_grad and "lora_" not in name
    ]
    assert trained == ["base_model.model.decision_maker.modules_to_save.default.weight"]
    assert not any("lora_" in name for name, _ in model.named_parameters() if "decision_maker" in name)


def test_other_modules_that_are_saved_stay():
    config = adapted_llama(modules_to_save=["lm_head"]).peft_config["default"]
    assert config.modules_to_save == ["decision_maker", "lm_head"]


def test_plain_models_and_runs_without_adapter_are_left_alone():
    config = LoraConfig(target_modules="all-linear")
    assert with_pooling(config, tiny_llama(50)) is config
    assert with_pooling(None, CCTuningModel.wrap(tiny_llama(50))) is None


def test_a_plain_adapter_is_the_adapter_without_the_decision_maker(tmp_path):
    model = adapted_llama()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    model.save_pretrained(tmp_path)
    before = load_file(tmp_path / "adapter_model.safetensors")
    make_plain_adapter(tmp_path)
    after = load_file(tmp_path / "adapter_model.safetensors")
    assert before.keys() - after.keys() == {"base_model.model.decision_maker.weight"}
    assert PeftConfig.from_pretrained(str(tmp_path)).modules_to_save is None
    loaded = PeftModel.from_pretrained(tiny_llama(50), str(tmp_path))
    ids = torch.arange(3, 9)[None]
    torch.testing.assert_close(loaded.eval()(ids).logits, model.eval()(ids).logits)


def test_a_misspelt_target_is_named_with_the_nearest():
    model = tiny_llama(50)
    check_target_modules(model, ["q_proj", "mlp.up_proj"])
    with pytest.raises(ValueError, match=r"no module 'v_prj'.*v_proj"):
        check_target_modules(model, ["q_proj", "v_prj"])
