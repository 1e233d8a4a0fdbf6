from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cctuning.analysis.measures.unseen import compare_unseen
from cctuning.evaluation.comparison.evaluations import Evaluation, TaskScores, fingerprint, read_evaluation
from cctuning.stats.significance import mcnemar_p
from tests.analysis.made import made_applied, made_grid
from tests.samples import samples, write_evaluation

PAIRS = {"overall": (1, 2), "target_first": (3, 0)}


def applied(languages=("de", "sw"), benchmark="xnli", seed=0):
    rng = np.random.default_rng(seed)
    return [
        made_applied(rng, made_grid(rng, questions=30, language=language, benchmark=benchmark), PAIRS)
        for language in languages
    ]


def by_key(found):
    return {(score["name"], score["benchmark"], score["language"]): score for score in found["scores"]}


def test_accuracies_and_differences_against_loops():
    made = applied()
    found = by_key(compare_unseen(made, resamples=200))
    for one in made:
        for name, answers in [("original", one.target), ("source", one.source), *one.strategies.items()]:
            own = found[name, "xnli", one.language]
            assert own["score"] == pytest.approx(answers.correct.mean())
            if name != "original":
                won = sum(a and not b for a, b in zip(answers.correct, one.target.correct, strict=True))
                lost = sum(b and not a for a, b in zip(answers.correct, one.target.correct, strict=True))
                change = own["difference"]
                assert change["value"] == pytest.approx((won - lost) / 30)
                assert (change["only_this"], change["only_baseline"]) == (won, lost)
                assert change["mcnemar_p"] == mcnemar_p(lost, won)
    mean = found["overall", "xnli", None]["score"]
    assert mean == pytest.approx(np.mean([one.strategies["overall"].correct.mean() for one in made]))


def test_several_benchmarks_have_an_average():
    found = by_key(compare_unseen([*applied(), *applied(benchmark="xcopa", seed=1)], resamples=200))
    parts = [found["overall", benchmark, None]["score"] for benchmark in ("xnli", "xcopa")]
    assert found["overall", "average", None]["score"] == pytest.approx(np.mean(parts))


def evaluation(one, right, *, ids=None, marks=None, folder="outputs/cot"):
    """Another evaluation of the questions of `one`, whose ids are numbers."""
    ids = [int(id) for id in one.questions] if ids is None else ids
    task = TaskScores(
        benchmark=one.benchmark,
        title="XNLI",
        language=one.language,
        parallel=True,
        main_metric="accuracy,paper",
        questions=dict(zip(ids, marks or one.fingerprints, strict=False)),
        scores={"accuracy,paper": dict(zip(ids, map(float, right), strict=False))},
    )
    return Evaluation(Path(folder), {"prompting": "cot"}, {f"{one.benchmark}_{one.language}": task})


def test_another_evaluation_is_compared_on_common_questions():
    one = applied()[0]
    right = np.random.default_rng(9).random(30) < 0.5
    ids = [int(id) for id in one.questions[:20]]
    other = evaluation(one, right, ids=ids, marks=one.fingerprints[:20])
    found = compare_unseen(applied(), {"CoT": other}, resamples=200)
    own = by_key(found)["CoT", "xnli", "de"]
    assert own["questions"] == 20
    assert own["score"] == pytest.approx(right[:20].mean())
    assert own["difference"]["value"] == pytest.approx(right[:20].mean() - one.target.correct[:20].mean())
    assert by_key(found)["original", "xnli", "de"]["questions"] == 30
    assert any("not all were asked" in warning for warning in found["warnings"])


def test_questions_that_only_share_an_id_are_others():
    one = applied()[0]
    marks = ["another question", *one.fingerprints[1:]]
    other = evaluation(one, np.ones(30), marks=marks)
    assert (
        by_key(compare_unseen(applied(), {"CoT": other}, resamples=200))["CoT", "xnli", "de"]["questions"]
        == 29
    )
    strange = evaluation(one, np.ones(30), marks=["another question"] * 30)
    with pytest.raises(ValueError, match=r"CoT \(outputs/cot\) holds none of the unseen questions"):
        compare_unseen(applied(), {"CoT": strange}, resamples=200)


def test_a_folder_of_evaluate_is_another_evaluation(tmp_path):
    rows = samples(languages=("en", "sw"), count=12)
    other = read_evaluation(write_evaluation(tmp_path / "cot", rows, prompting="cot"))
    made = []
    for one in applied(("en", "sw")):
        own = rows["xnli", one.language]
        ids = tuple(str(row["doc_id"]) for row in own)
        marks = tuple(fingerprint(row["doc"], row["target"]) for row in own)
        few = {"target": one.target, "source": one.source, **one.strategies}
        few = {name: replace(own, correct=own.correct[:12], text=own.text[:12]) for name, own in few.items()}
        made.append(
            replace(
                one,
                questions=ids,
                texts=one.texts[:12],
                fingerprints=marks,
                target=few["target"],
                source=few["source"],
                strategies={name: few[name] for name in PAIRS},
            )
        )
    found = by_key(compare_unseen(made, {"CoT": other}, resamples=200))
    right = [row["scores"]["accuracy,paper"] for row in rows["xnli", "sw"]]
    assert found["CoT", "xnli", "sw"]["score"] == pytest.approx(np.mean(right))
    assert found["CoT", "xnli", None]["questions"] == 12


def test_a_name_that_is_taken_is_an_error():
    with pytest.raises(ValueError, match="'overall' is a strategy's name already"):
        compare_unseen(applied(), {"overall": evaluation(applied()[0], np.ones(30))}, resamples=200)


def test_an_evaluation_that_was_asked_otherwise_is_named():
    one = applied()[0]
    other = replace(
        evaluation(one, np.ones(30)),
        config={"prompting": "pim", "max_new_tokens": 1, "template": "own", "dtype": "float32", "limit": 9},
    )
    asked = {"prompting": "original", "max_new_tokens": 8, "template": "own", "dtype": "float32"}
    warned = compare_unseen(applied(), {"tuned": other}, settings=asked, resamples=200)["warnings"]
    assert [warning.split()[0] for warning in warned if " is " in warning][:2] == [
        "prompting",
        "max_new_tokens",
    ]
    assert not any("template" in warning or "limit" in warning for warning in warned)
    warned = compare_unseen(applied(), {"pim": other}, settings=asked, resamples=200)["warnings"]
    assert not any("prompting" in warning for warning in warned)
    assert any("max_new_tokens is 1 in pim, and 8 in original" in warning for warning in warned)


GERMAN, ENGLISH = "Die richtige Antwort ist der zweite Satz.", "The right answer is the second sentence."


def test_language_consistency_of_the_languages_other_than_the_centre():
    """Original answers are in English, the strategies' in German; labels alone do not count."""
    made = []
    for one in applied(("en", "de")):
        texts = tuple((ENGLISH, GERMAN, "(1)") for _ in one.questions)
        english, german = (replace(one.target, text=np.full(30, place, np.int32)) for place in (0, 1))
        short = replace(german, text=np.where(np.arange(30) < 6, 2, 1).astype(np.int32))
        strategies = {"overall": short, "target_first": english}
        made.append(replace(one, texts=texts, target=english, source=german, strategies=strategies))
    found = compare_unseen(made, resamples=200)
    rows = {(score["name"], score["language"]): score for score in found["consistency"]}
    assert {language for _, language in rows} == {"de", None}
    for language in ("de", None):
        assert rows["original", language]["score"] == 0
        assert rows["overall", language]["score"] == 1
        assert rows["overall", language]["questions"] == 24
        assert rows["target_first", language]["score"] == 0
    assert all(score["metric"] == "accuracy,paper" for score in found["scores"])
