import csv
import io
import re

from cctuning.reporting.scores import score
from cctuning.reporting.tables import RecordTable, leaves, stacked
from cctuning.stats.bootstrap import Interval
from tests.screen import printed

RECORDS = [
    {"name": "a|b", "score": 0.5, "interval": Interval(0.25, 0.75), "difference": None},
    {"name": "c", "score": None, "interval": None, "difference": {"value": -0.125}},
]
COLUMNS = {
    "model": "name",
    "low": "interval.low",
    "high": "interval.1",
    "difference": "difference.value",
    "shown": lambda record: score(record["score"], record["interval"]),
}


def test_a_cell_is_what_its_path_leads_to_or_empty():
    table = RecordTable.of(COLUMNS, RECORDS)
    rows = [["a|b", 0.25, 0.75, None, "50.0 [25.0, 75.0]"], ["c", None, None, -0.125, ""]]
    assert (table.columns, table.rows) == (list(COLUMNS), rows)
    written = [["" if cell is None else str(cell) for cell in row] for row in rows]
    assert list(csv.reader(io.StringIO(table.csv()))) == [list(COLUMNS), *written]
    assert table.markdown().splitlines()[1:3] == [
        "| --- | ---: | ---: | ---: | ---: |",
        "| a\\|b | 0.25 | 0.75 |  | 50.0 [25.0, 75.0] |",
    ]


def test_html_holds_texts_as_texts():
    page = RecordTable(["a", "<b>"], [["<script>x</script>", None]]).html()
    assert "<script>" not in page and "&lt;script&gt;x&lt;/script&gt;" in page
    assert re.findall(r'<td dir="auto">([^<]*)</td>', page)[1] == ""


def test_records_are_crossed_by_two_of_their_names():
    nested = {"x": {"en": 1, "sw": 2}, "y": {"de": 3, "en": 4}}
    table = RecordTable.crossed("model", dict(leaves(nested, 2)))
    assert table.columns == ["model", "en", "sw", "de"]
    assert table.rows == [["x", 1, 2, ""], ["y", 4, "", 3]]


def test_a_table_that_is_too_wide_goes_on_below():
    languages = ["mean", "en", "sw", "de"]
    table = stacked([RecordTable(["XNLI", *languages], [["accuracy", *"1234"]])], width=30)
    words = printed(table, width=30).split()
    assert words == ["XNLI", "mean", "en", "accuracy", "1", "2", "sw", "de", "accuracy", "3", "4"]
