import pytest

from cctuning.data.fields import field_fault, is_blank, is_english, shown, type_name


@pytest.mark.parametrize(
    "text", ["", " \n\u3000", "\u200b\ufeff\u2060", "\u200e\u00ad", "\ufe0f\u3164", "\0\x1b"]
)
def test_text_with_nothing_to_see_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", ".", "\u200d👩", "\u0301", "\ue000", " ไ ", "-"])
def test_text_with_something_to_see_is_not(text):
    assert not is_blank(text)


def test_what_is_no_text_is_not_blank():
    assert is_blank(None) and not is_blank(0) and not is_blank([])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "true or false"),
        (1, "a number"),
        (1.5, "a number"),
        (b"x", "bytes"),
        ({}, "an object"),
        (None, "null"),
    ],
)
def test_types_have_the_names_of_json(value, name):
    assert type_name(value) == name


def test_nan_is_told_from_a_number():
    assert type_name(float("nan")).startswith("NaN")


def test_a_text_beyond_the_longest_is_a_fault_that_does_not_show_it():
    fault = field_fault("output", "x" * 10_000_001, True)
    assert fault == "has 10,000,001 characters, and the longest text that is read has 10,000,000"


def test_a_long_value_is_shortened_in_a_message():
    assert len(field_fault("language", "x" * 1000, True)) < 200
    assert shown("de") == "'de'" and len(shown("x" * 1000)) < 100


@pytest.mark.parametrize("code", ["en", "EN_us", "eng", "en-GB"])
def test_english_codes(code):
    assert is_english(code) and not is_english(f"{code}x"[1:])
