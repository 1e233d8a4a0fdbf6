"""Near duplicates: against the similarity of every pair."""

import random

import pytest

from cctuning.data.rows import rows_from_records
from cctuning.preparation.near_duplicates import near_duplicates
from tests.preparation.texts import jaccard, row, story


def found(records, threshold=0.8, **more):
    rows, _ = rows_from_records(records)
    return [
        (one.row.number - 1, one.of.number - 1) for one in near_duplicates(rows, threshold=threshold, **more)
    ]


def changed(text, generator, times):
    words = text.split()
    for place in generator.sample(range(len(words)), times):
        words[place] = "changed"
    return " ".join(words)


def test_pairs_are_those_of_the_exact_similarity():
    generator = random.Random(0)
    records = []
    for _ in range(60):
        text = story(generator, 30)
        records += [row(text, "same"), row(changed(text, generator, generator.randrange(6)), "same")]
    pairs = found(records)
    exact = set()
    for later in range(len(records)):
        for earlier in range(later):
            similarity = jaccard(records[later]["instruction"], records[earlier]["instruction"], 5)
            if similarity >= 0.8:
                exact.add((later, earlier))
    assert len(exact) > 20
    assert set(pairs) <= exact
    # Those that are far above the threshold are not missed; close to it, some may be.
    sure = {pair for pair in exact if jaccard(*(records[one]["instruction"] for one in pair), 5) >= 0.9}
    assert {later for later, _ in sure} <= {later for later, _ in pairs}


QUESTION = (
    "Julia played tag with some kids on the green field behind the old school. How many kids were there?"
)


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        (row(QUESTION, "Many."), row(QUESTION.upper() + "!", "many"), True),
        (row(QUESTION, "Many of them."), row(QUESTION, "None at all, as I remember it."), False),
        (row(QUESTION + " 3", "5"), row(QUESTION + " 4", "5"), False),
        (row(QUESTION, "5"), row(QUESTION, "6"), False),
        (row(QUESTION, "5"), row(QUESTION, "5", language="sw"), False),
        (
            row("何人の子どもが古い学校の裏の野原で遊びましたか", "五人"),
            row("何人の子どもが古い学校の裏の野原で遊びましたか？", "五人。"),
            True,
        ),
        (row("a?", "b"), row("A", "b!"), True),
        (row("?!", "..."), row("...", "?"), True),
        (row("a", "b"), row("c", "b"), False),
    ],
)
def test_what_is_a_near_duplicate(first, second, alike):
    assert found([first, second]) == [(1, 0)] * alike


def test_of_several_the_first_stays():
    other = row(story(random.Random(3), 30), "5")
    assert found([row(QUESTION, "5"), other, row(QUESTION, "5"), row(QUESTION, "5")]) == [(2, 0), (3, 0)]


def test_a_frame_does_not_make_rows_alike():
    lead = "Fill in the blank with the right answer, please, and write nothing else than this answer. "
    generator = random.Random(4)
    records = [row(f"{lead}{story(generator, 2)} is in", "Africa") for _ in range(60)]
    assert jaccard(*(record["instruction"] for record in records[:2]), 5) > 0.7
    assert found(records, 0.7) == []


def test_the_same_row_often_is_still_found():
    assert len(found([row(QUESTION, "5")] * 30)) == 29


def test_the_same_rows_give_the_same_result():
    generator = random.Random(5)
    records = [row(changed(QUESTION, generator, 1), "5") for _ in range(50)]
    assert found(records)
    assert found(records) == found(records)
    assert near_duplicates([], threshold=0.8) == []
