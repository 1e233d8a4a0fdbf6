"""The console command: what is answered without torch, and how it ends."""

import json
import subprocess
import sys

import pytest

from cctuning.__main__ import main
from cctuning.commands.registry import COMMANDS
from cctuning.preparation.scripts import SCRIPTS

HEAVY = {"torch", "transformers", "peft", "trl", "accelerate", "datasets", "scipy", "matplotlib", "lm_eval"}
HEAVY |= {"ctranslate2"}
# Each is answered in one process of its own kind, so that what one imports does not hide behind another.
ASKED = """
import contextlib, io, json, sys
from cctuning.__main__ import main

answers = []
for arguments in json.loads(sys.argv[1]):
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(None, arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    heavy = sorted(set(json.loads(sys.argv[2])) & sys.modules.keys())
    answers.append([status, out.getvalue(), err.getvalue(), heavy])
print(json.dumps(answers))
"""


def ask(*calls):
    """Status, output, error and heavy modules of each call, one after the other in one new process."""
    command = [sys.executable, "-c", ASKED, json.dumps(calls), json.dumps(sorted(HEAVY))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(ended.stdout)


@pytest.mark.slow
def test_what_needs_no_torch_does_not_import_it(tmp_path):
    gone = str(tmp_path / "gone")
    calls = [["--help"], ["--version"], ["recipes"], ["prepare"], ["recipes", "llama31_aya"]]
    calls += [[name, "--help"] for name in COMMANDS]
    calls += [[name, "misspelt_key=1"] for name in COMMANDS]
    calls += [[name, "recipe=misspelt"] for name in COMMANDS]
    calls += [["prepare", name, "--help"] for name in SCRIPTS]
    calls += [["chat", f"model={gone}"], ["evaluate", "recipe=xnli", f"model={gone}"]]
    calls += [["train", "recipe=tiny", f"model_name_or_path={gone}"], ["fit", f"model={gone}"]]
    for call, (_, _, _, heavy) in zip(calls, ask(*calls), strict=True):
        assert heavy == [], f"{call} imports {heavy}"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["evalute"], 2, "did you mean 'evaluate'"),
        (["prepare", "chek"], 2, "did you mean 'check'"),
        (["recipes", "xnil"], 2, "did you mean 'xnli'"),
        (["train", "learning_rat=1"], 2, "did you mean 'learning_rate'"),
        (["train", "recipe=tinny"], 2, "did you mean 'tiny'"),
        (["evaluate", "recipe=xnli", "model=no/such/folder"], 1, "model=no/such/folder does not exist"),
        (
            ["train", "recipe=tiny", "model_name_or_path=a/b", "data=gone.jsonl"],
            1,
            "gone.jsonl does not exist",
        ),
    ],
)
def test_mistakes_end_with_one_line_and_a_hint(arguments, status, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(None, arguments)
    error = capsys.readouterr().err
    assert ended.value.code == status
    assert error.startswith("error: ")
    assert said in error


def test_without_a_command_the_commands_are_listed(capsys):
    main(None, [])
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in (*COMMANDS, "prepare", "recipes"))


def test_ctrl_c_while_modules_are_imported_ends_with_one_line(monkeypatch, capsys):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("cctuning.commands.registry.Command.function", interrupted)
    with pytest.raises(SystemExit) as ended:
        main("compare", ["results=[a]"])
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip() == "stopped"
