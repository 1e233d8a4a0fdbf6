"""A Transform Matrix that is measured on the prompts of benchmarks, against its definition."""

import csv
import json

import pytest
import torch

from cctuning.commands.schemas import FitRecipe
from cctuning.training.runs import FIT_REPORT_FILE
from tests.json_lines import write_lines
from tests.questions import PROMPTS, exported_model, run_model
from tests.scripts import call, succeed

pytestmark = pytest.mark.slow
QUESTIONS = {
    "sw": ["Mji mkuu wa Kenya ni upi?", "Rangi ya anga ni ipi?", "Nani?"],
    "ru": ["Какая столица Кении?", "Какого цвета небо?", "Кто?"],
    "en": ["What is the capital?", "What is blue?", "Who?"],  # F is F_en: not measured
}


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "questions" / "MKQA"
    folder.mkdir(parents=True)
    for language, texts in QUESTIONS.items():
        rows = [
            {"id": id, "prompt": text, "prompt_en": QUESTIONS["en"][id], "answer": ["x"]}
            for id, text in enumerate(texts)
        ]
        write_lines(folder / f"{language}.jsonl", rows)
    return folder.parent


@torch.no_grad()
def outputs(model, text):
    """F (L, d) of one prompt, alone."""
    return model.sublayer_outputs(torch.tensor([PROMPTS.prompts_ids([text])[0]]))[0]


@pytest.mark.parametrize(("layer", "shape"), [(None, (32, 32)), (1, (33, 32)), (None, (3, 33, 32))])
def test_errors_are_those_of_the_prompts_of_other_languages(data, tmp_path, layer, shape):
    settings = {} if layer is None else {"pooling": "layer", "layer": layer}
    model = exported_model(tmp_path / "model", shape, **settings)
    if layer is not None:  # a fit with layers=chosen
        (tmp_path / "model" / FIT_REPORT_FILE).write_text(json.dumps({"chosen_layer": layer}))
    ended = succeed(
        "fit", f"model={tmp_path / 'model'}", "benchmarks=[mkqa]", f"benchmark_data={data}", "batch_size=2"
    )
    report = json.loads((tmp_path / "model/errors/errors.json").read_text())["benchmarks"]["MKQA"]
    W = model.transform_matrix.weight.detach().mT
    bias = model.transform_matrix.bias.detach() if 33 in shape else 0
    kept = slice(None) if layer is None else [layer]
    english = {id: outputs(model, text)[kept] for id, text in enumerate(QUESTIONS["en"])}
    errors = {
        language: torch.stack(
            [
                (outputs(model, text)[kept][:, None] @ W)[:, 0] + bias - english[id]
                for id, text in enumerate(texts)
            ]
        )
        for language, texts in QUESTIONS.items()
        if language != "en"
    }
    whole = torch.cat(list(errors.values()))
    F_en = torch.stack(list(english.values()))
    assert report["pairs"] == 6
    assert report["mse"] == pytest.approx(float(whole.square().mean()))
    for language, error in errors.items():
        assert report["languages"][language]["mse"] == pytest.approx(float(error.square().mean()))
    variance = 2 * (F_en - F_en.mean(0)).square().sum()
    assert report["r2"] == pytest.approx(float(1 - whole.square().sum() / variance))
    with (tmp_path / "model/errors/errors.csv").open() as file:
        read = {row["language"]: float(row["mse"]) for row in csv.DictReader(file)}
    assert read["mean"] == report["mse"] and set(read) == {"mean", "sw", "ru"}
    assert "MKQA" in ended.out


def test_a_draw_takes_languages_in_turn_and_a_dry_run_writes_nothing(data, tmp_path):
    exported_model(tmp_path / "model")
    arguments = [f"model={tmp_path / 'model'}", "benchmarks=[mkqa]", f"benchmark_data={data}", "pairs=2"]
    ended = call("fit", *arguments, "dry_run=true")
    assert (ended.status, "MKQA: 2 prompts in ru, sw" in ended.out) == (0, True)
    assert not (tmp_path / "model/errors").exists()


def test_a_model_without_a_matrix_is_none_to_measure(data, tmp_path):
    run_model().save_pretrained(tmp_path / "run")
    ended = call("fit", f"model={tmp_path / 'run'}", "benchmarks=[mkqa]", f"benchmark_data={data}")
    assert ended.status == 1 and "needs a Transform Matrix" in ended.err
    with pytest.raises(ValueError, match="model is missing"):
        FitRecipe(benchmarks=["mkqa"])
    with pytest.raises(ValueError, match="ridge= is about a fit"):
        FitRecipe(model="x", benchmarks=["mkqa"], ridge=0.0)
