"""Recipes, questions and folders that probe.py cannot do with."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from cctuning.commands import probe_model as probe
from tests.hostile import models
from tests.hostile.cases import Group
from tests.scripts import call

CASES = Group("Probing")
case = functools.partial(CASES.case, script="probe")

OPTIONS = {"1": "yes", "2": "no", "3": "maybe"}


def write(
    folder: Path, place: str, languages: Sequence[str] = ("en", "sw"), count: int = 2, **more: object
) -> None:
    """Good questions in some languages; `more` changes the last one of each."""
    for language in languages:
        path = folder / place / f"{language}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {
                "id": number,
                "language": language,
                "prompt": f"Swali {language} {number}?",
                "prompt_en": f"Swali en {number}?",
                "answer": ["2"],
                "options": OPTIONS,
            }
            for number in range(count)
        ]
        rows[-1] |= more
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def asked(folder: Path, *more: str) -> list[str]:
    """A study of two good questions in two languages; what is given last counts."""
    models.base(folder)
    write(folder, "pilot/XNLI")
    settings = {"model": "base", "benchmarks": "[xnli]", "pilot": "pilot", "use_cpu": "true"}
    settings |= {"output_dir": "out", "max_new_tokens": "2", **dict(one.split("=", 1) for one in more)}
    return [f"{key}={value}" for key, value in settings.items()]


# --- Recipes ------------------------------------------------------------------------------------------------


@case(
    "a recipe of probe.py that does not exist",
    error="no recipe 'tinny' (on the command line) in …; did you mean 'tiny'?\navailable: …",
    status=2,
)
def unknown_probe(folder: Path) -> list[str]:
    return ["recipe=tinny", "model=base"]


@case(
    "a sub-layer that does not exist",
    error=(
        "sublayers (on the command line): 'atention' is not one of ffn | attention | attention_residual | "
        "block; did you mean 'attention'?"
    ),
    status=2,
)
def unknown_sublayer(folder: Path) -> list[str]:
    return asked(folder, "sublayers=[ffn,atention]")


@case(
    "no sub-layer",
    error="sublayers (on the command line): sublayers=[] names none to transplant",
    status=2,
)
def no_sublayer(folder: Path) -> list[str]:
    return asked(folder, "sublayers=[]")


@case(
    "a benchmark whose answers are neither right nor wrong",
    error=(
        "benchmarks: an answer to XLSum has a degree, and is neither right nor wrong, so there are no bounds "
        "of it: leave it out"
    ),
)
def graded_benchmark(folder: Path) -> list[str]:
    return asked(folder, "benchmarks=[xnli,xlsum]")


@case(
    "evaluations beside no unseen questions",
    error=("beside (on the command line): beside= is about unseen questions: set unseen= too"),
    status=2,
)
def beside_nothing(folder: Path) -> list[str]:
    return asked(folder, "beside=[results]")


@case(
    "a folder beside it that holds no evaluation",
    error="nowhere does not exist",
)
def beside_nowhere(folder: Path) -> list[str]:
    write(folder, "unseen/XNLI")
    return asked(folder, "unseen=unseen", "beside=[nowhere]")


# --- Questions ----------------------------------------------------------------------------------------------


@case(
    "a folder of questions that does not exist",
    error=(
        "nowhere is no folder of benchmarks: it should hold XNLI/ar.jsonl (cctuning prepare benchmarks "
        "--help)"
    ),
)
def pilot_nowhere(folder: Path) -> list[str]:
    return asked(folder, "pilot=nowhere")


@case(
    "a language that is not there",
    error="languages: no 'swa' for xnli in pilot, only en, sw; did you mean 'sw'?",
)
def unknown_probe_language(folder: Path) -> list[str]:
    return asked(folder, "languages=[swa]")


@case(
    "a centre language that is not there",
    error="centre: no 'zh' for xnli in pilot, only en, sw",
)
def unknown_centre(folder: Path) -> list[str]:
    return asked(folder, "centre=zh")


@case(
    "a question without a parallel in the centre language",
    error=(
        "pilot/XNLI/sw.jsonl, row 3, id 2: has no parallel in 'en'. Set on_bad_prompt=leave_out to probe the "
        "others"
    ),
)
def no_parallel(folder: Path) -> list[str]:
    arguments = asked(folder)
    write(folder, "pilot/XNLI", ["sw"], count=3)
    return arguments


@case(
    "another centre for questions of culture",
    error=(
        "centre=de: the languages of GlobalOpinionQA hold different questions, so only their English "
        "versions are parallel. Set centre=en, or leave it out of benchmarks="
    ),
)
def centre_of_culture(folder: Path) -> list[str]:
    write(folder, "pilot/GlobalOpinionQA", ["de"], options={"A": "yes", "B": "no"}, answer=["A"])
    return asked(folder, "benchmarks=[globalopinionqa]", "centre=de")


@case(
    "unseen questions in a language without a pilot",
    error=(
        "unseen= has XNLI in 'zh', and pilot= has not, so no pair could be chosen for it: set "
        "languages=[...] to those of both"
    ),
)
def unseen_without_pilot(folder: Path) -> list[str]:
    write(folder, "unseen/XNLI", ["en", "sw", "zh"])
    return asked(folder, "unseen=unseen")


@case(
    "a prompt beyond the model's positions",
    error=(
        "pilot/XNLI/en.jsonl, row 1, id 0: 5043 tokens of prompt and response, and the model has 512 "
        "positions. Set on_bad_prompt=leave_out to ask the others"
    ),
)
def probe_too_long(folder: Path) -> list[str]:
    return asked(folder, "max_new_tokens=5000")


@case(
    "a special token in a source prompt",
    error=(
        "pilot/XNLI/en.jsonl, row 2, id 1: it spells out </s>, which the tokenizer reads as the special "
        "token itself. Set on_bad_prompt=leave_out to ask the others"
    ),
)
def probe_special_token(folder: Path) -> list[str]:
    arguments = asked(folder)
    write(folder, "pilot/XNLI", ["en"], prompt="Swali </s>?")
    return arguments


# --- Folders ------------------------------------------------------------------------------------------------


@case(
    "the folder of a model as output_dir",
    error=("base holds config.json, and no probe.json that says probe.py wrote it: set another output_dir"),
)
def foreign_folder(folder: Path) -> list[str]:
    return asked(folder, "output_dir=base")


@case(
    "a damaged probe.json",
    error=(
        "out/probe.json was not written by probe.py or is damaged: set another output_dir, or resume=never"
    ),
)
def damaged_settings(folder: Path) -> list[str]:
    arguments = asked(folder)
    (folder / "out").mkdir()
    (folder / "out/probe.json").write_text('{"model": ')
    return arguments


def swept(folder: Path) -> list[str]:
    arguments = asked(folder)
    ended = call(probe, *arguments)
    assert ended.status == 0, ended.err
    return arguments


@case(
    "a study with other settings",
    error=(
        "out holds a study with other settings: max_new_tokens was 2 and is 3. Set another output_dir, or "
        "resume=never to ask everything anew"
    ),
)
def other_probe_settings(folder: Path) -> list[str]:
    return [one.replace("max_new_tokens=2", "max_new_tokens=3") for one in swept(folder)]


@case(
    "other questions than those of its cells",
    error=(
        "out/cells/pilot/ffn/xnli/sw/00001-00001.parquet holds cells of other questions, or made in another "
        "way: set another output_dir, or resume=never to make everything anew"
    ),
)
def other_questions(folder: Path) -> list[str]:
    arguments = swept(folder)
    write(folder, "pilot/XNLI", ["sw"], prompt="Swali jingine?")
    return arguments


@case(
    "a damaged file of cells",
    error=(
        "out/cells/pilot/ffn/xnli/sw/00000-00000.parquet is damaged (…). Take it away, and it is made again"
    ),
)
def damaged_cells(folder: Path) -> list[str]:
    arguments = swept(folder)
    path = folder / "out/cells/pilot/ffn/xnli/sw/00000-00000.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    return arguments
