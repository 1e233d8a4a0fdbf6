"""The steps of a study, from small recipes of its own."""

import dataclasses
import sys
from pathlib import Path

import pytest

from cctuning.commands.run_study import plan_of
from cctuning.commands.schemas import EvaluateRecipe, FitRecipe, ProbeRecipe, StudyRecipe, TrainRecipe
from cctuning.commands.studies.plan import make_plan
from cctuning.settings.assignments import RecipeError
from cctuning.settings.recipe import load_recipe
from cctuning.settings.recipe_files import RECIPES

pytestmark = pytest.mark.slow

PAPERS_TABLE = [
    f"{setting}{connection}"
    for setting in ("aya", "aya_en", "aya_mt", "aya_sdrrl")
    for connection in ("_sft", "")
]


def plan(name="table1", *arguments):
    return plan_of(load_recipe([f"recipe={name}", *arguments], StudyRecipe, folder=RECIPES / "studies"))


@pytest.fixture
def held_out_questions(tmp_path, monkeypatch):
    """The folders that `cctuning prepare held_out` writes."""
    monkeypatch.chdir(tmp_path)
    for kind in ("held_out", "english_only"):
        (tmp_path / "data/facts" / kind).mkdir(parents=True)
        (tmp_path / "data/facts" / f"{kind}.yaml").write_text("kind: short_answer\n")


def small(**settings):
    return make_plan(StudyRecipe(**{"recipes": ["llama31_aya_sft", "llama31_aya"]} | settings))


def names(steps, kind):
    return [step.name for step in steps if step.kind == kind]


@pytest.mark.parametrize("name", [path.stem for path in sorted((RECIPES / "studies").glob("*.yaml"))])
def test_every_shipped_study_has_steps_that_their_scripts_would_take(name, held_out_questions):
    steps, rows = plan(name)
    assert sum(len(row.evaluations) for row in rows) == len(
        [*names(steps, "evaluate"), *names(steps, "probe")]
    )
    assert len({row.title for row in rows}) == len(rows) > 1
    assert {row.baseline for row in rows} - {None} <= {row.title for row in rows}


def test_the_study_of_held_out_questions_goes_on_from_the_run_before_it(held_out_questions):
    before = dataclasses.asdict(load_recipe(["recipe=facts"], TrainRecipe, folder=RECIPES))
    steps, _ = plan("held_out")
    trained = [step.settings for step in steps if step.kind == "train"]
    same = ("template", "cutoff_len", "total_batch_size", "dtype", "bf16", "use_cpu")
    assert {settings["model_name_or_path"] for settings in trained} == {before["output_dir"]}
    for settings in trained:
        assert {name: settings[name] for name in same} == {name: before[name] for name in same}


def test_the_main_table_has_every_method_of_every_model():
    steps, rows = plan()
    expected = [f"{model}_{method}" for model in ("llama31", "qwen25", "mistral") for method in PAPERS_TABLE]
    assert [row.title for row in rows] == expected
    assert names(steps, "train") == [f"{name}/train" for name in expected]
    assert names(steps, "fit") == [f"{name}/fit_1000" for name in expected if not name.endswith("_sft")]
    assert len(names(steps, "evaluate")) == len(expected)
    only = plan("table1", "models=qwen25")[1]
    assert [row.title for row in only] == [name for name in expected if name.startswith("qwen25")]


def test_a_connected_model_is_compared_with_the_same_data_without_connection_and_those_with_the_first():
    _, rows = plan("table1", "models=mistral")
    baselines = {row.title: row.baseline for row in rows}
    for setting in ("en", "mt", "sdrrl"):
        assert baselines[f"mistral_aya_{setting}"] == f"mistral_aya_{setting}_sft"
        assert baselines[f"mistral_aya_{setting}_sft"] == "mistral_aya_sft"
    assert (baselines["mistral_aya_sft"], baselines["mistral_aya"]) == (None, "mistral_aya_sft")
    _, rows = plan("ablation_pooling")
    assert {row.baseline for row in rows[1:]} == {"llama31_aya"}


def test_each_step_waits_for_what_it_reads():
    steps, rows = small()
    by_name = {step.name: step for step in steps}
    assert [step.name for step in steps] == [
        "llama31_aya_sft/train",
        "llama31_aya_sft/none",
        "llama31_aya/train",
        "llama31_aya/fit_1000",
        "llama31_aya/monolingual_1000",
    ]
    assert by_name["llama31_aya_sft/none"].needs == ("llama31_aya_sft/train",)
    fit, evaluation = by_name["llama31_aya/fit_1000"], by_name["llama31_aya/monolingual_1000"]
    assert (fit.needs, evaluation.needs) == (("llama31_aya/train",), ("llama31_aya/fit_1000",))
    assert fit.settings["model"] == str(by_name["llama31_aya/train"].output)
    assert evaluation.settings["model"] == str(fit.output)
    assert [step.output for row in rows for step in row.evaluations] == [
        Path("outputs/llama31_aya_sft/evaluation/paper-none"),
        Path("outputs/llama31_aya/monolingual/evaluation/paper-monolingual"),
    ]


def test_arguments_of_a_step_give_its_settings_and_hold_the_overrides():
    steps, _ = small(train=["max_steps=7", "connection.temperature=0.5"], fit=["folds=3"], runs="elsewhere")
    for step in steps:
        if step.kind == "train":
            recipe = load_recipe(step.arguments, TrainRecipe)
            assert (recipe.max_steps, recipe.connection.temperature) == (7, 0.5)
            assert step.output == Path(recipe.output_dir) == Path("elsewhere") / recipe.run_name
        if step.kind == "fit":
            recipe = load_recipe(step.arguments, FitRecipe)
            assert recipe.folds == 3
        if step.kind != "evaluate":
            assert dataclasses.asdict(recipe) == step.settings


def test_ways_to_ask_are_rows_of_connected_models_alone():
    steps, rows = small(inference=["bilingual", "monolingual"], pairs=[100, 1000])
    assert [row.title for row in rows] == [
        "llama31_aya_sft",
        "llama31_aya, bilingual",
        "llama31_aya, monolingual, 100 pairs",
        "llama31_aya, monolingual, 1,000 pairs",
    ]
    assert names(steps, "fit") == ["llama31_aya/fit_100", "llama31_aya/fit_1000"]
    outputs = {step.name: step.output for step in steps}
    assert outputs["llama31_aya/fit_100"] == Path("outputs/llama31_aya/monolingual_100")
    assert len(set(outputs.values())) == len(steps)


def test_errors_of_a_matrix_are_measured_once_on_the_benchmarks_that_its_model_is_asked():
    steps, rows = small(
        inference=["bilingual", "monolingual"],
        prompting=["original", "cot"],
        matrix_errors=True,
        baseline="own",
        evaluation="xnli",
        evaluate=["data=elsewhere"],
        fit=["folds=3", "batch_size=2"],
    )
    [errors] = [step for step in steps if step.name.endswith("/errors_1000")]
    fit = next(step for step in steps if step.name.endswith("/fit_1000"))
    assert (errors.kind, errors.needs, errors.mark) == ("fit", (fit.name,), fit.output / "errors/errors.json")
    recipe = load_recipe(errors.arguments, FitRecipe)
    assert (recipe.model, recipe.benchmarks, recipe.benchmark_data) == (
        str(fit.output),
        ["xnli"],
        "elsewhere",
    )
    assert (recipe.batch_size, recipe.folds) == (2, FitRecipe().folds)
    assert [len(row.matrix_errors) for row in rows] == [0, 0, 0, 0, 1, 1]
    first = [None, rows[0].title, None, *[rows[2].title] * 3]
    assert [row.baseline for row in rows] == first


def results(**settings):
    return [
        str(step.output)
        for row in small(recipes=["llama31_aya_sft"], **settings)[1]
        for step in row.evaluations
    ]


def test_evaluations_that_are_asked_in_other_ways_lie_beside_each_other():
    folder = "outputs/llama31_aya_sft/evaluation"
    assert results() == [f"{folder}/paper-none"]
    assert results(evaluate=["prompting=cot"]) == [f"{folder}/paper-none-cot"]
    assert results(evaluate=["run_name=short", "limit=20"]) == [f"{folder}/short-none"]
    ways = [f"{folder}/paper-none", f"{folder}/paper-none-cot", f"{folder}/paper-none-pim"]
    assert results(prompting=["original", "cot", "pim"]) == ways


def test_every_model_is_asked_with_every_prompting_after_one_fit():
    steps, rows = small(prompting=["original", "cot"], baseline="plain")
    assert [row.title for row in rows] == [
        "llama31_aya_sft, original",
        "llama31_aya_sft, cot",
        "llama31_aya, original",
        "llama31_aya, cot",
    ]
    assert [row.baseline for row in rows] == [None, *["llama31_aya_sft, original"] * 3]
    assert [step.name for step in steps[3:]] == [
        "llama31_aya/train",
        "llama31_aya/fit_1000",
        "llama31_aya/monolingual_1000",
        "llama31_aya/monolingual_1000_cot",
    ]
    for step in steps:
        if step.kind == "evaluate":
            assert load_recipe(step.arguments, EvaluateRecipe, folder=RECIPES / "evaluation").prompting == (
                "cot" if step.name.endswith("_cot") else "original"
            )


def test_a_chain_of_thought_has_settings_of_its_own_in_place_of_those_of_all():
    steps, _ = small(prompting=["original", "cot", "pim"], evaluate=["max_new_tokens=30", "limit=5"])
    asked = [step.settings for step in steps if step.kind == "evaluate"]
    assert [one["prompting"] for one in asked] == ["original", "cot", "pim"] * 2
    assert [one["max_new_tokens"] for one in asked] == [30, 512, 30] * 2
    assert {one["limit"] for one in asked} == {5}


def test_commands_as_they_are_shown_and_as_they_run():
    train = small(train=["data=[a b.jsonl]"])[0][0]
    typed = "recipe=llama31_aya_sft output_dir=outputs/llama31_aya_sft 'data=[a b.jsonl]'"
    assert train.shown("python") == f"python -m cctuning train {typed}"
    assert train.command("python")[:4] == (sys.executable, "-m", "cctuning", "train")
    launcher = "accelerate launch --num_processes 2"
    assert train.shown(launcher).startswith(f"{launcher} -m cctuning train recipe=")
    assert train.command(launcher)[:4] == ("accelerate", "launch", "--num_processes", "2")


def test_an_evaluation_that_begins_anew():
    train, evaluation = small()[0][:2]
    assert evaluation.anew().arguments == (*evaluation.arguments, "resume=never")
    assert evaluation.anew().name == evaluation.name
    assert train.anew() == train
    never = small(evaluate=["resume=never"])[0][1]
    assert never.anew() == never


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipes": ["llama31_aia"]}, "cctuning train recipe=llama31_aia: .*did you mean 'llama31_aya'"),
        ({"train": ["max_step=1"]}, "cctuning train .*did you mean 'max_steps'"),
        ({"fit": ["pair=1"]}, "cctuning fit .*did you mean 'pairs'"),
        ({"evaluate": ["limits=1"]}, "cctuning evaluate .*did you mean 'limit'"),
        ({"evaluation": "papers"}, "cctuning evaluate .*did you mean 'paper'"),
        ({"train": ["output_dir=x"]}, "output_dir= is there twice"),
        ({"recipes": ["MODEL_aya"]}, "recipes=MODEL_aya holds MODEL, and models= names none"),
        ({"models": ["qwen25"]}, "recipes=llama31_aya_sft lacks MODEL"),
        ({"recipes": ["llama31_aya", "llama31_aya"]}, "two steps would be llama31_aya/train"),
        ({"prompting": ["cot", "cot"]}, "two steps would be llama31_aya_sft/none_cot"),
        ({"evaluate_cot": ["limits=1"], "prompting": ["cot"]}, "cctuning evaluate .*did you mean 'limit'"),
        ({"prompting": ["pim"], "evaluate": ["prompting=cot"]}, "prompting= is there twice"),
        ({"pairs": [100, 100]}, "two steps would be llama31_aya/fit_100"),
        ({"fit": ["layers=chosen"]}, "cctuning fit .*layers=chosen.*pooling=decision_maker"),
        (
            {"fit": ["layers=each"], "train": ["connection.pooling=layer", "connection.layer=-1"]},
            "cctuning fit .*pooling=layer takes layer -1 alone",
        ),
    ],
)
def test_what_a_step_would_refuse_is_refused_before_anything_runs(settings, message):
    with pytest.raises(RecipeError, match=message):
        small(**settings)


def test_a_study_of_nothing():
    with pytest.raises(ValueError, match="recipes="):
        StudyRecipe(recipes=[])


def test_each_seed_is_trained_and_asked_and_a_row_has_all_of_them():
    steps, rows = small(seeds=[1, 2], train=["max_steps=7"])
    assert names(steps, "train") == [
        f"{name}-seed{seed}/train" for seed in (1, 2) for name in ("llama31_aya_sft", "llama31_aya")
    ]
    assert [step.settings["seed"] for step in steps if step.kind == "train"] == [1, 1, 2, 2]
    assert [(row.title, row.baseline) for row in rows] == [
        ("llama31_aya_sft", None),
        ("llama31_aya", "llama31_aya_sft"),
    ]
    for row in rows:
        assert [
            step.settings["model"].count(f"-seed{seed}") for seed, step in enumerate(row.evaluations, 1)
        ] == [1, 1]
    with pytest.raises(RecipeError, match=r"train=.*seed.*seeds="):
        small(seeds=[1, 2], train=["seed=3"])
    with pytest.raises(ValueError, match=r"seeds=\[1, 1\].*twice"):
        StudyRecipe(recipes=["tiny"], seeds=[1, 1])


def test_a_study_probes_every_model_with_every_centre_where_the_command_would():
    steps, rows = plan("xtransplant_centres", "models=[org/one,other/one]", "centres=[en,zh]")
    assert [(step.kind, str(step.output)) for step in steps] == [
        ("probe", f"outputs/{org}--one/probing/xtransplant_{centre}")
        for org in ("org", "other")
        for centre in ("en", "zh")
    ]
    assert [row.title for row in rows] == [
        f"{org}/one, centre {centre}" for org in ("org", "other") for centre in ("en", "zh")
    ]
    for step, row in zip(steps, rows, strict=True):
        recipe = load_recipe(step.arguments, ProbeRecipe, folder=RECIPES / "probing")
        assert f"{recipe.model}, centre {recipe.centre}" == row.title
        assert (recipe.benchmarks, recipe.unseen, recipe.output_dir) == (
            ["xnli", "xcopa"],
            None,
            str(step.output),
        )


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"probes": ["xtransplant"], "recipes": []}, "models= no model"),
        ({"probes": ["xtransplant"], "recipes": [], "models": ["m"], "probe": ["sublayers=[fnn]"]}, "'ffn'"),
        ({"probes": ["xtransplant"], "recipes": [], "models": ["m", "m"]}, "two steps"),
    ],
)
def test_probes_that_cannot_be_made_are_named(settings, said):
    with pytest.raises(RecipeError, match=said):
        plan_of(StudyRecipe(**settings))


def test_a_study_is_of_trainings_or_of_probes():
    for recipes, probes in (([], []), (["llama31_aya"], ["xtransplant"])):
        with pytest.raises(ValueError, match="recipes= and probes="):
            StudyRecipe(recipes=recipes, probes=probes)
