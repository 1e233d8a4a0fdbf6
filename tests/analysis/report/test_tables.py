"""Tables of the report, from summaries of which the numbers are known."""

import pytest

from cctuning.analysis.report.contents import tables_of
from cctuning.analysis.report.tables import printable
from tests.analysis.report.studies import made_study

ESTIMATE = {"value": 0.5, "low": 0.25, "high": 0.75, "questions": 4}
LAYERS = {"value": [0.0, None, 1.0], "low": [0, 0, 0], "high": [1, 1, 1], "questions": 4}
AXES = {"source_layer": [0, 1, 2], "level": [0.25, 0.5, 0.75]}


def summary_of(name, quantities):
    return {"about": {"axes": AXES}, name: {"ffn": {"xnli": quantities}}}


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_a_measure_that_nobody_foresaw_has_its_table():
    quantities = {"a_new_share": {"sw": ESTIMATE, "mean": ESTIMATE}, "another": {"sw": ESTIMATE}}
    [table] = tables_of(summary_of("new_measure", quantities))
    assert (table.title, table.note) == ("New measure", "In %, with 95 % intervals.")
    assert table.columns == ["benchmark", "language", "sub-layer", "questions", "a new share", "another"]
    assert texts(table) == [
        ["xnli", "sw", "ffn", "4", "50.0 [25.0, 75.0]", "50.0 [25.0, 75.0]"],
        ["xnli", "mean", "ffn", "4", "50.0 [25.0, 75.0]", "–"],
    ]
    assert [cell.value for cell in table.rows[1]] == [None, None, None, 4, 0.5, None]
    assert table.numeric == [False, False, False, True, True, True]


def test_numbers_by_layer_are_columns():
    [table] = tables_of(summary_of("bounds", {"bound_by_source_layer": {"sw": LAYERS}}))
    assert table.title == "Upper bounds: bound by source layer"
    assert table.columns[3:] == ["0", "1", "2"]
    assert texts(table) == [["xnli", "sw", "ffn", "0.0", "–", "100.0"]]


def test_numbers_by_pair_and_by_bin_are_left_to_the_files():
    quantities = {"accuracy_by_pair": {"sw": LAYERS}, "histogram_by_bin": {"sw": LAYERS}}
    assert list(tables_of(summary_of("bounds", quantities))) == []


def test_perplexities_are_no_shares():
    estimate = {"value": 12.345, "low": 1.0, "high": 1234.5, "questions": 4}
    quantities = {"plain_perplexity": {"sw": estimate}, "quantiles_by_level": {"sw": LAYERS}}
    plain, quantiles = tables_of(summary_of("perplexity", quantities))
    assert texts(plain)[0][4] == "12.3 [1, 1.23e+03]"
    assert texts(quantiles)[0][3:] == ["0", "–", "1"]
    assert quantiles.note == "Perplexity, at these quantiles."


def test_everything_of_a_study_is_there():
    grids, summary, _, judgements = made_study()
    tables = {table.title: table for table in tables_of(summary, judgements)}
    chosen = {tuple(row[:4]): row[4:] for row in texts(tables["Chosen pairs"])}
    for grid in grids:
        choice = summary["choices"][grid.sublayer][grid.benchmark][grid.language]["overall"]
        numbers = [*choice["pair"], choice["candidates"], choice["tied"]]
        own = chosen[grid.benchmark, grid.language, grid.sublayer, "overall"]
        assert own[:4] == list(map(str, numbers))
        assert float(own[4]) == pytest.approx(100 * choice["chosen_again"], abs=1)
    unseen = {tuple(row[:4]): row[4] for row in texts(tables["Unseen questions"])}
    for score in summary["unseen"]["ffn"]["scores"]:
        shown = unseen[score["benchmark"], score["language"] or "mean", "ffn", score["name"]]
        assert shown.startswith(f"{100 * score['score']:.1f} [")
    rows = texts(tables["Which pair for this question?"])
    assert len(rows) == sum(len(judgement.mean) * (1 + len(judgement.languages)) for judgement in judgements)
    verdict = judgements[0].mean[1]
    [row] = [row for row in rows if row[1] == "mean" and row[4] == verdict.name.replace("_", " ")]
    assert row[5].startswith(f"{100 * verdict.accuracy.value:.1f} [")


def test_texts_can_be_written_and_seen():
    assert printable("a\0b\tc\nd\ud83d e\U0001f600") == "a␀b\tc\nd\ufffd e\U0001f600"
    printable("\udc00\ud83d").encode()
