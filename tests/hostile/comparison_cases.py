"""Comparisons of result folders that are damaged, or that cannot be compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.cases import Table
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


# --- Folders ------------------------------------------------------------------------------------------------


def with_c(folder: Path, benchmark: str, count: int) -> list[str]:
    """A comparison of `a` with samples of another benchmark, or more of them."""
    write_evaluation(folder / "c", samples(benchmark, ("sw",), count=count))
    return compared(folder, results="a,c")


row("other questions", "xnli_sw: … 4, 5 … common_only=true … 4", with_c, "xnli", 6)

# --- Damaged folders ----------------------------------------------------------------------------------------

CHANGED = "b/results.json … evaluate … changed"

row("no config in results.json", CHANGED, compared, change=edited("config"))
row("no counts in results.json", CHANGED, compared, change=edited("n-samples", "xnli_sw"))
row(
    "text for a score in results.json",
    CHANGED,
    compared,
    change=edited("groups", "xnli", "accuracy,paper", value="0.5"),
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

row(
    "a file as the output folder",
    "output_dir=out … File exists",
    compared,
    change=lambda path: (path.parent / "out").write_text("x"),
)
