"""Recipes, questions and folders that cannot be probed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

from cctuning.commands import probe_findings
from tests.hostile import models
from tests.hostile.cases import Table
from tests.json_lines import write_lines
from tests.scripts import call

TABLE = Table("probe")
row = TABLE.row

OPTIONS = {"1": "yes", "2": "no", "3": "maybe"}
CELLS = "out/cells/pilot/ffn/xnli/sw"


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
        write_lines(path, rows)


def asked(folder: Path, *more: str, change: Callable[[Path], object] = lambda folder: None) -> list[str]:
    """A study of two good questions in two languages, changed; what is given last counts."""
    models.base(folder)
    write(folder, "pilot/XNLI")
    change(folder)
    settings = {"model": "base", "benchmarks": "[xnli]", "pilot": "pilot", "use_cpu": "true"}
    settings |= {"output_dir": "out", "max_new_tokens": "2", **dict(one.split("=", 1) for one in more)}
    return [f"{key}={value}" for key, value in settings.items()]


# --- Recipes ------------------------------------------------------------------------------------------------

row(
    "a question without its right answer",
    "answer= is missing",
    lambda folder: ["model=base", "question=Swali?", "english=Question?"],
    status=2,
)
row(
    "a question and benchmarks",
    "benchmarks= is about benchmarks … question=",
    lambda folder: asked(folder, "question=Swali?", "english=Question?", "answer=x"),
    status=2,
)
row(
    "neither a question nor a benchmark",
    "benchmarks=[] names none … question=",
    lambda folder: ["model=base"],
    status=2,
)
row(
    "a right answer with a special token",
    "answer 'a</s>' spells out </s>",
    lambda folder: [
        f"model={models.base(folder)}",
        *("question=Swali?", "english=Question?", "answer=a</s>", "use_cpu=true"),
    ],
)
row(
    "a sub-layer that does not exist",
    "sublayers (on the command line): 'atention' … block … did you mean 'attention'",
    asked,
    "sublayers=[ffn,atention]",
    status=2,
)
row("no sub-layer", "sublayers (on the command line): sublayers=[]", asked, "sublayers=[]", status=2)
row(
    "an intervention that does not exist",
    "intervention (on the command line): 'ad' … did you mean 'add'",
    asked,
    "intervention=ad",
    status=2,
)
row("shots of nowhere", "shots=2: shots_data=", asked, "shots=2", status=2)
row("more positions than a prompt has", "positions=99: … XNLI, en, id 0, has", asked, "positions=99")
row(
    "answers that are neither right nor wrong",
    "benchmarks: … XLSum … right nor wrong",
    asked,
    "benchmarks=[xnli,xlsum]",
)
row(
    "evaluations without unseen questions",
    "beside (on the command line): … unseen=",
    asked,
    "beside=[results]",
    status=2,
)
row(
    "evaluations that do not exist",
    "nowhere does not exist",
    asked,
    "unseen=unseen",
    "beside=[nowhere]",
    change=lambda folder: write(folder, "unseen/XNLI"),
)

# --- Questions ----------------------------------------------------------------------------------------------

row("no folder of questions", "nowhere … folder of benchmarks … XNLI/ar.jsonl", asked, "pilot=nowhere")
row(
    "a language that is not there",
    "languages: … 'swa' … xnli … pilot … en, sw … did you mean 'sw'",
    asked,
    "languages=[swa]",
)
row("a centre language that is not there", "centre: … 'zh' … xnli … pilot … en, sw", asked, "centre=zh")
row(
    "a question without a parallel",
    "pilot/XNLI/sw.jsonl, row 3, id 2: … parallel … 'en' … on_bad_prompt=leave_out",
    asked,
    change=lambda folder: write(folder, "pilot/XNLI", ["sw"], count=3),
)
row(
    "another centre for questions of culture",
    "centre=de: … GlobalOpinionQA … centre=en",
    asked,
    "benchmarks=[globalopinionqa]",
    "centre=de",
    change=lambda folder: write(
        folder, "pilot/GlobalOpinionQA", ["de"], options={"A": "yes", "B": "no"}, answer=["A"]
    ),
)
row(
    "unseen questions without a pilot",
    "unseen= … XNLI … 'zh' … pilot= … languages=",
    asked,
    "unseen=unseen",
    change=lambda folder: write(folder, "unseen/XNLI", ["en", "sw", "zh"]),
)
row(
    "a prompt beyond the model's positions",
    "pilot/XNLI/en.jsonl, row 1, id 0: 5043 tokens … 512 positions … on_bad_prompt=leave_out",
    asked,
    "max_new_tokens=5000",
)
row(
    "a special token in a prompt",
    "pilot/XNLI/en.jsonl, row 2, id 1: … </s> … special token … on_bad_prompt=leave_out",
    asked,
    change=lambda folder: write(folder, "pilot/XNLI", ["en"], prompt="Swali </s>?"),
)

# --- Folders ------------------------------------------------------------------------------------------------

row(
    "the model's folder as the output folder",
    "base holds config.json … no probe.json … another output_dir",
    asked,
    "output_dir=base",
)


@TABLE.case("out holds table.csv … no question.json … another output_dir")
def a_question_into_the_folder_of_something_else(folder: Path) -> list[str]:
    (folder / "out").mkdir()
    (folder / "out/table.csv").write_text("scores")
    question = ("question=Swali?", "english=Question?", "answer=a", "use_cpu=true", "output_dir=out")
    return [f"model={models.base(folder)}", *question]


@TABLE.case("out/probe.json … damaged … resume=never")
def half_a_probe_json(folder: Path) -> list[str]:
    (folder / "out").mkdir()
    (folder / "out/probe.json").write_text('{"model": ')
    return asked(folder)


def swept(folder: Path, *more: str, change: Callable[[Path], object] = lambda folder: None) -> list[str]:
    """A finished study in `out` that was changed, to go on with other settings."""
    words = asked(folder)
    with mock.patch.object(probe_findings, "draw_figures"):
        ended = call("probe", *words)
    assert ended.status == 0, ended.err
    change(folder)
    keys = {argument.partition("=")[0] for argument in more}
    return [*(word for word in words if word.partition("=")[0] not in keys), *more]


row(
    "other questions than those of the cells",
    f"{CELLS}/00001-00001.parquet … other questions … resume=never",
    swept,
    slow=True,
    change=lambda folder: write(folder, "pilot/XNLI", ["sw"], prompt="Swali jingine?"),
)
