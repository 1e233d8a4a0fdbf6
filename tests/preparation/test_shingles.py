"""Texts as n-grams: against sets of strings, in every script."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.preparation.shingles import (
    FRAME_COUNT,
    distinctive,
    frame,
    grams,
    jaccard,
    normalised,
    shingles,
)
from tests.preparation.texts import grams as naive_grams
from tests.preparation.texts import jaccard as naive_jaccard
from tests.preparation.texts import story

TEXTS = st.text(st.sampled_from("abcdeABC  ,.!?éß123\n"), max_size=60)


@given(TEXTS)
def test_there_are_as_many_as_there_are_grams(text):
    assert shingles(text).size == len(naive_grams(text, 5))


@given(TEXTS, TEXTS)
def test_similarity_is_that_of_the_sets(first, second):
    assert jaccard(shingles(first), shingles(second)) == naive_jaccard(first, second, 5)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("何が日本の首都ですか東京です", 3),
        ("한국의 수도는 서울입니다", 3),
        ("中国的首都是北京", 3),
        ("𠀀𠀁𠀂𠀃𠀄", 3),
        ("यह एक वाक्य है जिसमें मात्राएँ हैं", 5),
        ("ประเทศไทยมีเมืองหลวงชื่อกรุงเทพ", 5),
        ("Столица России", 5),
        ("mostly Latin, with 東京 in it", 5),
    ],
)
def test_the_width_fits_the_script(text, width):
    assert shingles(text).size == len(naive_grams(text, width))


@pytest.mark.parametrize("text", ["", "  ", "?!", "\n"])
def test_nothing_is_empty(text):
    assert shingles(text).size == 0


@pytest.mark.parametrize("text", ["a", "Paris", "4", "東"])
def test_a_short_text_is_one_shingle(text):
    assert shingles(text).size == 1


def test_what_does_not_count():
    assert normalised("  Was,\nIST (das)？ ") == normalised("was ist das")
    assert normalised("Ｆｕｌｌ ｗｉｄｔｈ") == "full width"
    assert normalised("कि") != normalised("की")  # marks are letters' better half


LEAD, END = "Please answer this question. ", "\nYour answer is this one:"


def test_the_frame_is_what_many_texts_share():
    generator = random.Random(0)
    asked = [story(generator, 4) for _ in range(40)]
    texts = [grams(f"{LEAD}{one}{END}") for one in asked]
    shared = frame(texts)
    assert set(shingles(LEAD)) | set(shingles(END)) <= set(shared)
    assert frame(texts[: FRAME_COUNT - 1]).size == 0
    assert frame([]).size == 0
    # What is left of each is the question, and nothing of its seams.
    assert [distinctive(text, shared).tolist() for text in texts] == [shingles(one).tolist() for one in asked]


def test_a_frequent_word_leaves_no_gap_around_it():
    text, word = "where the silver bridge crosses the river", "silver"
    assert set(distinctive(grams(text), shingles(word)).tolist()) == set(shingles(text)) - set(shingles(word))


@given(st.text("ab ", max_size=40), st.text("ab ", max_size=40))
def test_what_is_own_is_in_the_text_and_not_in_the_frame(text, left_out):
    assert set(distinctive(grams(text), shingles(left_out))) <= set(shingles(text)) - set(shingles(left_out))
    assert distinctive(grams(text), shingles("")).tolist() == shingles(text).tolist()
