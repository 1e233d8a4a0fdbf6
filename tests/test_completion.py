"""Completion: what may stand next on the command line."""

import os
import subprocess
import sys

import pytest

from cctuning.completion import candidates


def test_commands_recipes_keys_and_values():
    assert set(candidates([], "e")) == {"evaluate"}
    assert "recipe=xnli" in candidates(["evaluate"], "recipe=x")
    assert "learning_rate=" in candidates(["train", "recipe=tiny"], "learn")
    assert set(candidates(["train"], "dtype=f")) == {"dtype=float16", "dtype=float32"}
    assert list(candidates(["train"], "bf16=")) == ["bf16=true", "bf16=false"]
    assert "check" in candidates(["prepare"], "")


def test_a_key_is_offered_once():
    assert "recipe=tiny" not in candidates(["train", "recipe=tiny"], "")
    assert "seed=" not in candidates(["train", "seed=1"], "se")


@pytest.mark.slow
def test_a_shell_is_answered_without_torch(tmp_path):
    line = "cctuning evaluate recipe=xn"
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n"}
    program = "import sys; sys.argv[0] = 'cctuning'; from cctuning.__main__ import main; main()"
    environment = os.environ | asked
    subprocess.run([sys.executable, "-c", program], env=environment, timeout=60, check=True)
    assert "recipe=xnli" in answer.read_text()
