"""Small studies for the report: made-up grids, their questions, and a summary with tables."""

from dataclasses import replace

import numpy as np

from cctuning.analysis.measures.strategies import choose
from cctuning.analysis.measures.summary import summarise
from cctuning.analysis.selectors import judge_pilot
from tests.analysis.made import made_applied, made_grid

HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<!--<script> ]]> {{ 7 * 7 }} {% raw %} &lt;b&gt;",
    "nul \0, bell \a, escape \x1b[31m, delete \x7f, half a pair \ud83d, BOM \ufeff",
    "\u202eturned round\u2066 and not closed",
    "a" * 400,
    "javascript:window.hacked=1\" onclick='window.hacked=1' `${window.hacked=1}`",
    "",
)


def made_questions(grid):
    """The texts of a grid's questions, in another order than the grid's."""
    asked = [
        {
            "id": int(name) if name.isdecimal() else name,
            "prompt": f"{grid.language} frame\nquestion {name}?",
            "source_prompt": f"centre frame\nquestion {name}?",
            "answers": ["1"],
            "options": {"1": f"yes to {name}", "2": "no"},
        }
        for name in grid.questions
    ]
    return asked[::-1]


def made_study():
    """Two benchmarks, several languages, two sub-layers: what `write_report` takes."""
    rng = np.random.default_rng(0)
    grids = [
        made_grid(rng, layers=4, questions=5, language=language, sublayer=sublayer)
        for language in ("de", "ar", "ur", "zh")
        for sublayer in ("ffn", "attention")
    ]
    applied = [made_applied(rng, grid, choose(grid)) for grid in grids if grid.sublayer == "ffn"]
    judged = {grid.language: grid for grid in grids if grid.sublayer == "ffn"}
    culture = made_grid(rng, layers=4, benchmark="globalopinionqa", language="am", questions=3)
    grids.append(replace(culture, asked_in="en"))
    questions = {(grid.benchmark, grid.language): made_questions(grid) for grid in grids}
    summary = summarise(grids, applied, resamples=20)
    return grids, summary, questions, [judge_pilot(judged, resamples=20)]


def hostile_study():
    """Texts that would run, break or hide the page, wherever a text can stand."""
    rng = np.random.default_rng(1)
    many = len(HOSTILE)
    grid = made_grid(rng, layers=3, questions=many, distinct=many, texts=(HOSTILE,) * many)
    grid = replace(
        grid,
        benchmark="<b>x</b></script>",
        language="<img src=x onerror=window.hacked=1>",
        questions=tuple(f"{text}{place}" for place, text in enumerate(HOSTILE)),
    )
    questions = [
        {"id": name, "prompt": text, "source_prompt": text, "answers": [text], "options": {text: text}}
        for name, text in zip(grid.questions, HOSTILE, strict=True)
    ]
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75, "questions": 2}
    languages = dict.fromkeys(HOSTILE, estimate)
    quantities = {HOSTILE[0]: languages, HOSTILE[3]: languages}
    summary = {"about": {"axes": {}}, HOSTILE[1]: {HOSTILE[2]: {HOSTILE[4]: quantities}}}
    return [grid], summary, {(grid.benchmark, grid.language): questions}
