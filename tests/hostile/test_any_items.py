"""Whatever a benchmark file holds, each of its lines becomes an item or a problem that names it."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.data.formats import DataError
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import BadItemsError, read_items, write_items
from cctuning.evaluation.items.known_issues import read_known_issues, without_known_issues
from tests.hostile.benchmark_cases import MKQA
from tests.hostile.test_any_rows import as_line, values

XNLI = {**MKQA, "answer": ["2"], "options": {"1": "yes", "2": "no", "3": "maybe"}}
FIELDS = (*XNLI, "option_texts", "other")
BENCHMARKS = [find_benchmark(name) for name in ("mkqa", "xnli", "globalopinionqa")]
good = st.sampled_from([MKQA, XNLI])
almost = st.builds(lambda row, field, value: {**row, field: value}, good, st.sampled_from(FIELDS), values)
rows = st.dictionaries(st.sampled_from(FIELDS), values, max_size=8)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(BENCHMARKS), st.lists(good | almost | rows | values, max_size=3))
def test_each_row_is_an_item_or_has_problems(benchmark, records):
    first = {**(XNLI if benchmark.kind == "choice" else MKQA), "id": "the first"}
    records = [first, *records]  # the kind of the file is told by its first bytes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / benchmark.title / "sw.jsonl"
        path.parent.mkdir()
        path.write_bytes(b"\n".join(map(as_line, records)))
        try:
            items = read_items(folder, benchmark, "sw")
        except BadItemsError as error:
            assert {problem.file for problem in error.problems} == {str(path)}
            assert {problem.number for problem in error.problems} <= set(range(1, len(records) + 1))
            assert {problem.field for problem in error.problems} <= {*FIELDS, ""}
            return
        except DataError as error:  # about the file as a whole
            assert str(error).startswith(str(path))
            return
        assert [item.number for item in items] == list(range(1, len(records) + 1))
        write_items(path, items)  # what was taken can be written, and is read as the same
        assert read_items(folder, benchmark, "sw") == items


@settings(deadline=None, max_examples=50)
@given(values | st.dictionaries(st.just("MKQA"), values | st.dictionaries(st.just("sw"), values)))
def test_any_known_faults_leave_items_out_or_are_an_error_that_names_the_file(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "anomalies.json"
        path.write_text(json.dumps(content))
        (Path(folder) / "MKQA").mkdir()
        (Path(folder) / "MKQA" / "sw.jsonl").write_bytes(as_line(MKQA))
        try:
            faults = read_known_issues(folder)
        except DataError as error:
            assert str(error).startswith(str(path.resolve()))
            return
        items = read_items(folder, BENCHMARKS[0], "sw")
        kept, left_out = without_known_issues(items, faults, BENCHMARKS[0])
        assert len(kept) + len({id for ids in left_out.values() for id in ids}) == len(items)
