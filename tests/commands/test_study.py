"""study.py as a command. Its steps are run by a stand-in that writes what the scripts would write."""

import json
import os
import sys

import pytest
import yaml

from cctuning.commands import run_study as study
from cctuning.commands.schemas import StudyRecipe
from cctuning.commands.studies.plan import make_plan
from cctuning.settings.recipe import load_recipe
from cctuning.settings.recipe_files import RECIPES
from cctuning.tools.locks import only_run_in
from tests.samples import samples, write_evaluation
from tests.scripts import call

pytestmark = pytest.mark.slow

# Notes each call, and copies the prepared files of its output folder; fails where the folder is named "bad".
STAND_IN = """
import json, pathlib, shutil, sys
notes, option, module, command, *arguments = sys.argv[1:]
assert (option, module) == ("-m", "cctuning")
values = dict(argument.split("=", 1) for argument in arguments)
output = pathlib.Path(values["output_dir"])
with open(notes, "a") as file:
    file.write(json.dumps([command, str(output), values.get("resume")]) + "\\n")
prepared = pathlib.Path(notes).parent / "prepared" / "-".join(output.parts[-3:])
if not prepared.is_dir():
    sys.exit(f"cannot write {output}")
shutil.copytree(prepared, output, dirs_exist_ok=True)
"""


class Study:
    """A study whose scripts are a stand-in, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "stand_in.py").write_text(STAND_IN)
        launcher = f"{sys.executable} {folder / 'stand_in.py'} {folder / 'notes'}"
        self.arguments = [
            "recipes=[llama31_aya_sft,llama31_aya]",
            "run_name=small",
            f"runs={folder / 'runs'}",
            *(f"launch.{kind}={launcher}" for kind in ("train", "fit", "evaluate")),
        ]
        recipe = load_recipe(self.arguments, StudyRecipe, folder=RECIPES / "studies")
        self.steps, self.rows = make_plan(recipe)
        for number, step in enumerate(self.steps):
            self.prepare(step, level=0.3 + 0.1 * number)

    def prepare(self, step, level):
        """What the stand-in will write for a step."""
        folder = self.prepared(step)
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text(yaml.safe_dump(step.settings))
        if step.kind == "evaluate":
            write_evaluation(folder, samples("xnli", count=10, level=level))
        else:
            (folder / step.mark.name).write_text(json.dumps({"settings": step.settings}))

    def prepared(self, step):
        return self.folder / "prepared" / "-".join(step.output.parts[-3:])

    def __call__(self, *arguments):
        return call(study, *self.arguments, *arguments)

    def calls(self):
        """Command and folder of every call since the last time."""
        path = self.folder / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@pytest.fixture
def small(tmp_path):
    return Study(tmp_path)


def expected(steps, resume=None):
    return [[step.kind, str(step.output), resume if step.kind == "evaluate" else None] for step in steps]


def test_all_steps_run_once_and_leave_the_tables(small):
    ended = small()
    assert (ended.status, ended.err) == (0, "")
    assert small.calls() == expected(small.steps)
    folder = small.folder / "runs" / "studies" / "small"
    table = (folder / "table.md").read_text()
    for row in small.rows:
        assert row.title in ended.out and row.title in table
    assert sorted(path.name for path in (folder / "logs").iterdir()) == sorted(
        f"{step.name.replace('/', '-')}.log" for step in small.steps
    )
    again = small()
    assert (again.status, small.calls()) == (0, [])
    assert (folder / "table.md").read_text() == table


def test_a_dry_run_shows_the_commands_and_runs_nothing(small):
    ended = small("dry_run=true")
    assert small.calls() == []
    for step in small.steps:
        assert f"to do     {step.shown(small.arguments[3].partition('=')[2])}" in ended.out
    assert "5 steps, 0 done" in ended.out
    assert not (small.folder / "runs").exists()
    small()
    assert "5 steps, 5 done" in small("dry_run=true").out


def test_a_failing_step_stops_only_what_needs_it_and_runs_again(small):
    train = small.steps[2]
    away = small.folder / "away"
    small.prepared(train).rename(away)
    ended = small()
    assert ended.status == 1
    assert f"cannot write {train.output}" in ended.err
    assert "not run, for want of what failed: llama31_aya/fit_1000, llama31_aya/monolingual_1000" in ended.err
    assert small.calls() == expected(small.steps[:3])
    table = (small.folder / "runs" / "studies" / "small" / "table.md").read_text()
    assert "llama31_aya_sft" in table and "| llama31_aya |" not in table
    away.rename(small.prepared(train))
    assert small().status == 0
    assert small.calls() == expected(small.steps[2:])


def test_what_was_made_of_a_new_run_is_made_anew(small):
    small()
    small.calls()
    small.steps[2].mark.unlink()
    assert small().status == 0
    train, fit, evaluation = small.steps[2:]
    assert small.calls() == [*expected([train, fit]), *expected([evaluation], resume="never")]


def test_one_study_at_a_time_and_no_table_of_another_day(small):
    small()
    folder = small.folder / "runs" / "studies" / "small"
    with only_run_in(folder):
        ended = small()
        assert small("dry_run=true").status == 0
    assert ended.status == 1 and f"({os.getpid()}) works in {folder}" in ended.err
    small.steps[2].mark.unlink()
    small.prepared(small.steps[2]).rename(small.folder / "away")
    for number in (1, 4):  # no evaluation is left to compare
        small.prepared(small.steps[number]).rename(small.folder / f"away{number}")
    small.steps[0].mark.unlink()
    small.prepared(small.steps[0]).rename(small.folder / "away0")
    assert small().status == 1
    assert not (folder / "table.md").exists()


def test_complete_results_with_other_settings_are_not_touched(small):
    small()
    small.calls()
    ended = small("evaluate=[limit=20]")
    assert (ended.status, small.calls()) == (1, [])
    assert "limit: None -> 20" in ended.err and "evaluate=[run_name=NAME,...]" in ended.err
    ended = small("train=[max_steps=3]")
    assert (ended.status, small.calls()) == (1, []) and "runs=FOLDER" in ended.err
    shown = small("evaluate=[limit=20]", "dry_run=true").out
    assert shown.count("differs") == 2 and "5 steps, 3 done" in shown
