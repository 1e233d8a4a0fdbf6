"""Studies that name what is not there, or whose folders are damaged."""

from pathlib import Path

from cctuning.training.runs import FINISHED_FILE
from tests.hostile.cases import Table

TABLE = Table("study")
row = TABLE.row


def study(folder: Path, *more: str, recipes: str = "llama31_aya_sft,llama31_aya") -> list[str]:
    """Arguments of a study of these recipes."""
    return [f"recipes=[{recipes}]", "runs=runs", *more]


row(
    "an inference that does not exist",
    "inference (on the command line): 'bilingal' … none … did you mean 'bilingual'",
    study,
    "inference=[bilingal]",
    status=2,
)
row(
    "a benchmark that does not exist",
    "benchmark 'xnil' … xnli, … did you mean 'xnli'",
    study,
    "evaluate=[benchmarks=xnil]",
)
row(
    "a launcher that does not exist",
    "llama31_aya_sft/train … program acelerate",
    study,
    "launch.train=acelerate launch",
)
row("a launcher with an open quote", 'launch: "python \'x" … cannot be run', study, "launch.fit=python 'x")


@TABLE.case("output_dir=runs/studies/study … Not a directory")
def a_file_as_the_folder_of_models(folder: Path) -> list[str]:
    (folder / "runs").write_text("x")
    return study(folder)


@TABLE.case("runs/llama31_aya_sft … training_report.json … runs/llama31_aya_sft/recipe.yaml … runs=")
def a_finished_training_without_its_recipe(folder: Path) -> list[str]:
    (folder / "runs/llama31_aya_sft").mkdir(parents=True)
    (folder / "runs/llama31_aya_sft" / FINISHED_FILE).write_text("{}")
    return study(folder)
