"""Every script says at once what it takes: models and their libraries are imported when they are used."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPTS = ("aya", "aya_parallel", "benchmarks", "check", "clean", "lm_eval_tasks", "model", "sdrrl.__main__")
SCRIPTS += ("settings", "translate")

HELP = """
import contextlib, importlib, io, sys

for name in sys.argv[1:]:
    said = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
        importlib.import_module(f"cctuning.preparation.{name}").main(["--help"])
    assert said.getvalue().startswith("usage: cctuning prepare "), name
    heavy = {"torch", "transformers", "peft", "ctranslate2", "datasets"} & sys.modules.keys()
    assert not heavy, f"{name} imports {heavy}"
"""


def test_help_does_not_wait_for_torch():
    asked = [sys.executable, "-c", HELP, *SCRIPTS]
    ended = subprocess.run(asked, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
