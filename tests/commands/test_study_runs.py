"""A whole study with a tiny model: its commands one by one, and then study.py, which finds them done."""

import json
import re

import pytest

from cctuning.commands import evaluate_model as evaluate
from cctuning.commands import fit_matrix as fit_transform
from cctuning.commands import run_study as study
from cctuning.commands import train_model as train
from cctuning.commands.schemas import StudyRecipe
from cctuning.commands.studies.plan import make_plan
from cctuning.commands.studies.state import states_of
from cctuning.settings.recipe import load_recipe
from cctuning.settings.recipe_files import RECIPES
from tests.json_lines import write_lines
from tests.scripts import succeed, write_base, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*few for a matrix")]
SCRIPTS = {"train": train, "fit": fit_transform, "evaluate": evaluate}


def write_questions(folder):
    (folder / "MKQA").mkdir(parents=True)
    questions = {"sw": "Mji mkuu wa Kenya ni upi?", "ru": "Какая столица Кении?"}
    for language, question in questions.items():
        rows = [
            {"id": id, "prompt": question + "!" * id, "prompt_en": "Capital of Kenya?", "answer": ["Nairobi"]}
            for id in range(3)
        ]
        write_lines(folder / "MKQA" / f"{language}.jsonl", rows)
    return folder


def test_commands_leave_what_the_study_takes_for_done(tmp_path, monkeypatch):
    monkeypatch.chdir(RECIPES.parent)
    base, rows = write_base(tmp_path / "base"), write_rows(tmp_path / "rows.jsonl", count=24)
    questions = write_questions(tmp_path / "questions")
    arguments = [
        "recipe=tiny",
        "inference=[monolingual,bilingual]",
        "pairs=[8]",
        "matrix_errors=true",
        f"runs={tmp_path / 'runs'}",
        f"train=[model_name_or_path={base},data={rows},max_steps=2,total_batch_size=4,per_device_train_batch_size=4]",
        f"evaluate=[data={questions},'languages=[sw,ru]',use_cpu=true,max_new_tokens=2]",
    ]
    steps, study_rows = make_plan(load_recipe(arguments, StudyRecipe, folder=RECIPES / "studies"))
    for number, step in enumerate(steps):
        assert [state.done for state in states_of(steps).values()] == [n < number for n in range(len(steps))]
        succeed(SCRIPTS[step.kind], *step.arguments)
    succeed(study, *arguments)
    table = (tmp_path / "runs" / "studies" / "tiny" / "table.md").read_text()
    for row in study_rows:
        assert row.title in table
    assert "tiny, bilingual - tiny_sft" in table
    errors = json.loads((tmp_path / "runs/tiny/monolingual_8/errors/errors.json").read_text())["benchmarks"]
    assert f"| tiny, monolingual | {errors['MKQA']['mse']:.3g} |" in table
    assert re.search(r"\| tiny, monolingual \| [\d.e-]+ \| [\d.]+ \| [\d.e-]+ \| [\d.]+ \|$", table, re.M)
    assert "| sw |" in (tmp_path / "runs/studies/tiny/languages.md").read_text()
    assert (tmp_path / "runs/studies/tiny/scores.svg").is_file()
    assert not (tmp_path / "runs" / "studies" / "tiny" / "logs").exists()  # nothing had to run
