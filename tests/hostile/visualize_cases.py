"""What visualize.py cannot draw: models, sentences, evaluations and runs that lack what a figure needs."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

from tests.hostile import models
from tests.hostile.cases import Group
from tests.hostile.data_cases import lines
from tests.samples import samples, write_evaluation

CASES = Group("Figures")
case = functools.partial(CASES.case, script="visualize")

KISUMU = {
    "language": "sw",
    "instruction": "Kisumu?",
    "instruction_en": "Where is Kisumu?",
    "output": "Kenya",
}
LIMA = {"language": "sw", "instruction": "Lima?", "instruction_en": "Where is Lima?", "output": "Peru"}


def mapped(folder: Path, *rows: object, more: tuple[str, ...] = (), model: str = "base") -> list[str]:
    """Representations by a plain model of these rows."""
    if model == "base":
        models.base(folder)
    (folder / "rows.jsonl").write_text(lines(*rows))
    return [f"models.base={model}", "data=rows.jsonl", "use_cpu=true", "output_dir=out", *more]


@case(
    "nothing to draw",
    error="models, results and runs are all empty: nothing to draw (--help lists them)",
    status=2,
)
def nothing(folder: Path) -> list[str]:
    return ["output_dir=out"]


@case(
    "a place for a model that does not exist",
    error="unknown key 'models.cc' (on the command line)…",
    status=2,
)
def unknown_place(folder: Path) -> list[str]:
    return ["models.cc=base"]


@case(
    "models without sentences",
    error="models need sentences: name either data=[...], training rows, or benchmark=NAME",
    status=2,
)
def no_sentences(folder: Path) -> list[str]:
    return ["models.base=base"]


@case(
    "sentences from two places",
    error="models need sentences: name either data=[...], training rows, or benchmark=NAME",
    status=2,
)
def two_sources(folder: Path) -> list[str]:
    return [*mapped(folder, KISUMU, LIMA), "benchmark=xnli"]


@case("a model that does not exist", error="models.base=bass: there is no such folder, and as a hub name: …")
def no_model(folder: Path) -> list[str]:
    models.base(folder)
    return mapped(folder, KISUMU, LIMA, model="bass")


@case(
    "a plain model is no CC-Tuning run",
    error=(
        "inference=monolingual needs a Transform Matrix, and run has none: evaluate "
        "model=run/monolingual, which python fit_transform.py model=run makes"
    ),
)
def no_matrix(folder: Path) -> list[str]:
    models.run(folder)
    return [*mapped(folder, KISUMU, LIMA), "models.cctuning=run", "inference=monolingual"]


@case(
    "one sentence",
    error=(
        "1 sentence in all of en, sw, and a comparison needs two or more. Sentences belong together where "
        "their English versions are equal (the fewest in common: en and sw: 1); name languages=[...] that "
        "share more, or other texts"
    ),
)
def one_sentence(folder: Path) -> list[str]:
    return mapped(folder, KISUMU)


@case(
    "languages without common sentences",
    error=(
        "0 sentences in all of sw, tr, and a comparison needs two or more. Sentences belong together where "
        "their English versions are equal (the fewest in common: sw and tr: 0); name languages=[...] that "
        "share more, or other texts"
    ),
)
def nothing_common(folder: Path) -> list[str]:
    return mapped(folder, KISUMU, LIMA | {"language": "tr"}, more=("languages=[sw,tr]",))


@case("a language without rows", error="languages: no texts in 'tr'; there are texts in en (2), sw (2)")
def no_language(folder: Path) -> list[str]:
    return mapped(folder, KISUMU, LIMA, more=("languages=[sw,tr]",))


@case("one language", error="languages: sw alone: a comparison needs two languages or more")
def one_language(folder: Path) -> list[str]:
    return mapped(folder, KISUMU, LIMA, more=("languages=[sw]",))


@case(
    "rows that do not say their language",
    error="no text has a language and an English parallel: nothing to compare",
)
def unknown_language(folder: Path) -> list[str]:
    rows = ({key: value for key, value in row.items() if key != "language"} for row in (KISUMU, LIMA))
    return mapped(folder, *rows)


@case(
    "a layer that the model does not have",
    error="layer=3 is not one of the model's 3 layers: models.base=base",
)
def no_layer(folder: Path) -> list[str]:
    return mapped(folder, KISUMU, LIMA, more=("layer=3",))


@case(
    "a sentence with more tokens than the model has positions",
    error="a sentence has … tokens, and the model positions for 512: 'x x x …'. Choose shorter texts",
)
def too_long(folder: Path) -> list[str]:
    return mapped(folder, KISUMU, LIMA | {"instruction": "x " * 600})


@case(
    "a benchmark that is not in the folder",
    error="data/benchmarks is no folder of benchmarks: …",
)
def no_benchmark(folder: Path) -> list[str]:
    models.base(folder)
    return ["models.base=base", "benchmark=xnli", "output_dir=out"]


# --- Chosen layers ------------------------------------------------------------------------------------------


def chosen(folder: Path, change: Callable[[dict[str, object]], None]) -> list[str]:
    """The layers of an evaluation whose samples were changed."""
    made = samples("xnli", ("sw",), count=4)
    for sample in made["xnli", "sw"]:
        change(sample)
    write_evaluation(folder / "a", made, inference="none")
    return ["results=[a]", "output_dir=out"]


@case(
    "an evaluation without connected answers",
    error="a: no answer has a chosen layer: none was connected (inference=none)",
)
def not_connected(folder: Path) -> list[str]:
    return chosen(folder, lambda sample: sample.update(connected=False, layer=None))


@case(
    "an evaluation of a model that mixes its layers",
    error="a: no answer has a chosen layer: its connection mixes all layers, so none is chosen",
)
def mixed(folder: Path) -> list[str]:
    return chosen(folder, lambda sample: sample.update(layer=None))


@case("an evaluation that does not exist", error="aa does not exist; did you mean 'a'?")
def no_evaluation(folder: Path) -> list[str]:
    chosen(folder, lambda sample: None)
    return ["results=[aa]"]


@case(
    "an evaluation twice",
    error="results (on the command line): results=['a', 'a'] holds 'a' twice",
    status=2,
)
def evaluation_twice(folder: Path) -> list[str]:
    return ["results=[a,a]"]


# --- Losses -------------------------------------------------------------------------------------------------


def logged(folder: Path, *content: object) -> list[str]:
    """The losses of a run with these lines of metrics."""
    (folder / "a").mkdir()
    (folder / "a" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in content))
    return ["runs=[a]", "output_dir=out"]


@case("a run that does not exist", error="aa does not exist; did you mean 'a'?")
def no_run(folder: Path) -> list[str]:
    logged(folder)
    return ["runs=[aa]"]


@case("a model's folder as a run", error="base holds no metrics.jsonl, which train.py writes")
def no_metrics(folder: Path) -> list[str]:
    models.base(folder)
    return ["runs=[base]", "output_dir=out"]


@case(
    "a folder of runs",
    error="outputs holds no metrics.jsonl, which train.py writes; there are runs in a",
)
def folder_of_runs(folder: Path) -> list[str]:
    (folder / "outputs").mkdir()
    logged(folder / "outputs", {"step": 1, "loss": 1.0})
    return ["runs=[outputs]"]


@case("a run that has logged nothing yet", error="a/metrics.jsonl holds no training loss yet")
def no_losses(folder: Path) -> list[str]:
    return logged(folder)


@case("text for a loss", error="a/metrics.jsonl, line 1: loss: is text, must be a number")
def text_loss(folder: Path) -> list[str]:
    return logged(folder, {"step": 1, "loss": "low"})


@case(
    "a run that diverged at once",
    error="a: no loss is finite: the training has diverged from its first step",
)
def diverged(folder: Path) -> list[str]:
    return logged(folder, {"step": 1, "loss": float("nan")})


@case("tokens that were not logged", error="runs: a has not logged how many tokens it read: x=step draws it")
def no_tokens(folder: Path) -> list[str]:
    return [*logged(folder, {"step": 1, "loss": 1.0}), "x=tokens"]
