"""Code that lies in a model's folder is not run, where the model itself is good."""

import pytest

from cctuning.commands import chat_with_model as chat
from cctuning.commands import fit_matrix as fit_transform
from tests.hostile import models
from tests.scripts import call


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sprung(folder):
    """Whether code of a folder has run."""
    return any(path.name == "sprung" for path in folder.rglob("*"))


def test_the_code_works(here):
    models.code(here / "evil.py")
    exec((here / "evil.py").read_text())
    assert sprung(here)


@pytest.mark.parametrize("trusted", ["false", "true"])
def test_an_exported_model_runs_this_package_and_not_its_folder(here, trusted):
    models.code(models.exported(here) / "modeling_cctuning.py")
    ended = call(chat, *models.asked("exported"), f"trust_remote_code={trusted}")
    assert ended.status == 0 and "the model's own outputs, transformed" in ended.out
    assert not sprung(here)


@pytest.mark.parametrize("name", ["AutoModelForCausalLM", "AutoConfig", "AutoTokenizer"])
def test_a_known_model_type_needs_no_code_of_the_folder(here, name):
    base = models.base(here)
    file = "tokenizer_config.json" if name == "AutoTokenizer" else "config.json"
    models.edit(base / file, auto_map={name: ["evil.Evil", None] if "Token" in name else "evil.Evil"})
    models.code(base / "evil.py")
    assert call(chat, *models.asked()).status == 0
    assert not sprung(here)


def test_a_way_to_generate_in_the_folder_is_not_taken(here):
    base = models.base(here)
    (base / "custom_generate").mkdir()
    models.code(base / "custom_generate" / "generate.py")
    assert call(chat, *models.asked()).status == 0
    assert not sprung(here)


def test_what_an_adapter_says_about_its_classes_is_not_imported(here):
    adapter = models.adapter(here)
    mapping = {"base_model_class": "Evil", "parent_library": "evil"}
    models.edit(adapter / "adapter_config.json", auto_mapping=mapping, megatron_core="evil")
    models.code(here / "evil.py")
    models.code(adapter / "evil.py")
    assert call(chat, *models.asked("adapter")).status == 0
    assert not sprung(here)


def test_python_beside_a_run_is_not_imported(here, monkeypatch):
    run = models.run(here)
    for name in ("sitecustomize.py", "modeling_cctuning.py", "yaml.py"):
        models.code(run / name)
    assert call(fit_transform, *models.FIT).status == 0
    assert not sprung(here)
