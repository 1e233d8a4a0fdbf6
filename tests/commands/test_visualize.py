import csv
import json
import os
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from cctuning.commands import visualize_models as visualize
from cctuning.commands.schemas import VisualizeRecipe
from cctuning.connection.model import load_model
from cctuning.export import export_monolingual
from cctuning.settings.recipe import load_recipe
from cctuning.settings.recipe_files import RECIPES
from cctuning.tools.locks import only_run_in
from demo.stages import RUNS
from tests.hostile import models
from tests.json_lines import write_lines
from tests.samples import samples, write_evaluation
from tests.scripts import call

pytestmark = pytest.mark.slow

TEXTS = {"sw": "Mji wa {} uko wapi?", "ru": "Где город {}?", "en": "Where is the city {}?"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A plain model, a run and its export, parallel rows, an evaluation, and two metrics files."""
    folder = tmp_path_factory.mktemp("visualize")
    models.base(folder)
    models.run(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder / "run")
    export_monolingual(
        load_model(folder / "run"), tokenizer, torch.randn(32, 32), folder / "run" / "monolingual"
    )
    rows = [
        {
            "id": f"{city}",
            "language": language,
            "instruction": text.format(city),
            "instruction_en": TEXTS["en"].format(city),
            "output": "x",
        }
        for city in ("Kisumu", "Lima", "Roma", "Oslo", "Bonn")
        for language, text in TEXTS.items()
        if language != "en"
    ]
    write_lines(folder / "cities.jsonl", rows)
    write_evaluation(folder / "results", samples("xnli", ("sw", "tr"), 8))
    for name in ("sft", "cc"):
        (folder / name).mkdir()
        lines = [{"step": step, "loss": 4 / step, "tokens/sw": 8} for step in range(1, 9)]
        write_lines(folder / name / "metrics.jsonl", lines)
    return folder


def drawn(folder, *arguments, output=None):
    return call(visualize, f"output_dir={output or folder / 'out'}", "use_cpu=true", *arguments)


def of_models(folder, *more, cctuning="run", output=None):
    return drawn(
        folder,
        f"models.base={folder / 'base'}",
        f"models.cctuning={folder / cctuning}",
        f"data={folder / 'cities.jsonl'}",
        *more,
        output=output,
    )


def report(folder):
    return json.loads((folder / "out" / "representations.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def models_of(folder):
    """The report's models, where `cctuning` is one of the folder's and is drawn with an inference."""

    @cache
    def of(model, inference):
        ended = of_models(folder, f"inference={inference}", cctuning=model)
        assert ended.status == 0, ended.err
        return report(folder)["models"]

    return of


def test_everything_at_once(folder):
    ended = of_models(folder, f"results={folder / 'results'}", f"runs=[{folder / 'sft'},{folder / 'cc'}]")
    assert ended.status == 0, ended.err
    written = {path.name for path in (folder / "out").iterdir()}
    kinds = {"representations": "json csv png svg", "layers": "csv png svg", "losses": "csv png svg"}
    kinds["moved"] = "csv png svg"
    files = {f"{name}.{kind}" for name, own in kinds.items() for kind in own.split()}
    assert written == files | {"similarity.csv"}
    found = report(folder)
    assert (found["sentences"], found["languages"]) == (5, ["en", "ru", "sw"])
    assert [(one["name"], one["connection"]) for one in found["models"]] == [
        ("base", "none"),
        ("cctuning", "bilingual"),
    ]
    assert found["retrieval_by_chance"] == 0.2
    for one in found["models"]:
        assert f"{one['means']['parallel']:.3f}" in ended.out


def test_one_drawing_at_a_time_and_numbers_come_after_their_figure(folder, monkeypatch):
    results = [f"results={folder / 'results'}", f"runs=[{folder / 'sft'},{folder / 'cc'}]"]
    assert drawn(folder, *results).status == 0
    with only_run_in(folder / "out"):
        ended = drawn(folder, *results)
    assert ended.status == 1 and f"({os.getpid()}) works in {folder / 'out'}" in ended.err

    def stopped(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(visualize, "plot_choices", stopped)
    assert drawn(folder, *results).status == 130
    assert (folder / "out/losses.csv").exists() and not (folder / "out/layers.csv").exists()


@pytest.mark.parametrize(
    ("model", "inference", "mode"),
    [
        ("run", "auto", "bilingual"),
        ("run", "none", "none"),
        ("run/monolingual", "auto", "monolingual"),
        ("run/monolingual", "bilingual", "bilingual"),
    ],
)
def test_how_a_connected_model_is_connected(models_of, model, inference, mode):
    assert [one["connection"] for one in models_of(model, inference)] == ["none", mode]


@pytest.mark.parametrize("model", ["run", "run/monolingual"])
def test_a_connection_changes_what_is_drawn(models_of, model):
    (base, connected), (base_again, plain) = (
        [one["pairs"] for one in models_of(model, inference)] for inference in ("auto", "none")
    )
    assert base == base_again
    assert connected != plain


def test_what_the_connection_moves_has_a_matrix_where_the_model_has(folder):
    ended = of_models(folder, cctuning="run/monolingual")
    assert ended.status == 0, ended.err
    with (folder / "out" / "moved.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {(line["model"], line["transformed"] != "") for line in lines} == {
        ("base", False),
        ("cctuning", True),
    }
    assert f"{max(float(line['retrieval_centred']) for line in lines):.1%}" in ended.out


def test_the_same_command_gives_the_same_numbers(folder):
    of_models(folder)
    before = {path.name: path.read_bytes() for path in (folder / "out").glob("*.csv")}
    of_models(folder)
    assert {path.name: path.read_bytes() for path in (folder / "out").glob("*.csv")} == before
    of_models(folder, "pooling=mean", "layer=0")
    assert (folder / "out" / "similarity.csv").read_bytes() != before["similarity.csv"]


def test_questions_of_a_benchmark_are_sentences_too(folder):
    ended = drawn(
        folder,
        f"models.base={folder / 'base'}",
        "benchmark=mkqa",
        "benchmark_data=examples/benchmarks",
        "languages=[en,tr,ja]",
    )
    assert ended.status == 0, ended.err
    assert report(folder)["languages"] == ["en", "tr", "ja"]


def test_a_dry_run_writes_nothing(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    ended = of_models(folder, "dry_run=true", f"results={folder / 'results'}", f"runs={folder / 'cc'}")
    assert ended.status == 0, ended.err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    for text in (
        "bilingual",
        "5 sentences in en, ru, sw",
        "2 tasks",
        "8 values up to step 8",
        "### Instruction",
    ):
        assert text in ended.out


def test_other_templates_are_told(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder / "run")
    own = folder / "other"
    load_model(folder / "base").save_pretrained(own)
    tokenizer.chat_template = tokenizer.chat_template.replace("Instruction", "Question")
    tokenizer.save_pretrained(own)
    arguments = (f"models.sft={own}", "dry_run=true")
    assert "warning: the models' templates differ" in of_models(folder, *arguments).out
    assert "templates differ" not in of_models(folder, *arguments, "template=plain").out


def test_rows_that_were_left_out_are_told(folder):
    path = folder / "with_bad.jsonl"
    path.write_text((folder / "cities.jsonl").read_text() + '{"language": "sw"}\n')
    base = f"models.base={folder / 'base'}"
    ended = drawn(folder, base, f"data={path}", "on_bad_row=skip", "dry_run=true")
    assert ended.status == 0, ended.err
    assert "warning: 1 row left out" in ended.out


def test_the_shipped_recipe_is_read():
    recipe = load_recipe(["recipe=tiny"], VisualizeRecipe, folder=RECIPES / "visualize")
    left = {f"outputs/demo/seed0/{name}" for name in ("base", *RUNS)}
    assert list(recipe.shown_models()) == ["base", "sft", "cctuning"]
    assert {*recipe.shown_models().values(), *recipe.runs} == left
    assert all(Path(name).is_file() for name in recipe.data)


def test_a_missing_package_is_named_before_any_work(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    ended = of_models(folder, "dry_run=true")
    assert ended.status == 1
    assert 'It comes with: pip install "cctuning[analysis]"' in ended.err


def test_an_interruption_leaves_nothing_behind(folder, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(visualize, "map_model", stop)
    ended = of_models(folder, f"runs={folder / 'cc'}", output=folder / "new")
    assert (ended.status, ended.err.strip()) == (130, "stopped")
    assert not (folder / "new").exists()
