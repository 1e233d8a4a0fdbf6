"""Studies that name what is not there, or whose folders are damaged."""

from __future__ import annotations

import functools
from pathlib import Path

from cctuning.training.runs import FINISHED_FILE
from tests.hostile.cases import Group

CASES = Group("Studies")
case = functools.partial(CASES.case, script="study")

STUDY = ["recipes=[llama31_aya_sft,llama31_aya]", "runs=runs"]


@case(
    "a study that does not exist",
    error=("no recipe 'tabel1' (on the command line) in …; did you mean 'table1'?\navailable: …"),
    status=2,
)
def unknown_study(folder: Path) -> list[str]:
    return ["recipe=tabel1"]


@case(
    "no recipe in a study",
    error="recipes (on the command line): recipes=[] names none to run",
    status=2,
)
def empty_study(folder: Path) -> list[str]:
    return ["recipes=[]", "runs=runs"]


@case(
    "a recipe of train.py that does not exist",
    error=(
        "train.py recipe=llama31_aia: no recipe 'llama31_aia' (on the command line) in …; did you "
        "mean 'llama31_aya'?\n"
        "available: …"
    ),
)
def unknown_training(folder: Path) -> list[str]:
    return ["recipes=[llama31_aia]", "runs=runs"]


@case(
    "a recipe twice",
    error="two steps would be llama31_aya/train: a study names each recipe, model and way to ask once",
)
def training_twice(folder: Path) -> list[str]:
    return ["recipes=[llama31_aya,llama31_aya]", "runs=runs"]


@case(
    "MODEL in a recipe's name, and no models",
    error="recipes=MODEL_aya holds MODEL, and models= names none",
)
def no_models(folder: Path) -> list[str]:
    return ["recipes=[MODEL_aya]", "runs=runs"]


@case(
    "models, and no MODEL in a recipe's name",
    error="recipes=llama31_aya_sft lacks MODEL, in whose place the names of models= are put",
)
def no_place_for_models(folder: Path) -> list[str]:
    return [*STUDY, "models=[llama31]"]


@case(
    "an inference that a study does not have",
    error=(
        "inference (on the command line): 'bilingal' is not one of monolingual | bilingual | "
        "translated | none; did you mean 'bilingual'?"
    ),
    status=2,
)
def unknown_study_inference(folder: Path) -> list[str]:
    return [*STUDY, "inference=[bilingal]"]


@case(
    "a key of a step that does not exist",
    error=(
        "train.py recipe=llama31_aya_sft max_step=3: unknown key 'max_step' (on the command line); "
        "did you mean 'max_steps'?"
    ),
)
def unknown_step_key(folder: Path) -> list[str]:
    return [*STUDY, "train=[max_step=3]"]


@case(
    "a benchmark of a study that does not exist",
    error="benchmark 'xnil' is not one of xnli, …; did you mean 'xnli'?",
)
def unknown_study_benchmark(folder: Path) -> list[str]:
    return [*STUDY, "evaluate=[benchmarks=xnil]"]


@case(
    "a launcher that does not exist",
    error="llama31_aya_sft/train needs the program acelerate, which is not there",
)
def unknown_launcher(folder: Path) -> list[str]:
    return [*STUDY, "launch.train=acelerate launch"]


@case("a launcher with an open quote", error='launch: "python \'x" cannot be run: …')
def open_quote(folder: Path) -> list[str]:
    return [*STUDY, "launch.fit=python 'x"]


@case("a file as the folder of the models", error="runs/studies/study/logs: Not a directory")
def runs_file(folder: Path) -> list[str]:
    (folder / "runs").write_text("x")
    return STUDY


@case(
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
