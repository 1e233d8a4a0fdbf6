"""The benchmark of the sweep as a command, at sizes of no use to anybody."""

import json
import sys

import pytest
import torch

from benchmarks import transplant, transplant_rivals
from benchmarks.transplant import all_pairs, make_model, make_task
from benchmarks.transplant_rivals import with_hooks
from tests.analysis import naive

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
SIZES = {"prompt-lengths": 8, "new-tokens": 3, "repeats": 1, "sample": 2}


@pytest.fixture(autouse=True)
def no_libraries(monkeypatch):
    """As where they are not installed, wherever the tests run."""
    monkeypatch.setattr(transplant_rivals, "find_spec", lambda name: None)


def run(monkeypatch, folder, *arguments):
    monkeypatch.chdir(folder)
    sizes = [f"--{name}={size}" for name, size in SIZES.items()]
    monkeypatch.setattr(sys, "argv", ["benchmarks.transplant", "--layers", "2", "3", *sizes, *arguments])
    transplant.main()
    return json.loads((folder / "outputs/benchmarks/transplant.json").read_text())["results"]


def test_on_a_cpu(monkeypatch, tmp_path, capsys):
    results = run(monkeypatch, tmp_path, "--hidden", "64", "--rows", "3")
    assert [(row["layers"], row["prompt"]) for row in results] == [(2, 8), (3, 8)]
    for row in results:
        assert row["token_forwards"] <= row["most_token_forwards"] == 3 * row["layers"] ** 2 + 16
        assert [rival["timed_pairs"] for rival in row["rivals"]] == [2, 3]
        assert all(rival["same_answers"] == rival["timed_pairs"] for rival in row["rivals"])
        assert set(row["peak_bytes"]) == {"sweep", "hook", "hook, 3 at once"}
    printed = capsys.readouterr().out
    assert "pip install nnsight" in printed
    assert "GPU-hours" not in printed


def test_the_shape_of_the_paper_s_models(monkeypatch, tmp_path, capsys):
    arguments = ("--shape", "llama-7b", "--hidden", "128", "--rows", "1", "--dtype", "bfloat16")
    results = run(monkeypatch, tmp_path, *arguments)
    assert {row["dtype"] for row in results} == {"bfloat16"}
    assert results[0]["model_bytes"] < results[1]["model_bytes"]
    assert capsys.readouterr().out.count("6,400 GPU-hours") == 2


def test_the_7b_shape_is_llama_2_s():
    from benchmarks.llama import llama_7b_config

    with torch.device("meta"):
        model = transplant.LlamaForCausalLM(llama_7b_config())
    assert model.num_parameters() == 6_738_415_616


@pytest.mark.parametrize("rows", [1, 4])
def test_hooks_are_the_naive_transplants(rows):
    model = make_model("small", 64, 3, CPU, torch.float64)
    task = make_task(model, 6, 4)
    expected = naive.grid(model, task.source, task.target, "ffn", 4)
    assert with_hooks(task, rows)(all_pairs(3)).tolist() == expected.tolist()
    assert len(expected.unique(dim=0)) > 3


def test_other_answers_stop_the_benchmark(monkeypatch):
    def off_by_one(task):
        return lambda pairs: with_hooks(task)([*pairs[1:], pairs[0]])

    monkeypatch.setattr(transplant, "BySweep", off_by_one)
    with pytest.raises(RuntimeError, match="the sweep wrote"):
        transplant.check(CPU)
