import re

import pytest

from cctuning.pretrained.names import naming_model


def message(name, inside=lambda: None):
    with pytest.raises(OSError) as caught, naming_model("model", str(name)):
        inside()
    return str(caught.value)


def refuse(error):
    def inside():
        raise error

    return inside


def test_a_folder_with_a_model_or_an_adapter_and_a_hub_name_pass(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "config.json").write_text("{}")
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text("{}")
    passed = []
    for name in (tmp_path / "full", tmp_path / "lora", "org/Model-7B", "gpt2"):
        with naming_model("model", str(name)):
            passed.append(name)
    assert len(passed) == 4


def test_a_misspelt_folder_is_named_with_the_nearest(tmp_path):
    (tmp_path / "llama_aya").mkdir()
    assert message(tmp_path / "lama_aya").endswith("lama_aya does not exist; did you mean 'llama_aya'?")
    assert re.fullmatch(
        r"model=(.*)/x/y does not exist, nor does its folder \1/x", message(tmp_path / "x" / "y")
    )


def test_a_relative_folder_of_two_parts_is_no_hub_name_where_the_first_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    assert message("outputs/tiny") == "model=outputs/tiny does not exist"
    assert (
        message("outputs/demo/seed0/base")
        == "model=outputs/demo/seed0/base does not exist: make demo writes it"
    )


def test_a_folder_without_a_model_and_a_file(tmp_path):
    assert "holds no config.json, so it is no model's folder" in message(tmp_path)
    (tmp_path / "recipe.yaml").write_text("")
    assert message(tmp_path).endswith("; its training has not finished")
    assert "is a file, and must be a model's folder" in message(tmp_path / "recipe.yaml")


def test_what_a_library_says_gets_key_and_name(tmp_path):
    assert message("org/x", refuse(OSError("no connection"))) == (
        "model=org/x: there is no such folder, and as a hub name: no connection"
    )
    (tmp_path / "config.json").write_text("{}")
    assert message(tmp_path, refuse(ValueError("no tokenizer"))) == f"model={tmp_path}: no tokenizer"


def test_other_errors_are_left_alone():
    with pytest.raises(KeyError), naming_model("model", "org/x"):
        raise KeyError("a defect")


def test_a_block_in_a_block_says_it_once(tmp_path):
    (tmp_path / "config.json").write_text("{}")

    def inside():
        with naming_model("model", str(tmp_path)):
            raise ValueError("broken")

    assert message(tmp_path, inside) == f"model={tmp_path}: broken"
