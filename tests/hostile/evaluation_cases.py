"""Recipes of evaluations, and folders that an evaluation should go on in."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.hostile import models
from tests.hostile.benchmark_cases import MKQA, OTHER, arguments
from tests.hostile.cases import Table
from tests.hostile.data_cases import lines
from tests.scripts import call

TABLE = Table("evaluate")
row = TABLE.row
QUESTIONS = "data/MKQA/sw.jsonl"
SAMPLES = "out/samples_mkqa_sw.jsonl"


def asked(folder: Path, *more: str, model: str = "base") -> list[str]:
    """An evaluation on two good questions; what is given last counts."""
    (folder / "data/MKQA").mkdir(parents=True)
    (folder / QUESTIONS).write_text(lines(MKQA, OTHER))
    if model == "run":
        models.run(folder)
    keys = {argument.partition("=")[0] for argument in more}
    return [*(one for one in arguments(folder, model=model) if one.partition("=")[0] not in keys), *more]


# --- Recipes ------------------------------------------------------------------------------------------------

row(
    "a benchmark that does not exist",
    "benchmark 'xnil' … xnli, … did you mean 'xnli'",
    asked,
    "benchmarks=[mkqa,xnil]",
)
row("no benchmark", "benchmarks (on the command line): benchmarks=[]", asked, "benchmarks=[]", status=2)
row(
    "a benchmark twice",
    "benchmarks (on the command line): … 'mkqa' twice",
    asked,
    "benchmarks=[mkqa,MKQA]",
    status=2,
)
row("a language twice", "languages (on the command line): … 'sw' twice", asked, "languages=[sw,sw]", status=2)
row(
    "an inference mode that does not exist",
    "inference (on the command line): 'bilingal' … none … did you mean 'bilingual'",
    asked,
    "inference=bilingal",
    status=2,
)
row("no questions", "limit (on the command line): 0 … at least 1", asked, "limit=0", status=2)
row("a model that does not exist", "model=bas/e: … no such folder … hub", asked, "model=bas/e")
row(
    "bilingual inference with a plain model",
    "inference=bilingual … connected … base … inference=none",
    asked,
    "inference=bilingual",
)
row(
    "monolingual inference without a Transform Matrix",
    "inference=monolingual … Transform Matrix … run … model=run/monolingual",
    asked,
    "inference=monolingual",
    model="run",
)
row(
    "a run, and no word of how to ask it",
    "run … Transform Matrix … model=run/monolingual … inference=bilingual",
    asked,
    model="run",
)


def translated(folder: Path, *more: str) -> list[str]:
    """An evaluation with the translations of a file."""
    (folder / "pairs.jsonl").write_text(lines({"text": "Mji?", "translation": "City?"}))
    return asked(folder, "inference=translated", "translator.kind=file", *more, model="run")


row(
    "translations that do not exist",
    "pears.jsonl does not exist … did you mean 'pairs.jsonl'",
    translated,
    "translator.model=pears.jsonl",
)
row("no file of translations", "translator.kind=file … translator.model=", translated)


@TABLE.case("out/translations.jsonl, line 1: … translation cache")
def a_broken_cache_of_translations(folder: Path) -> list[str]:
    (folder / "out").mkdir()
    (folder / "out/translations.jsonl").write_text('{"text": "Mji?"\n')
    return translated(folder, "translator.model=pairs.jsonl")


# --- Output folders -----------------------------------------------------------------------------------------

FOREIGN = "no evaluation.json … another output_dir"

row(
    "a file as the output folder",
    f"output_dir={QUESTIONS} … cannot be written: File exists",
    asked,
    f"output_dir={QUESTIONS}",
)
row(
    "the model's folder as the output folder", f"base holds config.json … {FOREIGN}", asked, "output_dir=base"
)


@TABLE.case(f"run holds config.json … {FOREIGN}")
def the_folder_of_a_run_as_the_output_folder(folder: Path) -> list[str]:
    models.run(folder)
    return asked(folder, "output_dir=run", "resume=never")


@TABLE.case(f"out holds results.json … {FOREIGN}")
def results_of_something_else(folder: Path) -> list[str]:
    (folder / "out").mkdir()
    (folder / "out/results.json").write_text("{}")
    return asked(folder)


def cut(path: Path) -> None:
    """Takes the end of the last line away."""
    path.write_bytes(path.read_bytes()[:-10])


def begun(folder: Path, *more: str, change: Callable[[Path], object] = lambda folder: None) -> list[str]:
    """A finished evaluation in `out` that was changed, and the arguments that made it."""
    words = asked(folder)
    assert call("evaluate", *words).status == 0
    change(folder)
    return [*words, *more]


def change_line(path: Path, number: int, change: Callable[[str], str]) -> None:
    """Changes one line of a file."""
    rows = path.read_text().splitlines()
    rows[number] = change(rows[number])
    path.write_text("\n".join(rows) + "\n")


def without_response(line: str) -> str:
    return json.dumps({key: value for key, value in json.loads(line).items() if key != "resps"})


row(
    "half an evaluation.json",
    "out/evaluation.json … damaged … resume=never",
    begun,
    change=lambda folder: models.halve(folder / "out/evaluation.json"),
)
row(
    "samples without evaluation.json",
    "out holds samples_mkqa_sw.jsonl … no evaluation.json … resume=never",
    begun,
    change=lambda folder: (folder / "out/evaluation.json").unlink(),
)
row(
    "samples of other questions",
    "out … other settings: … mkqa_sw … questions … resume=never",
    begun,
    change=lambda folder: (folder / QUESTIONS).write_text(lines(MKQA, {**OTHER, "answer": ["Athi"]})),
)
row(
    "samples of another setting",
    "out … other settings: … prompting: 'original' -> 'cot' … resume=never",
    begun,
    "prompting=cot",
)
row(
    "a broken line of samples",
    f"{SAMPLES}, line 2: … JSON … column … Take the file away",
    begun,
    change=lambda folder: cut(folder / SAMPLES),
)
row(
    "a sample without its response",
    f"{SAMPLES}, line 2: resps: … missing",
    begun,
    change=lambda folder: change_line(folder / SAMPLES, 1, without_response),
)


def part(folder: Path, change: Callable[[str], list[str]]) -> list[str]:
    """An evaluation that was stopped behind its first batch, the line of its response changed."""
    words = begun(folder, "batch_size=1")
    sample = json.loads((folder / SAMPLES).read_text().splitlines()[0])
    (folder / SAMPLES).unlink()
    kept = ("doc_id", "last_tokens", "new_tokens", "stopped", "connected", "layer")
    line = json.dumps({**{key: sample[key] for key in kept}, "response": "x", "left_in_batch": 0})
    (folder / f"{SAMPLES}.part").write_text("\n".join(change(line)) + "\n")
    return words


PART = f"{SAMPLES}.part, line 1: … line of responses … resume=never"

row("a broken line of responses", PART, part, lambda line: [line[:20], line])
row("a response that is no object", PART, part, lambda line: ["3", line])
row("a response without its text", PART, part, lambda line: [line.replace('"response"', '"answer"')])
