"""`cctuning recipes`: every recipe has its line, and one is shown with where its values come from."""

import pytest

from cctuning.commands.registry import COMMANDS
from cctuning.settings.recipe_files import recipe_files
from tests.scripts import call


def test_every_recipe_is_listed_with_what_it_is():
    lines = call("recipes").out.splitlines()
    for command in COMMANDS.values():
        for name in recipe_files(command.schema, command.recipes):
            (line,) = [line for line in lines if line.split()[:1] == [name]][:1]
            assert len(line.split()) > 3, f"{command.name} recipe={name} says not what it is: {line}"


def test_the_recipes_of_one_command():
    shown = call("recipes", "evaluate").out
    assert "xnli" in shown and "llama31_aya" not in shown


def test_a_recipe_is_shown_with_the_place_of_each_value():
    rows = {line.split()[0]: line for line in call("recipes", "llama31_aya", "seed=7").out.splitlines()[1:]}
    assert "meta-llama/Llama-3.1-8B" in rows["model_name_or_path"] and "llama31_aya.yaml" in rows["template"]
    assert "_aya.yaml" in rows["num_train_epochs"]
    assert rows["seed"].split()[1:] == ["7", "on", "the", "command", "line"]
    assert rows["lora.r"].split()[1:] == ["16", "default"]


def test_a_recipe_without_its_model_is_shown_too():
    assert "required" in call("recipes", "xnli").out


@pytest.mark.parametrize("arguments", [("xnli", "limt=1"), ("nothing_like_it",)])
def test_mistakes(arguments):
    ended = call("recipes", *arguments)
    assert ended.status == 2
    assert ended.err.startswith("error: ")


def test_a_faulty_file_is_named_with_its_fault(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("benchmarks: [xnli]\nlimt: 3")
    ended = call("recipes", "evaluate", str(path))
    assert ended.status == 2
    assert "unknown key 'limt'" in ended.err and "limit" in ended.err


def test_a_command_without_recipes_says_so():
    assert "no recipes" in call("recipes", "fit").out


@pytest.mark.parametrize("arguments", [("recipes",), ("train", "--help")])
def test_a_recipe_that_is_no_text_is_one_line(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "MODEL_mine.yaml").write_bytes(b"base: \xff")
    ended = call(*arguments)
    assert ended.status == 2
    assert ended.err.startswith("error: ") and "MODEL_mine.yaml is not readable" in ended.err
