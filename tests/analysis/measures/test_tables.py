import csv
import json
from dataclasses import asdict

import numpy as np
import pytest

from cctuning.analysis.measures.summary import MEASURES
from cctuning.analysis.measures.tables import write_tables
from cctuning.analysis.selectors import judge_pilot
from tests.analysis.made import made_grid
from tests.analysis.measures.test_summary import summarised


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, summary = tmp_path_factory.mktemp("study") / "tables", summarised()
    write_tables(folder, summary)
    return folder, summary


def lines(folder, name):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_measure_is_json_and_csv(written):
    folder, summary = written
    csvs = {*MEASURES, "sublayers", "pairs", "choices", "unseen", "unseen_consistency", "proposals"}
    names = {f"{name}.json" for name in summary} | {f"{name}.csv" for name in csvs} | {"overview.md"}
    assert {path.name for path in folder.iterdir()} == names
    for measure, content in summary.items():
        assert json.loads((folder / f"{measure}.json").read_text(encoding="utf-8")) == content


def test_every_number_has_its_line(written):
    folder, summary = written
    for measure in (*MEASURES, "sublayers"):
        expected = {
            (sublayer, benchmark, language, quantity): np.array(estimate["value"], dtype=float)
            .ravel()
            .tolist()
            for sublayer, benchmarks in summary[measure].items()
            for benchmark, quantities in benchmarks.items()
            for quantity, languages in quantities.items()
            for language, estimate in languages.items()
        }
        found: dict[tuple[str, ...], list[float]] = {}
        for row in lines(folder, f"{measure}.csv"):
            key = (row["sublayer"], row["benchmark"], row["language"], row["quantity"])
            found.setdefault(key, []).append(float(row["value"] or "nan"))
        assert list(found) == list(expected), measure
        assert all(np.array_equal(found[key], expected[key], equal_nan=True) for key in expected), measure


def test_a_pair_stands_in_the_line_of_its_layers(written):
    folder, summary = written
    table = summary["bounds"]["ffn"]["xnli"]["accuracy_by_pair"]["de"]
    own = [
        row
        for row in lines(folder, "bounds.csv")
        if [row["sublayer"], row["benchmark"], row["language"], row["quantity"]]
        == ["ffn", "xnli", "de", "accuracy_by_pair"]
    ]
    assert len(own) == 9
    for row in own:
        i, j = int(row["source_layer"]), int(row["target_layer"])
        assert float(row["value"]) == table["value"][i][j]
        assert float(row["ci95_low"]) == table["low"][i][j]
        assert float(row["ci95_high"]) == table["high"][i][j]
        assert (row["tries"], row["questions"]) == ("", "5")


def test_places_on_other_axes(written):
    folder, summary = written
    axes = summary["about"]["axes"]
    for measure, quantity, axis in [
        ("bounds", "right_by_tries", "tries"),
        ("bounds", "bound_by_target_layer", "target_layer"),
        ("perplexity", "quantiles_by_level", "level"),
        ("perplexity", "histogram_by_bin", "bin"),
    ]:
        own = [row for row in lines(folder, f"{measure}.csv") if row["quantity"] == quantity]
        places = [float(row[axis]) for row in own]
        assert places[: len(axes[axis])] == axes[axis]


def test_pairs_and_unseen_scores(written):
    folder, summary = written
    row = lines(folder, "pairs.csv")[0]
    pair = summary["pairs"]["ffn"]["xnli"]["en"]["overall"]
    assert list(row.values()) == ["ffn", "xnli", "en", "overall", *map(str, pair)]
    choice = summary["choices"]["ffn"]["xnli"]["en"]["overall"]
    row = lines(folder, "choices.csv")[0]
    assert (int(row["tied"]), int(row["candidates"])) == (choice["tied"], 9)
    assert float(row["chosen_again"]) == choice["chosen_again"]
    rows = lines(folder, "unseen.csv")
    scores = [score for own in summary["unseen"].values() for score in own["scores"]]
    assert [float(row["accuracy"]) for row in rows] == [score["score"] for score in scores]
    for row, score in zip(rows, scores, strict=True):
        low, high = score["interval"]
        expected = [score["benchmark"], score["language"] or "mean", score["name"], score["score"], low, high]
        expected += [score["questions"]]
        if change := score["difference"]:
            low, high = change["interval"]
            expected += [
                change["value"],
                low,
                high,
                change["p"],
                change["only_baseline"],
                change["only_this"],
            ]
            expected += [change["mcnemar_p"], change["p_holm"]]
        else:
            expected += [None] * 8
        assert list(row.values())[1:] == ["" if one is None else str(one) for one in expected]


def test_a_summary_without_unseen_questions(tmp_path, written):
    _, summary = written
    write_tables(tmp_path, summary | {"unseen": {}, "sublayers": {}})
    assert lines(tmp_path, "unseen.csv") == []
    assert "Unseen" not in (tmp_path / "overview.md").read_text(encoding="utf-8")


def test_selectors_are_lines_of_their_own(tmp_path, written):
    _, summary = written
    rng = np.random.default_rng(0)
    grids = {language: made_grid(rng, language=language) for language in ("de", "fr")}
    judged = judge_pilot(grids, resamples=200)
    write_tables(tmp_path, summary | {"selectors": [asdict(judged)]})
    found = lines(tmp_path, "selectors.csv")
    assert [row["selector"] for row in found] == [verdict.name for verdict in judged.mean] * 4
    assert [row["language"] for row in found[:: len(judged.mean)]] == ["de", "fr", "mean", "pooled"]
    vote = next(verdict for verdict in judged.languages["fr"] if verdict.name == "vote")
    row = next(row for row in found if (row["language"], row["selector"]) == ("fr", "vote"))
    assert (row["asked"], row["benchmark"], int(row["pairs"])) == ("pilot", "xnli", vote.pairs)
    assert {row["candidates"] for row in found} == {str(grids["de"].layers ** 2)}
    assert float(row["over_original"]) == vote.over_original.value
    assert float(row["over_fixed_pair_ci95_low"]) == vote.over_fixed_pair.interval.low
    original = next(row for row in found if (row["language"], row["selector"]) == ("fr", "original"))
    assert (original["over_original"], original["pairs"]) == ("", "")


def test_candidates_of_several_languages_are_a_number_where_they_are_the_same(tmp_path, written):
    _, summary = written
    grids = {language: made_grid(np.random.default_rng(0), language=language) for language in ("de", "fr")}
    judged = asdict(judge_pilot(grids, resamples=20)) | {"candidates": {"de": 3, "fr": 2}}
    write_tables(tmp_path, summary | {"selectors": [judged]})
    found = {row["language"]: row["candidates"] for row in lines(tmp_path, "selectors.csv")}
    assert found == {"de": "3", "fr": "2", "mean": "", "pooled": ""}
