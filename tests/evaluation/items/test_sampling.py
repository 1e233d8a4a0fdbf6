"""The papers' samples, against what is known of them."""

import json
import os
import random
from pathlib import Path

import pytest

from cctuning.evaluation.benchmarks import BENCHMARKS, find_benchmark
from cctuning.evaluation.items.sampling import sample_positions
from cctuning.preparation.benchmark_sets import benchmark_set

FOLDER = os.environ.get("CCTUNING_BENCHMARKS")
MAPS = Path(FOLDER).parent / "id_maps.json" if FOLDER else None
TOTALS = {"xnli": 5010, "xquad": 1190, "xcopa": 500}


def positions(name, set_):
    return list(benchmark_set(find_benchmark(name), set_, seed=666).positions(TOTALS[name]))


def test_a_sample_is_what_the_global_generator_draws_with_that_seed():
    random.seed(666)
    expected = sorted(random.sample(range(5010), 1000))
    state = random.getstate()
    assert sample_positions(range(5010), 1000) == expected
    assert random.getstate() == state
    assert sample_positions(range(7), 7) == sample_positions(range(7), None) == list(range(7))


def test_xquads_pilot_set_is_the_one_that_is_known():
    assert positions("xquad", "pilot")[:6] == [20, 28, 29, 34, 44, 70]


@pytest.mark.parametrize(("name", "size"), [("xnli", 1000), ("xquad", 1140), ("xcopa", 450)])
def test_pilot_and_unseen_sets_have_the_papers_sizes_and_nothing_in_common(name, size):
    pilot, unseen = positions(name, "pilot"), positions(name, "unseen")
    assert (len(pilot), len(unseen)) == (50, size)
    assert not set(pilot) & set(unseen)


def test_sizes_of_the_other_paper():
    sizes = {name: BENCHMARKS[name].sample_size for name in ("xnli", "xstorycloze", "mmmlu", "mkqa", "xquad")}
    assert sizes == {"xnli": 1000, "xstorycloze": None, "mmmlu": 1000, "mkqa": 1000, "xquad": None}
    assert BENCHMARKS["xlsum"].sample_size == 100


def test_a_set_that_the_paper_does_not_have_is_refused():
    with pytest.raises(ValueError, match="mkqa has no set 'pilot': XTransplant used xnli, xquad"):
        benchmark_set(find_benchmark("mkqa"), "pilot", seed=666)


@pytest.mark.skipif(not (MAPS and MAPS.is_file()), reason="no id_maps.json beside CCTUNING_BENCHMARKS")
def test_the_authors_rows_are_the_ones_that_are_drawn():
    maps = json.loads(MAPS.read_text(encoding="utf-8"))
    rows = maps["benchmarks/XNLI_to_original_test_row"]
    assert positions("xnli", "benchmarks") == rows
    assert positions("xnli", "pilot") == [rows[id_] for id_ in maps["pilot/XNLI"]]
    unseen = positions("xnli", "unseen")
    assert [None if row not in rows else rows.index(row) for row in unseen] == maps["unseen/XNLI"]
    for set_ in ("pilot", "unseen"):
        assert positions("xquad", set_) == maps[f"{set_}/XQuAD"]
        assert positions("xcopa", set_) == maps[f"{set_}/XCOPA_to_original_test_row"]
