"""Comparisons of result folders that are damaged, or that cannot be compared."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile import models
from tests.hostile.cases import Group
from tests.hostile.data_cases import lines
from tests.hostile.evaluation_cases import cut
from tests.samples import samples, write_evaluation

CASES = Group("Comparisons")
case = functools.partial(CASES.case, script="compare")


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


@case("a result folder that does not exist", error="bb does not exist; did you mean 'b'?")
def no_results(folder: Path) -> list[str]:
    return [*compared(folder)[1:], "results=[a,bb]"]


@case("one result folder", error="a comparison needs two result folders or more, not 1")
def one_folder(folder: Path) -> list[str]:
    return [*compared(folder)[1:], "results=[a]"]


@case("a result folder twice", error="FOLDER/a is there twice")
def folder_twice(folder: Path) -> list[str]:
    return [*compared(folder)[1:], "results=[a,b,./a]"]


@case(
    "a model's folder",
    error="base is a model's folder: python evaluate.py model=base output_dir=... writes results",
)
def model_folder(folder: Path) -> list[str]:
    models.base(folder)
    return [*compared(folder)[1:], "results=[a,base]"]


@case(
    "an evaluation that has not finished",
    error=("b holds an evaluation that has not finished: give its evaluate.py command again, and it goes on"),
)
def unfinished(folder: Path) -> list[str]:
    return compared(folder, lambda path: (path / "results.json").unlink())


@case("half a `results.json`", error="b/results.json cannot be read: …")
def results_halved(folder: Path) -> list[str]:
    return compared(folder, lambda path: models.halve(path / "results.json"))


@case(
    "a list in `results.json`",
    error="b/results.json was not written by evaluate.py, or changed since: …",
)
def results_list(folder: Path) -> list[str]:
    return compared(folder, lambda path: (path / "results.json").write_text("[]"))


@case(
    "no `config` in `results.json`",
    error="b/results.json was not written by evaluate.py, or changed since: …",
)
def results_without_config(folder: Path) -> list[str]:
    return compared(folder, lambda path: edited(path, "config"))


@case(
    "no counts in `results.json`",
    error="b/results.json was not written by evaluate.py, or changed since: …",
)
def results_without_counts(folder: Path) -> list[str]:
    return compared(folder, lambda path: edited(path, "n-samples", "xnli_sw"))


@case(
    "text for a score in `results.json`",
    error="b/results.json was not written by evaluate.py, or changed since: …",
)
def score_text(folder: Path) -> list[str]:
    return compared(folder, lambda path: edited(path, "groups", "xnli", "accuracy,paper", value="0.5"))


@case(
    "no file of samples",
    error="b/samples_xnli_sw.jsonl is missing, and results.json beside it names its task",
)
def samples_missing(folder: Path) -> list[str]:
    return compared(folder, lambda path: (path / "samples_xnli_sw.jsonl").unlink())


@case(
    "fewer samples than were counted",
    error="b/samples_xnli_sw.jsonl holds 3 samples, and results.json counts 4",
)
def samples_fewer(folder: Path) -> list[str]:
    def shorten(path: Path) -> None:
        file = path / "samples_xnli_sw.jsonl"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))

    return compared(folder, shorten)


@case(
    "a broken line of samples",
    error="b/samples_xnli_sw.jsonl, line 4: is broken JSON at column …: …",
)
def samples_broken(folder: Path) -> list[str]:
    return compared(folder, lambda path: cut(path / "samples_xnli_sw.jsonl"))


@case(
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


@case(
    "evaluations without a common benchmark and language",
    error="the result folders have no task in common (a: xnli_sw; made: xcopa_sw)",
)
def no_common_task(folder: Path) -> list[str]:
    run = compared(folder)
    write_evaluation(folder / "c", samples("xcopa", ("sw",), count=4))
    return [*run[1:], "results=[a,c]"]


@case(
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


@case(
    "evaluations without a common score",
    error="xnli_sw: the result folders have no score in common",
)
def no_common_score(folder: Path) -> list[str]:
    def rename(path: Path) -> None:
        file = path / "samples_xnli_sw.jsonl"
        text = file.read_text()
        file.write_text(text.replace("accuracy,paper", "accuracy,own").replace("f1,strict", "f1,own"))

    return compared(folder, rename)


@case("a name for one of two models", error="names has 1 names, and results 2 folders")
def one_name(folder: Path) -> list[str]:
    return compared(folder, lambda path: None, "names=[mine]")


@case(
    "a score that none has",
    error="metric=stric is none of the scores accuracy,paper; f1,strict; did you mean 'f1,strict'?",
)
def unknown_metric(folder: Path) -> list[str]:
    return compared(folder, lambda path: None, "metric=stric")


@case("a file as the folder of the comparison", error="out: File exists")
def comparison_to_file(folder: Path) -> list[str]:
    return compared(folder, lambda path: (folder / "out").write_text("x"))
