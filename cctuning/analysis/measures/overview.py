"""The main numbers of a study on one page of Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from cctuning.analysis.measures.proposals import PROPOSALS, proposal_lines
from cctuning.analysis.measures.strategies import STRATEGIES
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.reporting.documents import in_markdown
from cctuning.reporting.scores import change, percent, score
from cctuning.reporting.tables import RecordTable, leaves
from cctuning.stats.estimates import MEAN, POOLED

Content = Mapping[str, Any]

_ANSWERS = (
    "Consistency is the share of answers in the language that was asked in, of those of which it can be "
    "told. Perplexity is the geometric mean of answers of more than five tokens, the long ones."
)
CONSISTENT = (
    "The share of answers in the language that was asked in, of those of which it can be told, and in "
    "brackets the difference to the original; the mean is over the languages other than the centre."
)
_SUBLAYERS = (
    "Of the two sub-layers that are named the first less the second, in points; then the shares of questions "
    "that transplants of both answer, of one alone, and of neither."
)


def overview_text(summary: Content) -> str:
    """For each sub-layer and benchmark: bounds, outcomes and strategies per language, in %.

    In brackets 95 % intervals.
    """
    parts = ["# XTransplant: overview", _legend(summary)]
    parts += [f"- warning: {in_markdown(warning)}" for warning in summary["about"].get("warnings", ())]
    for (sublayer, benchmark), bounds in leaves(summary["bounds"], 2):
        measures = (
            summary[measure][sublayer][benchmark] for measure in ("outcomes", "strategies", "choices")
        )
        parts += [f"## {find_benchmark(benchmark).title}, {sublayer}", _pilot_table(bounds, *measures)]
    if proposals := summary.get("proposals"):
        lines = [f"- {in_markdown(line)}" for line in proposal_lines(proposals)]
        parts += ["## Where to connect", PROPOSALS, "\n".join(lines)]
    parts += ["## Answers", _ANSWERS, _answers_table(summary)]
    if any(any(by_benchmark.values()) for by_benchmark in summary["sublayers"].values()):
        parts += ["## Sub-layers", _SUBLAYERS, _sublayers_table(summary["sublayers"])]
    for sublayer, content in summary["unseen"].items():
        parts += [f"## Unseen questions, {sublayer}", _unseen_table(content["scores"])]
        if content["consistency"]:
            parts += [f"## Language consistency on unseen questions, {sublayer}", CONSISTENT]
            parts += [_unseen_table(content["consistency"])]
        parts += [f"- warning: {in_markdown(warning)}" for warning in content["warnings"]]
    return "\n\n".join(parts) + "\n"


def _legend(summary: Content) -> str:
    centre = summary["about"]["centre"]
    return (
        f"Accuracy in %, in brackets 95 % intervals. The centre language is {centre}. The upper bound counts "
        "a question that any layer pair answers; by chance is what the same answers reach when they are "
        "judged by the gold answers of other questions. Best is the best pair on the very questions it was "
        "chosen on, so it flatters; what it is worth stands under unseen questions. Pairs are source "
        "layer → target layer, from 0, with the number of pairs that are equally good, and in how many of "
        "draws of the same questions the pair would be chosen again. One to three stars on unseen questions: "
        "p < 0.05, 0.01, 0.001 after Holm's correction."
    )


def _pilot_table(bound: Content, outcomes: Content, strategies: Content, choices: Content) -> str:
    columns = {
        "original": bound["original"],
        "all pairs": outcomes["accuracy"],
        "best": strategies["overall"],
        "upper bound": bound["upper_bound"],
        "by chance": bound.get("chance_bound"),
        "above chance": bound.get("bound_over_chance"),
        "win": outcomes["win"],
        "lose": outcomes["lose"],
    }
    known = {name: languages for name, languages in columns.items() if languages}
    rows = [
        [
            language,
            *(
                _cell(by_language[language], signed=name == "above chance")
                for name, by_language in known.items()
            ),
            *(_choice(choices[language][name]) if language in choices else "" for name in STRATEGIES),
        ]
        for language in [*choices, MEAN, POOLED]
    ]
    return RecordTable(["language", *known, *STRATEGIES], rows).markdown()


def _choice(choice: Content) -> str:
    """The pair, with its ties and how often it is chosen again where that is not always."""
    if choice["tied"] == choice["candidates"]:
        return f"none, all {choice['tied']} tie"
    notes = [f"{choice['tied']} tie"] if choice["tied"] > 1 else []
    notes += [f"{percent(choice['chosen_again'])} %"] if choice["chosen_again"] < 1 else []
    return " → ".join(map(str, choice["pair"])) + (f" ({', '.join(notes)})" if notes else "")


def _cell(estimate: Content, *, signed: bool = False) -> str:
    return score(estimate["value"], (estimate["low"], estimate["high"]), signed=signed)


def _answers_table(summary: Content) -> str:
    rows = []
    for (sublayer, benchmark), consistent in leaves(summary["consistency"], 2):
        likely = summary["perplexity"][sublayer][benchmark]
        rows.append(
            [
                f"{find_benchmark(benchmark).title}, {sublayer}",
                *(_cell(consistent[name][MEAN]) for name in ("consistency", "original", "told")),
                *(_number(likely[name][MEAN]) for name in ("perplexity", "original_perplexity")),
                _cell(likely["long"][MEAN]),
            ]
        )
    head = ["mean over languages", "consistency", "original", "told", "perplexity", "original", "long"]
    return RecordTable(head, rows).markdown()


def _number(estimate: Content) -> str:
    if estimate["value"] is None:
        return ""
    text = f"{estimate['value']:.2f}"
    return text if estimate["low"] is None else f"{text} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def _sublayers_table(content: Content) -> str:
    rows = []
    for (sublayers, benchmark), differences in leaves(content, 2):
        first, second = sublayers.split("-")
        if differences:
            changes = (differences[name][MEAN] for name in ("upper_bound_difference", "accuracy_difference"))
            shares = (
                differences[name][MEAN] for name in ("both", f"only_{first}", f"only_{second}", "neither")
            )
            name = f"{find_benchmark(benchmark).title}, {first} - {second}"
            rows.append([name, *(_cell(change, signed=True) for change in changes), *map(_cell, shares)])
    head = ["mean over languages", "upper bound", "all pairs", "both", "only the first", "only the second"]
    return RecordTable([*head, "neither"], rows).markdown()


def _unseen_table(scores: Sequence[Content]) -> str:
    cells = {
        (f"{record['title']}, {record['language'] or MEAN}", record["name"]): unseen_cell(record)
        for record in scores
    }
    return RecordTable.crossed("benchmark, language", cells).markdown()


def unseen_cell(record: Content) -> str:
    """A score on unseen questions, with its difference to the original where it has one."""
    if not (difference := record["difference"]):
        return score(record["score"], record["interval"])
    # Stars behind a bracket open no emphasis in Markdown.
    changed = change(difference["value"], difference["interval"])
    return f"{percent(record['score'])} ({changed}){record.get('stars', '')}"
