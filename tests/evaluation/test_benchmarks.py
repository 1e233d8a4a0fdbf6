"""The registry, and what the papers say of each benchmark."""

import pytest

from cctuning.commands.schemas import EvaluateRecipe
from cctuning.evaluation.benchmarks import BENCHMARKS, find_benchmark
from cctuning.preparation.held_out import ENGLISH_ONLY, HELD_OUT
from cctuning.settings.recipe import load_recipe
from cctuning.settings.recipe_files import RECIPES
from tests.evaluation.clones import WITH_EXAMPLES

CC_TUNING = ("xnli", "xstorycloze", "mmmlu", "mkqa", "xquad", "xlsum")


def test_the_papers_benchmarks_have_examples():
    assert {*CC_TUNING, "xcopa", "globalopinionqa"} <= set(WITH_EXAMPLES)


def test_the_paper_has_six_benchmarks_of_ten_languages_and_22_languages():
    assert [len(BENCHMARKS[name].languages) for name in CC_TUNING] == [10] * 6
    assert len({language for name in CC_TUNING for language in BENCHMARKS[name].languages}) == 22
    assert all("en" in benchmark.languages for benchmark in BENCHMARKS.values())


def test_names_lead_to_their_benchmarks():
    assert all(find_benchmark(name).name == name for name in BENCHMARKS)
    assert find_benchmark("XStoryCloze").title == "XStoryCloze"


def test_a_misspelt_name_brings_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'xquad'"):
        find_benchmark("xqaud")
    with pytest.raises(ValueError, match="is not one of xnli, xstorycloze"):
        find_benchmark("belebele")


def test_metrics_have_keys_of_their_own_and_the_papers_comes_first():
    for benchmark in BENCHMARKS.values():
        keys = [metric.key for metric in benchmark.metrics]
        assert len(set(keys)) == len(keys)
        assert keys[0] == ("rougeL,paper" if benchmark.kind == "summary" else "accuracy,paper")


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=lambda benchmark: benchmark.name)
def test_labels_are_those_of_choices(benchmark):
    assert benchmark.labels is None or benchmark.kind == "choice"


@pytest.mark.parametrize("name", sorted(path.stem for path in (RECIPES / "evaluation").glob("*.yaml")))
def test_shipped_recipes_name_benchmarks_that_exist(name):
    recipe = load_recipe([f"recipe={name}", "model=m"], EvaluateRecipe, folder=RECIPES / "evaluation")
    expected = {
        "paper": list(CC_TUNING),
        "xtransplant": ["xnli", "xquad", "xcopa", "globalopinionqa"],
        "examples": list(WITH_EXAMPLES),
        "tiny": ["mkqa"],
        "held_out": [f"data/facts/{kind}.yaml" for kind in (HELD_OUT, ENGLISH_ONLY)],
    }
    assert recipe.benchmarks == expected.get(name, [name])
    other_paper = name in ("xtransplant", "xcopa", "globalopinionqa")
    assert recipe.max_new_tokens == {"tiny": 3, "held_out": 12}.get(name, 20 if other_paper else 40)
