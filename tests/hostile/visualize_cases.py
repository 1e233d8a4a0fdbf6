"""What cannot be drawn: models, sentences, evaluations and runs that lack what a figure needs."""

from pathlib import Path

from tests.hostile import models
from tests.hostile.cases import Table
from tests.hostile.data_cases import lines
from tests.json_lines import write_lines
from tests.samples import samples, write_evaluation

TABLE = Table("visualize")
row = TABLE.row

KISUMU = {"language": "sw", "instruction": "Kisumu?", "instruction_en": "Where is Kisumu?", "output": "Kenya"}
LIMA = {"language": "sw", "instruction": "Lima?", "instruction_en": "Where is Lima?", "output": "Peru"}


def words(folder: Path, *given: str) -> list[str]:
    """These arguments."""
    return list(given)


# --- Representations ----------------------------------------------------------------------------------------


def mapped(
    folder: Path, *more: str, rows: tuple[dict[str, str], ...] = (KISUMU, LIMA), model: str = "base"
) -> list[str]:
    """Representations by a plain model of these rows."""
    models.base(folder)
    (folder / "rows.jsonl").write_text(lines(*rows))
    return [f"models.base={model}", "data=rows.jsonl", "use_cpu=true", "output_dir=out", *more]


NO_SENTENCES = "models need sentences … data=[...] … benchmark=NAME"

row("nothing to draw", "models, results and runs … nothing to draw", words, "output_dir=out", status=2)
row(
    "a place for no model", "unknown key 'models.cc' (on the command line)", words, "models.cc=base", status=2
)
row("models without sentences", NO_SENTENCES, words, "models.base=base", status=2)
row("sentences from two places", NO_SENTENCES, mapped, "benchmark=xnli", status=2)
row("a model that does not exist", "models.base=bass: … no such folder … hub", mapped, model="bass")
row(
    "rows without their language",
    "no text has a language",
    mapped,
    rows=tuple({key: row[key] for key in row if key != "language"} for row in (KISUMU, LIMA)),
)
row("a layer that the model does not have", "layer=3 … 3 layers … models.base=base", mapped, "layer=3")
row(
    "a sentence beyond the model's positions",
    "a sentence has … tokens … 512 … 'x x x",
    mapped,
    rows=(KISUMU, LIMA | {"instruction": "x " * 600}),
)


@TABLE.case("inference=monolingual … Transform Matrix … run … model=run/monolingual")
def monolingual_inference_without_a_matrix(folder: Path) -> list[str]:
    models.run(folder)
    return mapped(folder, "models.cctuning=run", "inference=monolingual")


@TABLE.case("data/benchmarks … folder of benchmarks … XNLI/ar.jsonl")
def a_benchmark_that_is_not_in_the_folder(folder: Path) -> list[str]:
    models.base(folder)
    return ["models.base=base", "benchmark=xnli", "output_dir=out"]


# --- Chosen layers ------------------------------------------------------------------------------------------


def chosen(folder: Path, results: str) -> list[str]:
    """The layers of an evaluation."""
    write_evaluation(folder / "a", samples("xnli", ("sw",), count=4), inference="none")
    return [f"results=[{results}]", "output_dir=out"]


row("an evaluation that does not exist", "aa does not exist … did you mean 'a'", chosen, results="aa")
row("an evaluation twice", "results (on the command line): … 'a' twice", words, "results=[a,a]", status=2)

# --- Losses -------------------------------------------------------------------------------------------------


def logged(folder: Path, *content: object, runs: str = "a", more: tuple[str, ...] = ()) -> list[str]:
    """The losses of a run with these lines of metrics."""
    (folder / "a").mkdir()
    write_lines(folder / "a" / "metrics.jsonl", content)
    return [f"runs=[{runs}]", "output_dir=out", *more]


LOSS = {"step": 1, "loss": 1.0}

row("a run that does not exist", "aa does not exist … did you mean 'a'", logged, runs="aa")
for line in ({}, [], None):
    row(f"{line} in place of a loss", "a/metrics.jsonl, line 2: …", logged, LOSS, line, LOSS)
row("tokens that were not logged", "runs: a … tokens … x=step", logged, LOSS, more=("x=tokens",))
