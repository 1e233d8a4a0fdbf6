"""Comparisons of result folders that are damaged, or that cannot be compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile import models
from tests.hostile.cases import Table
from tests.hostile.data_cases import lines
from tests.hostile.evaluation_cases import cut
from tests.samples import samples, write_evaluation

TABLE = Table("compare")
row = TABLE.row
SAMPLES = "samples_xnli_sw.jsonl"


def compared(
    folder: Path, *more: str, results: str = "a,b", change: Callable[[Path], Any] = lambda path: None
) -> list[str]:
    """A comparison of `a` and `b`, the second changed."""
    for number, name in enumerate("ab"):
        made = samples("xnli", ("sw",), count=4, seed=number)
        write_evaluation(folder / name, made, model=f"outputs/{name}")
    change(folder / "b")
    return [f"results=[{results}]", "output_dir=out", "resamples=1000", *more]


def edited(*keys: str, value: Any = None) -> Callable[[Path], None]:
    """Sets an entry of results.json, or takes it away."""

    def change(folder: Path) -> None:
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

    return change


def replaced(change: Callable[[str], str]) -> Callable[[Path], None]:
    """Changes the text of the samples."""

    def rewrite(folder: Path) -> None:
        (folder / SAMPLES).write_text(change((folder / SAMPLES).read_text()))

    return rewrite


def score_above_one(text: str) -> str:
    rows = [json.loads(line) for line in text.splitlines()]
    rows[1]["scores"]["accuracy,paper"] = 40.0
    return lines(*rows)


# --- Folders ------------------------------------------------------------------------------------------------

row("a folder that does not exist", "bb does not exist … did you mean 'b'", compared, results="a,bb")
row("one folder", "two result folders … 1", compared, results="a")
row("a folder twice", "a … twice", compared, results="a,b,./a")


@TABLE.case("base … model's folder … model=base output_dir=")
def the_folder_of_a_model(folder: Path) -> list[str]:
    models.base(folder)
    return compared(folder, results="a,base")


def with_c(folder: Path, benchmark: str, count: int) -> list[str]:
    """A comparison of `a` with samples of another benchmark, or more of them."""
    write_evaluation(folder / "c", samples(benchmark, ("sw",), count=count))
    return compared(folder, results="a,c")


row("no task in common", "no task in common … a: xnli_sw … xcopa_sw", with_c, "xcopa", 4)
row("other questions", "xnli_sw: … 4, 5 … common_only=true … 4", with_c, "xnli", 6)

# --- Damaged folders ----------------------------------------------------------------------------------------

CHANGED = "b/results.json … evaluate … changed"

row(
    "an evaluation that has not finished",
    "b … not finished … command again",
    compared,
    change=lambda path: (path / "results.json").unlink(),
)
row(
    "half a results.json",
    "b/results.json … cannot be read",
    compared,
    change=lambda path: models.halve(path / "results.json"),
)
row("a list as results.json", CHANGED, compared, change=lambda path: (path / "results.json").write_text("[]"))
row("no config in results.json", CHANGED, compared, change=edited("config"))
row("no counts in results.json", CHANGED, compared, change=edited("n-samples", "xnli_sw"))
row(
    "text for a score in results.json",
    CHANGED,
    compared,
    change=edited("groups", "xnli", "accuracy,paper", value="0.5"),
)
row(
    "no samples",
    f"b/{SAMPLES} is missing … results.json",
    compared,
    change=lambda path: (path / SAMPLES).unlink(),
)
row(
    "fewer samples than counted",
    f"b/{SAMPLES} … 3 samples … results.json … 4",
    compared,
    change=replaced(lambda text: "".join(text.splitlines(keepends=True)[:3])),
)
row(
    "a broken line of samples",
    f"b/{SAMPLES}, line 4: … JSON … column",
    compared,
    change=lambda path: cut(path / SAMPLES),
)
row(
    "a score above 1",
    f"b/{SAMPLES}, line 2: scores, accuracy,paper: … from 0 to 1",
    compared,
    change=replaced(score_above_one),
)
row(
    "no score in common",
    "xnli_sw: … no score in common",
    compared,
    change=replaced(
        lambda text: text.replace("accuracy,paper", "accuracy,own").replace("f1,strict", "f1,own")
    ),
)

# --- Settings -----------------------------------------------------------------------------------------------

row("a name for one of two models", "names … 1 … results … 2", compared, "names=[mine]")
row(
    "a score that none has",
    "metric=stric … accuracy,paper; f1,strict … did you mean 'f1,strict'",
    compared,
    "metric=stric",
)
row(
    "a file as the output folder",
    "out: File exists",
    compared,
    change=lambda path: (path.parent / "out").write_text("x"),
)
