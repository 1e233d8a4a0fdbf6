"""Recipes of evaluate.py, and folders that it should go on in."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

from cctuning.commands import evaluate_model as evaluate
from tests.hostile import models
from tests.hostile.benchmark_cases import MKQA, OTHER, arguments
from tests.hostile.cases import Group
from tests.hostile.data_cases import lines
from tests.scripts import call

CASES = Group("Evaluations")
case = functools.partial(CASES.case, script="evaluate")


def asked(folder: Path, *more: str, model: str = "base") -> list[str]:
    """An evaluation on two good questions; what is given last counts."""
    (folder / "data/MKQA").mkdir(parents=True)
    (folder / "data/MKQA/sw.jsonl").write_text(lines(MKQA, OTHER))
    keys = {argument.partition("=")[0] for argument in more}
    return [
        *(one for one in arguments(folder, model=model) if one.partition("=")[0] not in keys),
        *more,
    ]


# --- Recipes ------------------------------------------------------------------------------------------------


@case(
    "a recipe of evaluate.py that does not exist",
    error=("no recipe 'xnil' (on the command line) in …; did you mean 'xnli'?\navailable: …"),
    status=2,
)
def unknown_recipe(folder: Path) -> list[str]:
    return ["recipe=xnil", "model=base"]


@case(
    "a key that does not exist",
    error="unknown key 'prompt' (on the command line); did you mean 'prompting'?",
    status=2,
)
def unknown_key(folder: Path) -> list[str]:
    return asked(folder, "prompt=cot")


@case("a benchmark that does not exist", error="benchmark 'xnil' is not one of xnli, …; did you mean 'xnli'?")
def unknown_benchmark(folder: Path) -> list[str]:
    return asked(folder, "benchmarks=[mkqa,xnil]")


@case("no benchmark", error="benchmarks (on the command line): benchmarks=[] names none to ask", status=2)
def no_benchmark(folder: Path) -> list[str]:
    return asked(folder, "benchmarks=[]")


@case(
    "a benchmark twice",
    error="benchmarks (on the command line): benchmarks=['mkqa', 'MKQA'] holds 'mkqa' twice",
    status=2,
)
def benchmark_twice(folder: Path) -> list[str]:
    return asked(folder, "benchmarks=[mkqa,MKQA]")


@case(
    "a language twice",
    error="languages (on the command line): languages=['sw', 'sw'] holds 'sw' twice",
    status=2,
)
def language_twice(folder: Path) -> list[str]:
    return asked(folder, "languages=[sw,sw]")


@case(
    "an inference mode that does not exist",
    error=(
        "inference (on the command line): 'bilingal' is not one of auto | monolingual | bilingual | "
        "translated | none; did you mean 'bilingual'?"
    ),
    status=2,
)
def unknown_inference(folder: Path) -> list[str]:
    return asked(folder, "inference=bilingal")


@case(
    "no questions at all",
    error="limit (on the command line): 0 is out of range: it must be at least 1",
    status=2,
)
def no_questions(folder: Path) -> list[str]:
    return asked(folder, "limit=0")


@case(
    "a model to evaluate that does not exist",
    error="model=bas/e: there is no such folder, and as a hub name: …",
)
def no_model(folder: Path) -> list[str]:
    return asked(folder, "model=bas/e")


@case(
    "bilingual inference with a plain model",
    error="inference=bilingual needs a connected model, and base is a plain one: set inference=none",
)
def plain_bilingual(folder: Path) -> list[str]:
    return asked(folder, "inference=bilingual")


@case(
    "monolingual inference without a Transform Matrix",
    error=(
        "inference=monolingual needs a Transform Matrix, and run has none: evaluate "
        "model=run/monolingual, which python fit_transform.py model=run makes"
    ),
)
def no_matrix(folder: Path) -> list[str]:
    models.run(folder)
    return asked(folder, "inference=monolingual", model="run")


@case(
    "a run, and no word of how to ask it",
    error=(
        "run has a Decision Maker and no Transform Matrix: evaluate model=run/monolingual, which "
        "python fit_transform.py model=run makes, or set inference=bilingual, translated or none"
    ),
)
def run_auto(folder: Path) -> list[str]:
    models.run(folder)
    return asked(folder, model="run")


def translated(folder: Path, **files: str) -> list[str]:
    """An evaluation with the translations of a file."""
    models.run(folder)
    run = asked(folder, "inference=translated", "translator.kind=file", model="run")
    (folder / "pairs.jsonl").write_text(lines({"text": "Mji?", "translation": "City?"}))
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_jsonl", ".jsonl")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return [*run, "translator.model=pairs.jsonl"]


@case(
    "a file of translations that does not exist",
    error="pears.jsonl does not exist; did you mean 'pairs.jsonl'?",
)
def no_translations(folder: Path) -> list[str]:
    return [*translated(folder)[:-1], "translator.model=pears.jsonl"]


@case(
    "no file of translations",
    error="translator.kind=file needs translator.model=: a file of translations",
)
def unnamed_translations(folder: Path) -> list[str]:
    return translated(folder)[:-1]


@case(
    "a broken cache of translations",
    error=(
        "out/translations.jsonl, line 1: is no line of a translation cache: take it away, or name "
        "another file"
    ),
)
def broken_cache(folder: Path) -> list[str]:
    return translated(folder, out__translations_jsonl='{"text": "Mji?"\n')


# --- Output folders -----------------------------------------------------------------------------------------


def begun(folder: Path) -> list[str]:
    """A finished evaluation in `out`, and the arguments that made it."""
    run = asked(folder)
    assert call(evaluate, *run).status == 0
    return run


def part(folder: Path, change: Callable[[list[str]], list[str]]) -> list[str]:
    """An evaluation that was stopped behind its first batch, the lines of its responses changed."""
    run = [*begun(folder), "batch_size=1"]
    sample = json.loads((folder / "out/samples_mkqa_sw.jsonl").read_text().splitlines()[0])
    (folder / "out/samples_mkqa_sw.jsonl").unlink()
    kept = ("doc_id", "last_tokens", "new_tokens", "stopped", "connected", "layer")
    row = {**{key: sample[key] for key in kept}, "response": "x", "left_in_batch": 0}
    path = folder / "out/samples_mkqa_sw.jsonl.part"
    path.write_text("\n".join(change([json.dumps(row)])) + "\n")
    return run


def cut(path: Path) -> None:
    """Takes the end of the last line away."""
    path.write_bytes(path.read_bytes()[:-10])


@case("a file as the output folder", error="output_dir=data/MKQA/sw.jsonl cannot be written: File exists")
def output_file(folder: Path) -> list[str]:
    return asked(folder, "output_dir=data/MKQA/sw.jsonl")


@case(
    "the model's folder as the output folder",
    error=(
        "base holds config.json, and no evaluation.json that says evaluate.py wrote it: set another "
        "output_dir"
    ),
)
def output_model(folder: Path) -> list[str]:
    return asked(folder, "output_dir=base")


@case(
    "a run's folder as the output folder",
    error=(
        "run holds config.json, and no evaluation.json that says evaluate.py wrote it: set another output_dir"
    ),
)
def output_run(folder: Path) -> list[str]:
    models.run(folder)
    return asked(folder, "output_dir=run", "resume=never")


@case(
    "a folder with results of something else",
    error=(
        "out holds results.json, and no evaluation.json that says evaluate.py wrote it: set another "
        "output_dir"
    ),
)
def output_foreign(folder: Path) -> list[str]:
    run = asked(folder)
    (folder / "out").mkdir()
    (folder / "out/results.json").write_text("{}")
    return run


@case(
    "half an `evaluation.json`",
    error=(
        "out/evaluation.json was not written by evaluate.py or is damaged: set another output_dir, or"
        " resume=never"
    ),
)
def settings_halved(folder: Path) -> list[str]:
    run = begun(folder)
    models.halve(folder / "out/evaluation.json")
    return run


@case(
    "samples without `evaluation.json`",
    error=(
        "out holds samples_mkqa_sw.jsonl and no evaluation.json that says how it was made: set "
        "another output_dir, or resume=never to remove it"
    ),
)
def settings_missing(folder: Path) -> list[str]:
    run = begun(folder)
    (folder / "out/evaluation.json").unlink()
    return run


@case(
    "samples of other questions",
    error=(
        "out holds an evaluation with other settings: the questions of mkqa_sw are others. Set "
        "another output_dir, or resume=never to ask everything anew"
    ),
)
def other_questions(folder: Path) -> list[str]:
    run = begun(folder)
    (folder / "data/MKQA/sw.jsonl").write_text(lines(MKQA, {**OTHER, "answer": ["Athi"]}))
    return run


@case(
    "samples of another setting",
    error=(
        "out holds an evaluation with other settings: prompting was 'original' and is 'cot'; the "
        "questions of mkqa_sw are others. Set another output_dir, or resume=never to ask everything "
        "anew"
    ),
)
def other_settings(folder: Path) -> list[str]:
    return [*begun(folder), "prompting=cot"]


@case(
    "a broken line in a finished file of samples",
    error=(
        "out/samples_mkqa_sw.jsonl, line 2: is broken JSON at column …. Take the file away, and "
        "its questions are asked again"
    ),
)
def sample_broken(folder: Path) -> list[str]:
    run = begun(folder)
    cut(folder / "out/samples_mkqa_sw.jsonl")
    return run


@case(
    "a sample without its response",
    error=(
        "out/samples_mkqa_sw.jsonl, line 2: resps: is missing. Take the file away, and its questions "
        "are asked again"
    ),
)
def sample_without_response(folder: Path) -> list[str]:
    run = begun(folder)
    path = folder / "out/samples_mkqa_sw.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(lines(rows[0], {key: rows[1][key] for key in rows[1] if key != "resps"}))
    return run


@case(
    "a broken line among the responses of a stopped evaluation",
    error=(
        "out/samples_mkqa_sw.jsonl.part, line 1: is no line of responses: set another output_dir, or "
        "resume=never to ask everything anew"
    ),
)
def part_broken(folder: Path) -> list[str]:
    return part(folder, lambda rows: [rows[0][:20], *rows])


@case(
    "a response that is no object",
    error=(
        "out/samples_mkqa_sw.jsonl.part, line 1: is no line of responses: set another output_dir, or "
        "resume=never to ask everything anew"
    ),
)
def part_no_object(folder: Path) -> list[str]:
    return part(folder, lambda rows: ["3", *rows])


@case(
    "a response without its text",
    error=(
        "out/samples_mkqa_sw.jsonl.part, line 1: is no line of responses: set another output_dir, or "
        "resume=never to ask everything anew"
    ),
)
def part_without_text(folder: Path) -> list[str]:
    return part(folder, lambda rows: [rows[0].replace('"response"', '"answer"')])
