"""The demo's commands, run with a few steps each, from the base model to the scores."""

import json

import pytest

from cctuning.__main__ import main
from cctuning.commands.schemas import TrainRecipe
from cctuning.settings.recipe import load_recipe
from cctuning.tools.processes import Stage
from demo import base
from demo.score import score_seed
from demo.stages import CONNECTED, ROOT, RUNS, fingerprints, make_stages, tuning_steps
from demo.world import make_world

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*few for a matrix")]


def run_here(stage: Stage, monkeypatch):
    """Runs a stage's command in this process: importing torch for each of them takes longer than they do."""
    _, module, *arguments = stage.command[1:]
    if module == "cctuning":
        main(arguments[0], arguments[1:])
    else:
        monkeypatch.setattr("sys.argv", [module, *arguments])
        base.main()


def test_a_seed_is_trained_fitted_and_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    overrides = ["logging_steps=1", "max_rows=160"]
    *commands, score = make_stages([0], tmp_path, base_steps=3, tuning_steps=2, overrides=overrides)
    for stage in commands:
        run_here(stage, monkeypatch)
        assert stage.output.exists()
        if stage.steps == 2:
            lines = (stage.output / "metrics.jsonl").read_text().splitlines()
            assert json.loads(lines[1])["step"] == 2
    scores = score_seed(tmp_path / "seed0", make_world(people=3))
    assert set(scores) == {"base", *RUNS}
    for run in CONNECTED:
        assert {"none", "monolingual", "translated", "bilingual"} <= set(scores[run])
        assert sum(scores[run]["layers"]["bilingual"].values()) == 36
    assert scores["last_layer"]["layers"] == {"monolingual": {"3": 36}, "bilingual": {"3": 36}}
    assert score.needs == tuple(stage.name for stage in commands if not stage.name.endswith("/base"))


def test_the_runs_differ_in_the_connection_alone():
    stages = make_stages([7], ROOT / "outputs" / "none", base_steps=3, tuning_steps=2)
    recipes = {}
    for stage in stages:
        if "recipe=tiny" in stage.command:
            recipes[stage.name] = load_recipe(stage.command[4:], TrainRecipe)
    settings = [
        {
            name: value
            for name, value in vars(recipe).items()
            if name not in ("connection", "output_dir", "run_name")
        }
        for recipe in recipes.values()
    ]
    assert settings[0] == settings[1] == settings[2]
    connections = {name.partition("/")[2]: recipe.connection for name, recipe in recipes.items()}
    assert not connections["sft"].enabled
    assert (connections["last_layer"].pooling, connections["last_layer"].layer) == ("layer", -1)
    assert connections["decision_maker"].pooling == "decision_maker"


def test_a_changed_command_changes_what_needs_it(tmp_path):
    digests = fingerprints(make_stages([0, 1], tmp_path, base_steps=3, tuning_steps=tuning_steps()))
    again = fingerprints(make_stages([0, 1], tmp_path, base_steps=3, tuning_steps=1))
    changed = {name for name in digests if digests[name] != again[name]}
    assert changed == {name for name in digests if not name.endswith("/base")}
