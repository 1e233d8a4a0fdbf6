"""`cctuning prepare NAME ...`: the scripts that prepare data."""

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from cctuning.settings.near_matches import did_you_mean
from cctuning.tools.errors import write_error

SCRIPTS = {
    "aya_parallel": "Download the CC-Tuning authors' rows: 20,236 of Aya, and those of +EN, +MT, +SDRRL",
    "aya": "Draw a language-balanced sample of the Aya data set",
    "translate": "Add translations to rows: the English of prompts, or any field in any language",
    "settings": "Make the rows that the settings +EN and +MT add",
    "sdrrl": "Make the rows of +SDRRL from the model's own English answers",
    "clean": "Remove near duplicates, and rows that hold questions of benchmarks",
    "held_out": "Split parallel rows: train in some languages, ask in the others",
    "check": "Check rows before a run: counts, lengths and faults for every language",
    "benchmarks": "Write benchmark files from the hub or the authors: the papers' questions and prompts",
    "model": "Make a plain model folder: of a GGUF file, of an adapter, or with fewer tokens",
    "lm_eval_tasks": "Write the benchmarks as tasks of lm-evaluation-harness",
}


def prepare(arguments: Sequence[str]) -> None:
    """Runs the script that the first argument names, and ends the process with its status.

    Without arguments, or with --help, lists the scripts. A name that is none ends with status 2.
    """
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        lines = "\n".join(f"  {script:<14} {summary}" for script, summary in SCRIPTS.items())
        sys.stdout.write(
            f"usage: cctuning prepare SCRIPT ...\n\n{lines}\n\n"
            "`cctuning prepare SCRIPT --help` says how each is called.\n"
        )
        return
    if name not in SCRIPTS:
        hint = did_you_mean(name, SCRIPTS) or f": one of {', '.join(SCRIPTS)}"
        write_error(f"no script {name!r}{hint}")
        raise SystemExit(2)
    raise SystemExit(load_script(name).main(arguments[1:]))


def load_script(name: str) -> ModuleType:
    """The module of a script, with its `main(arguments)`."""
    return importlib.import_module(f"cctuning.preparation.{'sdrrl.__main__' if name == 'sdrrl' else name}")
