"""Which base rows are drawn, and what the rows of each kind hold."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.data.rows import Row
from cctuning.preparation.sdrrl.draw import SHARES, Pick, draw
from cctuning.preparation.sdrrl.kinds import (
    TranslatedAnswer,
    answered_row,
    halved_row,
    halved_text,
    halves,
    needs_translation,
    switched_row,
)
from cctuning.preparation.sdrrl.switching import ParallelText, Switchable
from cctuning.preparation.sdrrl.words import split_pieces, word_places


def row(number: int, language: str = "sw", *, output_en: str | None = None) -> Row:
    return Row(
        id=str(number),
        instruction=f"swali {number}",
        instruction_en=f"question {number}",
        output=f"jibu {number}",
        language=language,
        output_en=output_en,
        file="rows.jsonl",
        number=number,
    )


def everything(kind: str, row: Row) -> bool:
    return True


# --- Drawing ------------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(0, 5), st.randoms(use_true_random=False))
def test_each_language_gives_its_share_and_the_order_of_languages_does_not_matter(count, seed, rng):
    rows = [row(number, "sw") for number in range(count)] + [row(number + 1000, "th") for number in range(90)]
    picks, short = draw(rows, SHARES, everything, seed=seed)
    for language, size in (("sw", count), ("th", 90)):
        counts = Counter(pick.kind for pick in picks if pick.row.language == language)
        assert counts == Counter({kind: n for kind, share in SHARES.items() if (n := round(share * size))})
    assert not short
    drawn = [(pick.row.language, pick.row.id) for pick in picks]
    assert len(set(drawn)) == len(drawn)  # the shares sum up to less than 1
    thai_first = [one for one in rows if one.language == "th"] + rows[:count]
    assert draw(thai_first, SHARES, everything, seed=seed) == (picks, short)


def test_another_seed_draws_others():
    rows = [row(number) for number in range(100)]
    first, second = (draw(rows, SHARES, everything, seed=seed)[0] for seed in (1, 2))
    assert {pick.row.id for pick in first if pick.kind == "target"} != {
        pick.row.id for pick in second if pick.kind == "target"
    }


def test_an_english_item_is_asked_once_and_english_rows_serve_that_kind_alone():
    rows = [row(number, language) for language in ("sw", "th", "en") for number in range(50)]
    picks, short = draw(rows, {"english": 0.5, "target": 0.5}, everything, seed=0)
    english = [pick.row.instruction_en for pick in picks if pick.kind == "english"]
    assert len(set(english)) == len(english) == 50
    assert [(one.language, one.kind, one.wanted, one.drawn) for one in short] == [("th", "english", 25, 0)]
    assert {pick.row.language for pick in picks if pick.kind == "target"} == {"sw", "th"}


def test_what_cannot_serve_is_passed_over_and_counted():
    rows = [row(number) for number in range(20)]
    picks, short = draw(rows, {"target": 0.5}, lambda kind, one: int(one.id) < 4, seed=0)
    assert {pick.row.id for pick in picks} == {"0", "1", "2", "3"}
    assert (short[0].wanted, short[0].drawn) == (10, 4)


# --- Rows ---------------------------------------------------------------------------------------------------

SAID = TranslatedAnswer("the answer", "jibu lenyewe")


def made(kind: str, english_first: bool = False) -> Row:
    return answered_row(Pick(kind, row(7), english_first), SAID, "Swahili")


def test_rows_with_the_answer():
    english, target = made("english"), made("target")
    assert (english.language, english.instruction, english.instruction_en) == (
        "en",
        "question 7",
        "question 7",
    )
    assert (english.output, english.output_en) == ("the answer", "the answer")
    assert (target.language, target.instruction, target.instruction_en) == ("sw", "swali 7", "question 7")
    assert (target.output, target.output_en) == ("jibu lenyewe", "the answer")


def test_rows_across_the_languages():
    to_english, from_english = made("cross"), made("cross", english_first=True)
    assert to_english.instruction == "swali 7\n\nAnswer in English."
    assert to_english.instruction_en == "question 7\n\nAnswer in English."
    assert (to_english.language, to_english.output) == ("sw", "the answer")
    assert from_english.instruction == from_english.instruction_en == "question 7\n\nAnswer in Swahili."
    assert (from_english.language, from_english.output) == ("en", "jibu lenyewe")


@pytest.mark.parametrize(
    ("kind", "english_first", "expected"),
    [
        ("switched_prompt", False, ("sw", "cat moja", "question 7", "jibu lenyewe")),
        ("switched_prompt", True, ("en", "one paka", "question 7", "the answer")),
        ("switched_response", False, ("sw", "swali 7", "question 7", "cat moja")),
        ("switched_response", True, ("en", "question 7", "question 7", "one paka")),
    ],
)
def test_code_switched_rows(kind, english_first, expected):
    texts = (
        Switchable(split_pieces("one cat"), {2: "paka"}),
        Switchable(split_pieces("paka moja"), {0: "cat"}),
    )
    pick = Pick(kind, row(7), english_first)
    one = switched_row(pick, SAID, texts, share=1, rng=random.Random(0))
    assert (one.language, one.instruction, one.instruction_en, one.output) == expected
    none = (Switchable(["one"], {}), Switchable(["moja"], {}))
    assert switched_row(pick, SAID, none, share=1, rng=random.Random(0)) is None


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("english_first", [False, True])
def test_a_translation_is_asked_for_exactly_where_a_row_needs_it(kind, english_first):
    """The row is made with an answer that has no translation: that must fail exactly where one is needed."""
    pick = Pick(kind, row(7), english_first)
    if kind in ("partial_translation", "completion"):
        assert not needs_translation(pick)
        return
    if kind == "switched_response":  # the aligner needs both versions of the answer
        assert needs_translation(pick)
        return
    said = TranslatedAnswer("the answer", None)
    texts = (Switchable(["a"], {0: "b"}), Switchable(["b"], {0: "a"}))
    try:
        if kind == "switched_prompt":
            switched_row(pick, said, texts, share=1, rng=random.Random(0))
        else:
            answered_row(pick, said, "Swahili")
        failed = False
    except AssertionError:
        failed = True
    assert failed == needs_translation(pick)


def test_ids_differ_in_each_language():
    ids = Counter()
    for language in ("sw", "th"):
        for kind in ("target", "cross"):
            for english_first in (False, True):
                if kind == "target" and english_first:
                    continue
                one = answered_row(Pick(kind, row(7, language), english_first), SAID, "?")
                ids[one.language, one.id] += 1
    assert set(ids.values()) == {1} and len(ids) == 6


# --- Texts cut in two ---------------------------------------------------------------------------------------

SPACED = st.lists(st.sampled_from(["one", "1/4", "push-ups", "(two)", "“three”", "vier,"]), min_size=2).map(
    " ".join
)


@given(SPACED, st.floats(0, 1))
def test_the_halves_of_a_text_with_blanks_are_the_text(text, share):
    start, rest = halves(text, share)
    assert f"{start} {rest}" == text


@given(
    st.lists(st.sampled_from(["购买", "家具", "空间", "。", "，"]), min_size=1).map("".join), st.floats(0, 1)
)
def test_the_halves_of_a_text_without_blanks_are_the_text(text, share):
    places = word_places(split_pieces(text))
    if len(places) < 2:
        return
    start, rest = halves(text, share)
    assert start and start + rest == text


@pytest.mark.parametrize(("share", "words"), [(0.0, 1), (0.3, 3), (0.5, 5), (0.7, 7), (1.0, 9)])
def test_the_start_has_its_share_of_words(share, words):
    start, _ = halves("a b c d e f g h i j", share)
    assert len(start.split()) == words


def test_rows_of_halves():
    text = ParallelText("the first part and then the rest", "sehemu ya kwanza na kisha mengine yote hapa")
    for kind in ("completion", "partial_translation"):
        one = halved_row(Pick(kind, row(7), False), text, "Swahili", rng=random.Random(1))
        start, start_en = one.instruction.split("\n\n")[-1], one.instruction_en.split("\n\n")[-1]
        assert f"{start} {one.output}" == text.other and f"{start_en} {one.output_en}" == text.english
        assert one.instruction.removesuffix(start) == one.instruction_en.removesuffix(start_en)
        assert ("Swahili" in one.instruction and text.english in one.instruction) == (kind != "completion")
        assert one.language == "sw"


def test_the_response_is_cut_before_the_prompt_and_short_texts_are_not():
    long = "a b c d e f g h"
    full = row(1, output_en=long)
    assert halved_text(full) is None  # its own response is short
    assert halved_text(Row("1", f"{long} x", f"{long} y", "z", "sw", None, "f", 1)) == (
        f"{long} y",
        f"{long} x",
    )
    both = Row("1", f"{long} x", f"{long} y", f"{long} r", "sw", f"{long} s", "f", 1)
    assert halved_text(both) == (f"{long} s", f"{long} r")
