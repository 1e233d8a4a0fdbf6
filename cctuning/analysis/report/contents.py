"""The tables of the report: every measure of a summary, unseen questions, and pair selectors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from cctuning.analysis.measures.proposals import PROPOSALS, proposal_lines
from cctuning.analysis.report.tables import NOTHING, Table, TableCell, count, number, share, table
from cctuning.analysis.selectors import AccuracyEstimate, Judgement
from cctuning.reporting.tables import leaves

Content: TypeAlias = Mapping[str, Any]

_PLACE = ["benchmark", "language", "sub-layer"]
_LAYERS = ("source_layer", "target_layer", "tries", "level")  # axes with few enough places for columns

# Title and note of what a summary holds; what is not here is shown under its own name.
_TITLES = {
    "bounds": (
        "Upper bounds",
        "The upper bound counts a question that any pair answers rightly. The more pairs are tried, the "
        "higher it is by chance alone, which the columns of chance and of independent pairs show.",
    ),
    "strategies": (
        "Chosen pairs, on the questions they were chosen on",
        "The best pair of these very questions flatters; what a strategy is worth stands under unseen "
        "questions.",
    ),
    "outcomes": (
        "Win, tie and lose",
        "Each answer of each pair against the original answer to the same question: right where that is "
        "wrong, alike, or wrong where that is right; and the average over all pairs.",
    ),
    "likelihood": (
        "Log-probability of the right answers",
        "How likely a response is to begin with a right answer (of a choice: with the right option), with "
        "transplants and without. It tells more than right and wrong where a model is mostly right or mostly "
        "wrong. In nats, with 95 % intervals.",
    ),
    "control": (
        "Right source prompt against another question's",
        "By how much likelier a right answer is than under the same transplant from the source prompt of "
        "another question of the language. In nats, with 95 % intervals.",
    ),
    "categories": (
        "Who answers rightly",
        "Each question by three facts: is it answered rightly in the source language, in the target "
        "language, and by any transplant?",
    ),
    "consistency": ("Language of the answers", "Whether an answer is in the language of its prompt."),
    "perplexity": (
        "Perplexity of the answers",
        "Of answers longer than five tokens, under the model that wrote them and (plain) under the model as "
        "it is. Perplexities are numbers, the others shares in %.",
    ),
    "centre": (
        "Effect on the centre language",
        "What transplants do to questions in the centre language itself.",
    ),
    "sublayers": (
        "Sub-layers compared",
        "The first less the second of the two that are named, on the same questions, in points.",
    ),
}
_UNSEEN = (
    "Unseen questions",
    "Pairs chosen on the pilot questions, asked unseen ones, beside the original and other methods. "
    "Difference to the original on the same questions, in points; p by bootstrap, after Holm's correction.",
)
_SELECTORS = (
    "Which pair for this question?",
    "Selectors pick a pair for each question without knowing the answer. Differences to the original and to "
    "the best fixed pair, on the same questions, in points. On the pilot by cross-validation. Candidates are "
    "the pairs that were chosen from, and that random pair and upper bound are over: on unseen questions "
    "only those that were swept there, often the strategies' alone.",
)
_SHARES = "In %, with 95 % intervals."


def tables_of(summary: Content, judgements: Sequence[Judgement] = ()) -> Iterator[Table]:
    """All tables, whichever measures there are; numbers by pair and by bin are only in the CSV files."""
    if any(of_sublayer["scores"] for of_sublayer in summary.get("unseen", {}).values()):
        yield _unseen_table(summary["unseen"])
    if proposals := summary.get("proposals"):
        yield _proposal_table(proposals)
    if judgements:
        yield _selector_table(judgements)
    if summary.get("choices"):
        yield _choice_table(summary["choices"])
    for name, content in summary.items():
        if name not in ("about", "pairs", "choices", "unseen", "selectors", "proposals"):
            yield from _measure_tables(name, content, summary["about"]["axes"])


# --- Measures -----------------------------------------------------------------------------------------------


def _measure_tables(name: str, content: Content, axes: Content) -> Iterator[Table]:
    """One table of the plain numbers of a measure, and one of each quantity by layer or the like."""
    title, note = _TITLES.get(name, (_words(name).capitalize(), ""))
    estimates: dict[tuple[str, str, str], dict[str, Content]] = {}
    for (sublayer, benchmark, quantity, language), estimate in leaves(content, 4):
        estimates.setdefault((benchmark, language, sublayer), {})[quantity] = estimate
    quantities = dict.fromkeys(quantity for by_quantity in estimates.values() for quantity in by_quantity)
    plain = [quantity for quantity in quantities if "_by_" not in quantity]
    if plain:
        rows: list[list[TableCell | str]] = [
            [
                *place,
                count(max(estimate["questions"] for estimate in by_quantity.values())),
                *(_estimate(quantity, by_quantity.get(quantity)) for quantity in plain),
            ]
            for place, by_quantity in estimates.items()
        ]
        columns = [*_PLACE, "questions", *map(_words, plain)]
        unit = "" if all(map(_is_number, plain)) else _SHARES
        yield table(title, f"{note} {unit}".strip(), columns, rows)
    for quantity in quantities:
        axis = quantity.partition("_by_")[2]
        if axis in _LAYERS:
            by_layer: list[list[TableCell | str]] = [
                [*place, *(_value(quantity, value) for value in by_quantity[quantity]["value"])]
                for place, by_quantity in estimates.items()
                if quantity in by_quantity
            ]
            columns = [*_PLACE, *map(str, axes[axis])]
            yield table(f"{title}: {_words(quantity)}", _axis_note(quantity, axis), columns, by_layer)


def _estimate(quantity: str, estimate: Content | None) -> TableCell:
    if estimate is None:
        return TableCell(NOTHING)
    cell = number if _is_number(quantity) else share
    return cell(estimate["value"], estimate["low"], estimate["high"])


def _value(quantity: str, value: float | None) -> TableCell:
    return number(value) if _is_number(quantity) else share(value)


def _is_number(quantity: str) -> bool:
    return quantity.endswith("perplexity") or "quantiles" in quantity or "log_probability" in quantity


def _axis_note(quantity: str, axis: str) -> str:
    unit = "In %"
    if _is_number(quantity):
        unit = "In nats" if "log_probability" in quantity else "Perplexity"
    over = {"tries": "by the number of pairs tried", "level": "at these quantiles"}
    return f"{unit}, {over.get(axis, f'by {_words(axis)}, counted from 0')}."


def _words(name: str) -> str:
    return name.replace("_", " ")


# --- Pairs, unseen questions, selectors ---------------------------------------------------------------------


def _choice_table(content: Content) -> Table:
    rows: list[list[TableCell | str]] = [
        [
            *(benchmark, language, sublayer, strategy),
            *map(count, choice["pair"]),
            count(choice["candidates"]),
            count(choice["tied"]),
            number(100 * choice["chosen_again"]),
        ]
        for (sublayer, benchmark, language, strategy), choice in leaves(content, 4)
    ]
    note = (
        "The pair of layers that each strategy takes, chosen on the pilot questions; layers from 0. Tied: "
        "the pairs, of those that it chose from, that answer as many questions; where all tie, nothing is "
        "chosen and the first is applied. Chosen again: in % of draws of the pilot questions."
    )
    columns = ["strategy", "source layer", "target layer", "chosen from", "tied", "chosen again"]
    return table("Chosen pairs", note, [*_PLACE, *columns], rows)


def _unseen_table(content: Content) -> Table:
    rows: list[list[TableCell | str]] = []
    for sublayer, of_sublayer in content.items():
        for score in of_sublayer["scores"]:
            row: list[TableCell | str] = [
                score["benchmark"],
                score["language"] or "mean",
                sublayer,
                score["name"],
            ]
            row += [share(score["score"], *score["interval"])]
            change = score["difference"]
            row += [share(change["value"], *change["interval"], signed=True)] if change else [NOTHING]
            row += [number(change["p_holm"])] if change else [NOTHING]
            rows.append(row)
    warnings = (warning for of_sublayer in content.values() for warning in of_sublayer["warnings"])
    note = " ".join([_UNSEEN[1], _SHARES, *warnings])
    return table(_UNSEEN[0], note, [*_PLACE, "method", "accuracy", "difference", "p"], rows)


def _proposal_table(content: Content) -> Table:
    rows: list[list[TableCell | str]] = [
        [
            *(benchmark, pair["sublayer"]),
            *map(count, (pair["source_layer"], pair["target_layer"])),
            number(pair["value"], pair["low"], pair["high"]),
            number(pair["change"]),
            pair["settings"],
        ]
        for benchmark, proposal in content.items()
        for pair in proposal["pairs"]
    ]
    note = " ".join([PROPOSALS, *proposal_lines(content)])
    columns = ["benchmark", "sub-layer", "source layer", "target layer", "over the control", "change"]
    return table("Where to connect", note, [*columns, "settings of cctuning train"], rows)


def _selector_table(judgements: Sequence[Judgement]) -> Table:
    rows: list[list[TableCell | str]] = []
    for judgement in judgements:
        questions = "unseen" if judgement.unseen else "pilot"
        together = TableCell(judgement.candidates_text, max(judgement.candidates.values()))
        for language, verdicts in [*judgement.languages.items(), ("mean", judgement.mean)]:
            for verdict in verdicts:
                row: list[TableCell | str] = [
                    judgement.benchmark,
                    language,
                    judgement.sublayer,
                    questions,
                    _words(verdict.name),
                ]
                row += [_score(verdict.accuracy), _score(verdict.over_original, signed=True)]
                row += [_score(verdict.over_fixed_pair, signed=True), count(verdict.pairs)]
                row.append(
                    count(judgement.candidates[language]) if language in judgement.candidates else together
                )
                rows.append(row)
    columns = [*_PLACE, "questions", "selector", "accuracy", "over original", "over fixed pair"]
    columns += ["pairs chosen", "candidates"]
    left_out = {
        f"{_words(name)}: {why}" for judgement in judgements for name, why in judgement.left_out.items()
    }
    note = " ".join([_SELECTORS[1], _SHARES, *(f"Left out: {line}." for line in sorted(left_out))])
    return table(_SELECTORS[0], note, columns, rows)


def _score(score: AccuracyEstimate | None, *, signed: bool = False) -> TableCell:
    if score is None:
        return share(None)
    return share(score.value, *(score.interval or (None, None)), signed=signed)
