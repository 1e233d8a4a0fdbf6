"""Texts taken apart and put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.translation import Untranslated
from cctuning.translation.sentences import clauses, put_together, take_apart, translate_by_sentence

LIMIT = 5


def words(texts):
    return [len(text.split()) for text in texts]


def loud(sentences):
    """A translator that shouts; numbers the calls it gets."""
    return [sentence.upper() for sentence in sentences]


def shout(text, *, source="en", target="fr", limit=50):
    [found] = translate_by_sentence([text], loud, words, source=source, target=target, limit=limit)
    return found


def translated(text, source="en"):
    return [piece.text for piece in take_apart(text, source) if not piece.stays]


@given(
    st.text(alphabet="aB. ?!\n\r\t\u3000\u2028(1)（２）、-*`#。5é你", max_size=60),
    st.sampled_from(["en", "zh", "sw"]),
)
def test_the_pieces_are_the_text(text, source):
    assert "".join(piece.text for piece in take_apart(text, source)) == text


@given(st.text(alphabet="aB. ?!\n\t(1)-*`5é", max_size=60))
def test_a_translator_that_changes_nothing_changes_nothing(text):
    pieces = take_apart(text, "en")
    kept = [piece.text for piece in pieces if not piece.stays]
    assert put_together(pieces, kept, "en", "fr") == text


@pytest.mark.parametrize(
    ("text", "source", "sentences"),
    [
        ("Mr. Smith went home. He slept!", "en", ["Mr. Smith went home.", "He slept!"]),
        ("我回家了。你呢？好！", "zh", ["我回家了。", "你呢？", "好！"]),
        ("我回家了。你呢？", "zh-Hans", ["我回家了。", "你呢？"]),
        ("यह क्या है? मैं घर गया।", "hi", ["यह क्या है?", "मैं घर गया।"]),
        ("It cost 3.5 dollars.", "en", ["It cost 3.5 dollars."]),
        ("one\ntwo\r\nthree", "en", ["one", "two", "three"]),
    ],
)
def test_sentences_of_a_language(text, source, sentences):
    assert translated(text, source) == sentences


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("(1) entail", "entail"),
        ("（1）蕴涵", "蕴涵"),
        ("  (A)  yes", "yes"),
        ("(أ) نعم", "نعم"),
        ("[3]: no", "no"),
        ("2. second", "second"),
        ("B) second", "second"),
        ("- item", "item"),
        ("### Title", "Title"),
        ("1、第一", "第一"),
        # and what is no label
        ("(see) that", "(see) that"),
        ("A friend", "A friend"),
        ("3.5 metres", "3.5 metres"),
        ("2019 was good", "2019 was good"),
        ("-5 degrees", "-5 degrees"),
    ],
)
def test_labels_stay_and_the_words_behind_them_are_translated(line, words):
    assert translated(line) == [words]
    assert shout(line) == line.replace(words, words.upper())


@pytest.mark.parametrize(
    "text",
    ["", "   \n", "12 + 3 = 15", "(1)\n(2)", "https://example.org/a", "a@b.org", "```\ncode\n```", "!?"],
)
def test_what_holds_no_words_stays(text):
    assert translated(text) == []
    assert shout(text) == text


def test_code_stays_and_the_text_around_it_does_not():
    text = "Run this:\n```python\nprint(1)\n```\nNow."
    assert shout(text) == "RUN THIS:\n```python\nprint(1)\n```\nNOW."


@pytest.mark.parametrize(
    ("text", "source", "target", "joined"),
    [
        ("One. Two.\nThree.", "en", "fr", "ONE. TWO.\nTHREE."),
        ("One. Two.", "en", "zh", "ONE.TWO."),
        ("One. Two.", "en", "ja", "ONE.TWO."),
        ("一a。二b。\n三c。", "zh", "en", "一A。 二B。\n三C。"),
        ("一a。二b。", "zh", "ja", "一A。二B。"),
        ("(1) One.  Two.", "en", "fr", "(1) ONE.  TWO."),
    ],
)
def test_blanks_between_sentences_are_those_of_the_target(text, source, target, joined):
    assert shout(text, source=source, target=target) == joined


def test_a_sentence_of_several_texts_is_translated_once():
    asked = []

    def translate(sentences):
        asked.extend(sentences)
        return loud(sentences)

    texts = ["One. Two.", "Two.\nThree.", "One."]
    found = translate_by_sentence(texts, translate, words, source="en", target="fr", limit=50)
    assert found == ["ONE. TWO.", "TWO.\nTHREE.", "ONE."]
    assert sorted(asked) == ["One.", "Three.", "Two."]


def test_a_long_sentence_is_cut_at_commas_into_as_few_parts_as_fit():
    sentence = "one two, three four, five six seven, eight"
    assert clauses(sentence, words, LIMIT) == ["one two, three four,", "five six seven, eight"]
    assert shout(f"{sentence}.", limit=LIMIT) == "ONE TWO, THREE FOUR, FIVE SIX SEVEN, EIGHT."


def test_one_that_cannot_be_cut_takes_its_text_along_and_no_other():
    asked = []

    def translate(sentences):
        asked.extend(sentences)
        return loud(sentences)

    texts = ["One. a b c d e f g", "Two."]
    found = translate_by_sentence(texts, translate, words, source="en", target="fr", limit=LIMIT)
    assert found == [Untranslated("has a sentence of 7 tokens, and the translator reads 5"), "TWO."]
    assert asked == ["Two."]


@pytest.mark.parametrize(
    ("result", "reason"), [(Untranslated("no"), "no"), ("", "has an empty translation of 'Two.'")]
)
def test_a_text_with_a_sentence_that_was_not_translated_is_not_translated(result, reason):
    def translate(sentences):
        return [result if sentence == "Two." else sentence for sentence in sentences]

    found = translate_by_sentence(
        ["One.\nTwo.", "One."], translate, words, source="en", target="fr", limit=50
    )
    assert found == [Untranslated(reason), "One."]


def test_a_line_at_which_the_library_panics_is_one_sentence():
    line = "B\u3000.#\u3002"
    assert "".join(piece.text for piece in take_apart(line, "zh")) == line
