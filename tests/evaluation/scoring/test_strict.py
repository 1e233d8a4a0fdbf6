"""The strict scores: which options are read, and which answers are equal."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.evaluation.scoring.options import named_options
from cctuning.evaluation.scoring.short_answers import answer_words
from cctuning.evaluation.scoring.strict import exact_match, exact_option, f1
from tests.evaluation.scoring.made_responses import choice, short

DEGREES = ("0", "4 and up", "4", "none of them")


@pytest.mark.parametrize(
    ("response", "named"),
    [
        # brackets of any style, in any place
        *(
            (response, "B")
            for response in ("(B)", "（B）", "[b]", "【Ｂ】", "{B}", "so ( B ) it is", "\\boxed{B}")
        ),
        ("(A), or rather (B), no: (A)", "BA"),
        ("(B), not D", "B"),
        # the label alone
        *(
            (response, "B")
            for response in ("B", " b.", "**B**", "Ｂ", "B. some text", "B) x", "B: x", "答案是B")
        ),
        ("The answer is B.", "B"),
        ("Answer: B", "B"),
        ("A: no, B", "AB"),
        # several of them
        *(
            (response, "AB")
            for response in (
                "A, B",
                "A,B",
                "A and B",
                "It is A or B.",
                "both A & B",
                "A/B",
                "A\nB",
                "A或B",
                "A หรือ B",
            )
        ),
        *((response, "BCD") for response in ("B, C, D", "B, C and D", "B、C和D")),
        ("A man said B", "B"),
        ("Not A. It is B", "B"),
        # nothing of a word or number
        *(
            (response, "")
            for response in ("ABBA", "B2", "vitamin-B", "I like b", "B.5 m", "", "E", "(E)", "x.B")
        ),
        # texts, as whole words; within a longer one a shorter one does not count
        ("It is 4 and up", "B"),
        ("It is 4", "C"),
        ("4 or 4 and up", "CB"),
        ("NONE of them!", "D"),
        ("14", ""),
    ],
)
def test_what_is_read(response, named):
    item = choice("B", DEGREES, labels="ABCD")
    assert named_options(response, item) == list(named)
    assert exact_option(response, item) == (named == "B")


@pytest.mark.parametrize("response", ["1 and 2", "1, 2", "1/2", "१ और २", "1,2", "1或2", "1,234", "1 1 2"])
@pytest.mark.parametrize("gold", "12")
def test_two_of_two_options_are_no_answer(response, gold):
    assert exact_option(response, choice(gold, ("inawezekana", "haiwezekani"), labels="12")) == 0


def test_a_last_word_that_was_asked_so_is_no_label():
    texts = ("vitamin C", "What is known as vitamin A", "vitamin  b", "none")
    item = choice("B", texts, labels="ABCD")
    assert named_options("What is known as vitamin A", item) == ["B"]
    assert named_options("That is Vitamin B.", item) == ["C"]
    assert named_options("It is known as A", item) == ["A"]
    assert named_options("vitamin D", item) == ["D"]
    asked = replace(item, prompt="If matrix A is regular, what is A?")
    assert named_options("It depends on matrix A", asked) == []
    assert named_options("The answer is A", asked) == ["A"]


@pytest.mark.parametrize(
    ("language", "response", "named"),
    [
        ("ar", "(ب)", "B"),
        ("ar", "ب", "B"),
        ("ar", "الجواب هو ب.", "B"),
        ("ar", "كتاب", ""),
        ("ru", "(Б)", "B"),
        ("ru", "(В)", ""),  # the third, or what looks like B: not to be told
        ("el", "(Β)", "B"),
        ("hi", "(बी)", "B"),
        ("bn", "খ", "B"),
        ("th", "(ข)", "B"),
        ("en", "(ب)", ""),
    ],
)
def test_letters_of_the_language(language, response, named):
    assert named_options(response, choice("B", DEGREES, language, labels="ABCD")) == list(named)


@pytest.mark.parametrize("response", ["(२)", "२", "(2)", "（２）", "②", "उत्तर २", "तटस्थ", "2. तटस्थ"])
def test_digits_of_any_script(response):
    assert exact_option(response, choice("2", ("निहित", "तटस्थ", "विरोधाभास"), "hi")) == 1


def test_equal_texts_cannot_be_told_apart():
    item = choice("1", ("same", "same", "other"))
    assert named_options("same", item) == ["1", "2"]
    assert exact_option("same", item) == 0
    assert exact_option("(1) same", item) == 1


def test_an_item_without_options():
    with pytest.raises(ValueError, match="id 0: a choice has options"):
        exact_option("(1)", short("1"))
    with pytest.raises(ValueError, match="id 0: a choice has options"):
        named_options("(1)", short("1"))


EQUAL = [
    ("en", "3", "3.0"),
    ("en", "the 3 ", "3.0"),
    ("en", "1,234", "1234.0"),
    ("de", "1.234", "1234.0"),
    ("de", "3,5", "3.5"),
    ("ru", "10 000", "10000.0"),
    ("ru", "10\u00a0000", "10000.0"),
    ("ar", "٣", "3.0"),
    ("ar", "٣٫٥", "3.5"),
    ("ar", "١٬٢٣٤", "1234"),
    ("hi", "१९९२", "1992"),
    ("th", "๒๕", "25.0"),
    ("zh", "２５", "25.0"),
    ("zh", "3集", "3.0 集"),
    ("zh", "1945年5月8日", "1945-05-08"),
    ("ko", "1945년 5월 8일", "1945-05-08"),
    ("de", "8.5.1945", "1945-05-08"),
    ("en", "The Beatles!", "beatles"),
    ("en", '"Nairobi"', "NAIROBI"),
    ("de", "ein Hund", "der Hund"),
    ("es", "La Habana", "habana"),
    ("vi", "những con mèo", "con mèo"),
    ("ar", "قاهرة", "القاهرة"),
    ("it", "l’Avana", "Avana"),
    ("el", "Ο ΠΥΡΓΟΣ", "πύργος".replace("ύ", "υ")),
    ("tr", "ISPARTA", "ısparta"),
    ("ja", "東京。", " 東京"),
    ("ja", "ﾄｳｷｮｳ", "トウキョウ"),
    ("en", "cafe\u0301", "CAFÉ"),
    ("en", "a", "A"),
    ("hi", "१,००,०००", "100000.0"),
    ("en", "1,00,000", "100,000"),
    ("bn", "১২,৩৪,৫৬৭", "1234567"),
    ("de", "10'000", "10.000"),
    ("en", "-5", "−5.0"),
    ("en", "+5", "5"),
    ("en", "-0", "0"),
    ("fa", "كتاب", "کتاب"),
    ("ur", "پاكستاني", "پاکستانی"),
    ("ar", "على", "علي"),
    ("uk", "п'ять", "п’ять"),
    ("uz", "o'zbek", "oʻzbek"),
    ("el", "ΝΙΚΟΣ", "Νίκος"),
    ("el", "μία Ἀθήνα", "ΑΘΗΝΑ"),
    ("th", "กรุงเทพฯ", "กรุงเทพ"),
    ("am", "፯", "7"),
    ("en", "½", "1/2"),
]
UNEQUAL = [
    ("en", "3", "30"),
    ("en", "1.234", "1234"),
    ("de", "1,234", "1234"),
    ("en", "10 000", "10000"),
    ("en", "8.5.1945", "1945-08-05"),
    ("en", "1945-13-40", "1945 13 40x"),
    ("en", "", "the"),
    ("en", "a", "the"),
    ("tr", "ISPARTA", "isparta"),
    ("en", "9.3.6", "9.36"),
    ("hi", "किताब", "कताब"),
    ("en", "-5", "5"),
    ("de", "5", "-5,0"),
    ("en", "1,00", "100"),
    ("en", "1,0,000", "10000"),
    ("es", "papá", "papa"),
    ("en", "1990-1995", "1990 -1995"),
]


@pytest.mark.parametrize(("language", "response", "answer"), EQUAL)
def test_equal_answers(language, response, answer):
    assert exact_match(response, short("something else", answer, language=language)) == 1
    assert f1(response, short("something else", answer, language=language)) == 1


@pytest.mark.parametrize(("language", "response", "answer"), UNEQUAL)
def test_unequal_answers(language, response, answer):
    assert exact_match(response, short(answer, language=language)) == 0


def test_f1_counts_words():
    assert f1("in the old Nairobi", short("Nairobi city", "Kenya")) == pytest.approx(
        2 * (1 / 3 * 1 / 2) / (5 / 6)
    )
    assert f1("北京市", short("北京", language="zh")) == pytest.approx(2 * (2 / 3 * 1) / (5 / 3))
    assert f1("no no no", short("no")) == pytest.approx(2 * (1 / 3 * 1) / (4 / 3))
    assert f1("Mombasa", short("Nairobi")) == 0
    assert f1("1945", short("1945-05-08")) == pytest.approx(2 * (1 / 3 * 1) / (4 / 3))
    assert f1("...", short("Nairobi")) == 0
    assert f1("", short("...")) == 1


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["en", "ar", "de", "tr", "fr", "zh"]))
def test_bounds_and_symmetry(left, right, language):
    score = f1(left, short(right, language=language))
    assert 0 <= score <= 1
    assert score == f1(right, short(left, language=language))
    assert exact_match(left, short(right, language=language)) <= score
    assert exact_match(left, short(left, language=language)) == 1
    assert answer_words(left, language) == answer_words(f"  {left}\n", language)
