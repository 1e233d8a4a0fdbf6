"""Every script says at once what it takes: models and their libraries are imported when they are used."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

HELP = """
import contextlib, io, sys
from cctuning.preparation.scripts import SCRIPTS, load_script

for name in SCRIPTS:
    said = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
        load_script(name).main(["--help"])
    assert said.getvalue().startswith("usage: cctuning prepare "), name
    heavy = {"torch", "transformers", "peft", "ctranslate2", "datasets"} & sys.modules.keys()
    assert not heavy, f"{name} imports {heavy}"
"""


def test_help_does_not_wait_for_torch():
    asked = [sys.executable, "-c", HELP]
    ended = subprocess.run(asked, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
