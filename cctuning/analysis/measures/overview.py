"""The main numbers of a study on one page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cctuning.analysis.measures.strategies import STRATEGIES
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.reporting.text_tables import bounds, markdown_table, percent
from cctuning.stats.bootstrap import Interval
from cctuning.stats.estimates import MEAN, POOLED

Content = Mapping[str, Any]

_ANSWERS = (
    "Consistency is the share of answers in the language that was asked in, of those of which it can be "
    "told. Perplexity is the geometric mean of answers of more than five tokens, the long ones."
)
_CONSISTENT = (
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
    parts += [f"- warning: {warning}" for warning in summary["about"].get("warnings", ())]
    for sublayer, benchmarks in summary["bounds"].items():
        for benchmark, quantities in benchmarks.items():
            title = f"## {find_benchmark(benchmark).title}, {sublayer}"
            outcomes = summary["outcomes"][sublayer][benchmark]
            strategies = summary["strategies"][sublayer][benchmark]
            choices = summary["choices"][sublayer][benchmark]
            parts += [title, _pilot_table(quantities, outcomes, strategies, choices)]
    parts += ["## Answers", _ANSWERS, _answers_table(summary)]
    if any(any(found.values()) for found in summary["sublayers"].values()):
        parts += ["## Sub-layers", _SUBLAYERS, _sublayers_table(summary["sublayers"])]
    for sublayer, found in summary["unseen"].items():
        parts += [f"## Unseen questions, {sublayer}", _unseen_table(found["scores"])]
        if found["consistency"]:
            parts += [f"## Language consistency on unseen questions, {sublayer}", _CONSISTENT]
            parts += [_unseen_table(found["consistency"])]
        parts += [f"- warning: {warning}" for warning in found["warnings"]]
    return "\n\n".join(parts) + "\n"


def _legend(summary: Content) -> str:
    centre = summary["about"]["centre"]
    return (
        f"Accuracy in %, in brackets 95 % intervals. The centre language is {centre}. The upper bound counts "
        "a question that any layer pair answers; by chance is what the same answers reach when they are "
        "judged by the gold answers of other questions. Best is the best pair on the very questions it was "
        "chosen on, so it flatters; what it is worth stands under unseen questions. Pairs are source "
        "layer → target layer, from 0, with the number of pairs that are equally good, and in how many of "
        "draws of the same questions the pair would be chosen again."
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
    rows = []
    for language in [*choices, MEAN, POOLED]:
        own = choices.get(language, {})
        rows.append(
            [
                language,
                *(
                    _cell(languages[language], signed=name == "above chance")
                    for name, languages in known.items()
                ),
                *(_choice(own[name]) if own else "" for name in STRATEGIES),
            ]
        )
    return markdown_table(["language", *known, *STRATEGIES], rows)


def _choice(choice: Content) -> str:
    """The pair, with its ties and how often it is chosen again where that is not always."""
    if choice["tied"] == choice["candidates"]:
        return f"none, all {choice['tied']} tie"
    notes = [f"{choice['tied']} tie"] if choice["tied"] > 1 else []
    notes += [f"{percent(choice['chosen_again'])} %"] if choice["chosen_again"] < 1 else []
    return " → ".join(map(str, choice["pair"])) + (f" ({', '.join(notes)})" if notes else "")


def _cell(estimate: Content, *, signed: bool = False) -> str:
    if estimate["value"] is None:
        return ""
    text = percent(estimate["value"], signed=signed)
    if estimate["low"] is None:
        return text
    return f"{text} {bounds(Interval(estimate['low'], estimate['high']), signed=signed)}"


def _answers_table(summary: Content) -> str:
    rows = []
    for sublayer, benchmarks in summary["consistency"].items():
        for benchmark, told in benchmarks.items():
            likely = summary["perplexity"][sublayer][benchmark]
            rows.append(
                [
                    f"{find_benchmark(benchmark).title}, {sublayer}",
                    *(_cell(told[name][MEAN]) for name in ("consistency", "original", "told")),
                    *(_number(likely[name][MEAN]) for name in ("perplexity", "original_perplexity")),
                    _cell(likely["long"][MEAN]),
                ]
            )
    head = ["mean over languages", "consistency", "original", "told", "perplexity", "original", "long"]
    return markdown_table(head, rows)


def _number(estimate: Content) -> str:
    if estimate["value"] is None:
        return ""
    text = f"{estimate['value']:.2f}"
    return text if estimate["low"] is None else f"{text} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def _sublayers_table(content: Content) -> str:
    rows = []
    for sublayers, benchmarks in content.items():
        first, second = sublayers.split("-")
        shares = ["both", f"only_{first}", f"only_{second}", "neither"]
        for benchmark, found in benchmarks.items():
            if found:
                changes = [found["upper_bound_difference"][MEAN], found["accuracy_difference"][MEAN]]
                rows.append(
                    [
                        f"{find_benchmark(benchmark).title}, {first} - {second}",
                        *(_cell(change, signed=True) for change in changes),
                        *(_cell(found[share][MEAN]) for share in shares),
                    ]
                )
    head = ["mean over languages", "upper bound", "all pairs", "both", "only the first", "only the second"]
    return markdown_table([*head, "neither"], rows)


def _unseen_table(scores: Sequence[Content]) -> str:
    names = list(dict.fromkeys(score["name"] for score in scores))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for score in scores:
        own = rows.setdefault((score["title"], score["language"] or MEAN), {})
        own[score["name"]] = _unseen_cell(score)
    return markdown_table(
        ["benchmark, language", *names],
        [[", ".join(key), *(own.get(name, "") for name in names)] for key, own in rows.items()],
    )


def _unseen_cell(score: Content) -> str:
    change = score["difference"]
    if not change:
        return f"{percent(score['score'])} {bounds(Interval(*score['interval']))}"
    difference = (
        f"{percent(change['value'], signed=True)} {bounds(Interval(*change['interval']), signed=True)}"
    )
    return f"{percent(score['score'])} ({difference})" + "\\*" * len(change.get("stars", ""))
