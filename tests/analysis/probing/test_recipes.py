"""The recipes that ship for `cctuning probe`: what each asks of which model, and in which words."""

import re
from pathlib import Path

import pytest

from cctuning.commands.schemas import ProbeRecipe
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.settings.recipe import load_recipe
from cctuning.settings.recipe_files import RECIPES

FOLDER = RECIPES / "probing"
BENCHMARKS = ("xnli", "xquad", "xcopa", "globalopinionqa")
# As the hub names the models of the paper.
MODELS = {
    "meta-llama/Llama-2-7b-chat-hf",
    "mistralai/Mistral-7B-Instruct-v0.3",
    "Qwen/Qwen2-7B-Instruct",
    "hfl/chinese-alpaca-2-7b",
}
PAGE = Path(__file__).parents[3] / "docs" / "xtransplant.md"


def recipe_of(name, *arguments):
    return load_recipe([f"recipe={name}", *arguments], ProbeRecipe, folder=FOLDER)


def test_there_is_a_recipe_for_each_benchmark():
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    assert names == {
        "tiny",
        "choices",
        "examples",
        "where",
        "xtransplant",
        *(f"xtransplant_{benchmark}" for benchmark in BENCHMARKS),
    }


def test_the_page_names_the_papers_models_and_how_its_authors_ask_them():
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"`([\w-]+/[\w.-]+)`", page)) >= MODELS
    assert recipe_of("xtransplant_xnli", f"model={min(MODELS)}", "template=raw").template == "raw"
    assert "`template=raw`" in page


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_benchmarks_recipe_takes_any_model_and_asks_it_in_its_own_template(benchmark):
    recipe = recipe_of(f"xtransplant_{benchmark}", "model=outputs/mine")
    assert (recipe.benchmarks, recipe.model, recipe.template) == ([benchmark], "outputs/mine", "auto")
    assert find_benchmark(benchmark).name == benchmark


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("xtransplant*.yaml")))
def test_every_study_has_the_papers_settings(name):
    recipe = recipe_of(name, "model=m")
    assert (recipe.pilot, recipe.unseen) == ("data/pilot", "data/unseen")
    assert (recipe.max_new_tokens, recipe.direction, recipe.centre) == (20, "auto", "en")
    assert recipe.sublayers == ["ffn", "attention"] and recipe.prompting == ["original", "cot", "pim"]
    assert recipe.run_name == name and recipe.limit is None
