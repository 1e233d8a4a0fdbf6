"""`load_model` on what other people's folders may hold."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.adapters import make_plain_adapter
from cctuning.connection.connected import is_connected
from cctuning.connection.model import (
    load_model,
    load_model_config,
    load_model_generation_config,
    save_connection,
)
from cctuning.export import export_monolingual
from cctuning.generation.modes import choose_mode
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.kinds import kind_of
from cctuning.pretrained.weights import WeightsError
from tests.hub_cache import put_into_cache
from tests.tiny import tiny_llama, tiny_tokenizer


@pytest.fixture
def exported(tmp_path):
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)))
    return export_monolingual(model, tokenizer, torch.randn(32, 32), tmp_path / "exported")


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_exported_model_is_connected(exported):
    model = load_model(exported)
    assert type(model).__name__ == "CCTuningLlamaForCausalLM" and not model.training
    assert model.transform_matrix.weight.shape == (32, 32)


@pytest.mark.parametrize("kind", ["exported", "run", "an older run", "adapter", "plain"])
def test_a_model_of_the_hub_is_connected_where_its_files_say_so(exported, tmp_path, monkeypatch, kind):
    folder = exported
    if kind != "exported":
        folder = tmp_path / "other"
        model = tiny_llama(len(tiny_tokenizer()))
        if kind == "adapter":
            model.save_pretrained(tmp_path / "base")
            model = load_model(tmp_path / "base")
        if kind != "plain":
            model = CCTuningModel.wrap(model)
        if kind == "adapter":
            config = LoraConfig(target_modules=["q_proj"], modules_to_save=["decision_maker"])
            adapted = get_peft_model(model, config)
            adapted.save_pretrained(folder)
            make_plain_adapter(folder)
            save_connection(model, folder)
        else:
            model.save_pretrained(folder)
        if kind == "an older run":
            for path in (folder / "connection").iterdir():
                path.rename(folder / path.name)
    expected = load_model(folder)
    put_into_cache(folder, tmp_path / "cache", monkeypatch)
    monkeypatch.chdir(tmp_path)
    loaded = load_model("org/name")
    assert type(loaded).__name__ == type(expected).__name__
    assert loaded.state_dict().keys() == expected.state_dict().keys()
    assert is_connected(loaded) == (kind != "plain")
    kinds = kind_of(model_folder("org/name"))
    assert (kinds.exported, kinds.run) == (kind == "exported", kind not in ("exported", "plain"))
    assert load_model_config("org/name").hidden_size == 32
    assert load_model_generation_config("org/name").to_diff_dict() is not None
    assert choose_mode("org/name", "none") == "none"


def test_a_model_of_the_hub_that_is_not_whole_is_an_error(exported, tmp_path, monkeypatch):
    (exported / "model.safetensors").unlink()
    put_into_cache(exported, tmp_path / "cache", monkeypatch)
    with pytest.raises(WeightsError, match="holds no model"):
        load_model("org/name")


def test_a_run_whose_connection_lies_beside_the_weights(tmp_path):
    """As older versions wrote it, where a server took those weights for the model's."""
    model = CCTuningModel.wrap(tiny_llama(50))
    model.save_pretrained(tmp_path)
    for path in (tmp_path / "connection").iterdir():
        path.rename(tmp_path / path.name)
    (tmp_path / "connection").rmdir()
    loaded = load_model(tmp_path)
    assert torch.equal(loaded.decision_maker.weight, model.decision_maker.weight)
    loaded.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    assert torch.equal(load_model(tmp_path).decision_maker.weight, model.decision_maker.weight)


@pytest.mark.parametrize("auto_class", ["AutoModelForCausalLM", "AutoConfig"])
def test_code_in_a_folder_is_never_run_unasked(exported, tmp_path, auto_class):
    marker = tmp_path / "was run"
    for name in ("evil.py", "modeling_cctuning.py"):
        (exported / name).write_text(f"open({str(marker)!r}, 'w')\nclass X: pass\n")
    (exported / "custom_generate").mkdir()
    (exported / "custom_generate" / "generate.py").write_text(f"open({str(marker)!r}, 'w')\n")
    edit_config(exported, auto_map={auto_class: "evil.X"})
    model = load_model(exported)
    model.generate(torch.tensor([[9, 10]]), max_new_tokens=1)
    assert model.transform_matrix is not None
    assert not marker.exists()


def test_a_layer_that_is_not_there_leaves_the_model_as_it_was():
    model = tiny_llama(50)
    with pytest.raises(ValueError, match="layer=99 is not one of the model's 3 layers"):
        CCTuningModel.wrap(model, ConnectionConfig(pooling="layer", layer=99))
    assert type(model).__name__ == "LlamaForCausalLM" and "forward" not in vars(model.model)
    CCTuningModel.wrap(model, ConnectionConfig(pooling="layer", layer=-3))


def test_the_decision_maker_of_a_half_precision_model_is_in_float32():
    model = CCTuningModel.wrap(tiny_llama(50).to(torch.bfloat16))
    assert model.decision_maker.weight.dtype == torch.float32


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_the_statistics_of_outputs_stay_as_they_were_measured(tmp_path, half):
    tokenizer = tiny_tokenizer()
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)), ConnectionConfig(centred=True)).to(half)
    measured = torch.rand(3, 32)
    model.output_statistics.mean.copy_(measured), model.output_statistics.scale.fill_(1 / 3)
    model.save_pretrained(tmp_path / "run")
    export_monolingual(model, tokenizer, torch.eye(32), tmp_path / "exported")
    for folder in ("run", "exported"):
        for dtype in (torch.float32, half):
            loaded = load_model(tmp_path / folder, dtype=dtype)
            assert loaded.dtype == dtype
            loaded.half()
            assert torch.equal(loaded.output_statistics.mean, measured)
            assert torch.equal(loaded.output_statistics.scale, torch.full((3,), 1 / 3))
