"""Recipes of evaluate.py, folders that it should go on in, comparisons and studies."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate
from cctuning.runs import FINISHED_FILE
from tests.hostile import models
from tests.hostile.benchmark_cases import MKQA, OTHER, arguments
from tests.hostile.cases import Group
from tests.hostile.data_cases import lines
from tests.samples import samples, write_evaluation
from tests.scripts import call

CASES = Group("Evaluations, comparisons and studies")
case = functools.partial(CASES.case, script="evaluate")
compare_case = functools.partial(CASES.case, script="compare")
study_case = functools.partial(CASES.case, script="study")


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


# --- compare.py ---------------------------------------------------------------------------------------------


def compared(folder: Path, change: Callable[[Path], Any] = lambda path: None, *more: str) -> list[str]:
    """A comparison of `a` and `b`, the second changed."""
    for number, name in enumerate("ab"):
        made = samples("xnli", ("sw",), count=4, seed=number)
        write_evaluation(folder / name, made, model=f"outputs/{name}")
    change(folder / "b")
    return ["results=[a,b]", "output_dir=out", "resamples=1000", *more]


def edited(folder: Path, *keys: str, value: Any = None) -> None:
    """Sets an entry of results.json, or takes it away."""
    path = folder / "results.json"
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(json.dumps(content))


@compare_case("a result folder that does not exist", error="bb does not exist; did you mean 'b'?")
def no_results(folder: Path) -> list[str]:
    return [*compared(folder)[1:], "results=[a,bb]"]


@compare_case("one result folder", error="a comparison needs two result folders or more, not 1")
def one_folder(folder: Path) -> list[str]:
    return [*compared(folder)[1:], "results=[a]"]


@compare_case("a result folder twice", error="FOLDER/a is there twice")
def folder_twice(folder: Path) -> list[str]:
    return [*compared(folder)[1:], "results=[a,b,./a]"]


@compare_case(
    "a model's folder",
    error="base is a model's folder: python evaluate.py model=base output_dir=... writes results",
)
def model_folder(folder: Path) -> list[str]:
    models.base(folder)
    return [*compared(folder)[1:], "results=[a,base]"]


@compare_case(
    "an evaluation that has not finished",
    error=("b holds an evaluation that has not finished: give its evaluate.py command again, and it goes on"),
)
def unfinished(folder: Path) -> list[str]:
    return compared(folder, lambda path: (path / "results.json").unlink())


@compare_case("half a `results.json`", error="b/results.json cannot be read: …")
def results_halved(folder: Path) -> list[str]:
    return compared(folder, lambda path: models.halve(path / "results.json"))


@compare_case(
    "a list in `results.json`",
    error="b/results.json was not written by evaluate.py, or changed since: …",
)
def results_list(folder: Path) -> list[str]:
    return compared(folder, lambda path: (path / "results.json").write_text("[]"))


@compare_case(
    "no `config` in `results.json`",
    error="b/results.json was not written by evaluate.py, or changed since: …",
)
def results_without_config(folder: Path) -> list[str]:
    return compared(folder, lambda path: edited(path, "config"))


@compare_case(
    "no counts in `results.json`",
    error="b/results.json was not written by evaluate.py, or changed since: …",
)
def results_without_counts(folder: Path) -> list[str]:
    return compared(folder, lambda path: edited(path, "n-samples", "xnli_sw"))


@compare_case(
    "text for a score in `results.json`",
    error="b/results.json was not written by evaluate.py, or changed since: …",
)
def score_text(folder: Path) -> list[str]:
    return compared(folder, lambda path: edited(path, "groups", "xnli", "accuracy,paper", value="0.5"))


@compare_case(
    "no file of samples",
    error="b/samples_xnli_sw.jsonl is missing, and results.json beside it names its task",
)
def samples_missing(folder: Path) -> list[str]:
    return compared(folder, lambda path: (path / "samples_xnli_sw.jsonl").unlink())


@compare_case(
    "fewer samples than were counted",
    error="b/samples_xnli_sw.jsonl holds 3 samples, and results.json counts 4",
)
def samples_fewer(folder: Path) -> list[str]:
    def shorten(path: Path) -> None:
        file = path / "samples_xnli_sw.jsonl"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))

    return compared(folder, shorten)


@compare_case(
    "a broken line of samples",
    error="b/samples_xnli_sw.jsonl, line 4: is broken JSON at column …: …",
)
def samples_broken(folder: Path) -> list[str]:
    return compared(folder, lambda path: cut(path / "samples_xnli_sw.jsonl"))


@compare_case(
    "a score above 1",
    error=("b/samples_xnli_sw.jsonl, line 2: scores, accuracy,paper: must be a number from 0 to 1 or null"),
)
def score_above_one(folder: Path) -> list[str]:
    def raise_score(path: Path) -> None:
        file = path / "samples_xnli_sw.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        rows[1]["scores"]["accuracy,paper"] = 40.0
        file.write_text(lines(*rows))

    return compared(folder, raise_score)


@compare_case(
    "evaluations without a common benchmark and language",
    error="the result folders have no task in common (a: xnli_sw; made: xcopa_sw)",
)
def no_common_task(folder: Path) -> list[str]:
    run = compared(folder)
    write_evaluation(folder / "c", samples("xcopa", ("sw",), count=4))
    return [*run[1:], "results=[a,c]"]


@compare_case(
    "other questions",
    error=(
        "xnli_sw: not all were asked the questions (2 of made: 4, 5): common_only=true compares the 4"
        " that all were asked"
    ),
)
def other_ids(folder: Path) -> list[str]:
    run = compared(folder)
    write_evaluation(folder / "c", samples("xnli", ("sw",), count=6))
    return [*run[1:], "results=[a,c]"]


@compare_case(
    "evaluations without a common score",
    error="xnli_sw: the result folders have no score in common",
)
def no_common_score(folder: Path) -> list[str]:
    def rename(path: Path) -> None:
        file = path / "samples_xnli_sw.jsonl"
        text = file.read_text()
        file.write_text(text.replace("accuracy,paper", "accuracy,own").replace("f1,strict", "f1,own"))

    return compared(folder, rename)


@compare_case("a name for one of two models", error="names has 1 names, and results 2 folders")
def one_name(folder: Path) -> list[str]:
    return compared(folder, lambda path: None, "names=[mine]")


@compare_case(
    "a score that none has",
    error="metric=stric is none of the scores accuracy,paper; f1,strict; did you mean 'f1,strict'?",
)
def unknown_metric(folder: Path) -> list[str]:
    return compared(folder, lambda path: None, "metric=stric")


@compare_case("a file as the folder of the comparison", error="out: File exists")
def comparison_to_file(folder: Path) -> list[str]:
    return compared(folder, lambda path: (folder / "out").write_text("x"))


# --- study.py -----------------------------------------------------------------------------------------------

STUDY = ["recipes=[llama31_aya_sft,llama31_aya]", "runs=runs"]


@study_case(
    "a study that does not exist",
    error=("no recipe 'tabel1' (on the command line) in …; did you mean 'table1'?\navailable: …"),
    status=2,
)
def unknown_study(folder: Path) -> list[str]:
    return ["recipe=tabel1"]


@study_case(
    "no recipe in a study",
    error="recipes (on the command line): recipes=[] names none to run",
    status=2,
)
def empty_study(folder: Path) -> list[str]:
    return ["recipes=[]", "runs=runs"]


@study_case(
    "a recipe of train.py that does not exist",
    error=(
        "train.py recipe=llama31_aia: no recipe 'llama31_aia' (on the command line) in …; did you "
        "mean 'llama31_aya'?\n"
        "available: …"
    ),
)
def unknown_training(folder: Path) -> list[str]:
    return ["recipes=[llama31_aia]", "runs=runs"]


@study_case(
    "a recipe twice",
    error="two steps would be llama31_aya/train: a study names each recipe, model and way to ask once",
)
def training_twice(folder: Path) -> list[str]:
    return ["recipes=[llama31_aya,llama31_aya]", "runs=runs"]


@study_case(
    "MODEL in a recipe's name, and no models",
    error="recipes=MODEL_aya holds MODEL, and models= names none",
)
def no_models(folder: Path) -> list[str]:
    return ["recipes=[MODEL_aya]", "runs=runs"]


@study_case(
    "models, and no MODEL in a recipe's name",
    error="recipes=llama31_aya_sft lacks MODEL, in whose place the names of models= are put",
)
def no_place_for_models(folder: Path) -> list[str]:
    return [*STUDY, "models=[llama31]"]


@study_case(
    "an inference that a study does not have",
    error=(
        "inference (on the command line): 'bilingal' is not one of monolingual | bilingual | "
        "translated | none; did you mean 'bilingual'?"
    ),
    status=2,
)
def unknown_study_inference(folder: Path) -> list[str]:
    return [*STUDY, "inference=[bilingal]"]


@study_case(
    "a key of a step that does not exist",
    error=(
        "train.py recipe=llama31_aya_sft max_step=3: unknown key 'max_step' (on the command line); "
        "did you mean 'max_steps'?"
    ),
)
def unknown_step_key(folder: Path) -> list[str]:
    return [*STUDY, "train=[max_step=3]"]


@study_case(
    "a benchmark of a study that does not exist",
    error="benchmark 'xnil' is not one of xnli, …; did you mean 'xnli'?",
)
def unknown_study_benchmark(folder: Path) -> list[str]:
    return [*STUDY, "evaluate=[benchmarks=xnil]"]


@study_case(
    "a launcher that does not exist",
    error="llama31_aya_sft/train needs the program acelerate, which is not there",
)
def unknown_launcher(folder: Path) -> list[str]:
    return [*STUDY, "launch.train=acelerate launch"]


@study_case("a launcher with an open quote", error='launch: "python \'x" cannot be run: …')
def open_quote(folder: Path) -> list[str]:
    return [*STUDY, "launch.fit=python 'x"]


@study_case("a file as the folder of the models", error="runs/studies/study/logs: Not a directory")
def runs_file(folder: Path) -> list[str]:
    (folder / "runs").write_text("x")
    return STUDY


@study_case(
    "a finished training without its recipe",
    error=(
        "runs/llama31_aya_sft holds training_report.json, but runs/llama31_aya_sft/recipe.yaml does "
        "not say how it was made (…): remove runs/llama31_aya_sft, or write elsewhere with runs="
    ),
)
def finished_without_recipe(folder: Path) -> list[str]:
    (folder / "runs/llama31_aya_sft").mkdir(parents=True)
    (folder / "runs/llama31_aya_sft" / FINISHED_FILE).write_text("{}")
    return STUDY
