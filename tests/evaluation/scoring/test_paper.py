"""The papers' rules against a second implementation: their description as regular expressions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.evaluation.scoring.paper import (
    contains_answer,
    names_letter,
    names_option,
    names_option_or_text,
)
from tests.evaluation.scoring.made_responses import (
    CHOICES,
    REAL,
    SHORT_ANSWERS,
    answer_responses,
    choice,
    option_responses,
    own_choices,
    real_items,
    short,
)

BLANK = r"[\s\x1c-\x1f]*"


def naming(labels, texts=(), brackets=r"[(（]{}[)）]"):
    """For each label, one expression that matches a response that names it."""
    labels, texts = list(labels), list(texts) or [None] * len(labels)
    for label, text in zip(labels, texts, strict=True):
        ways = [brackets.format(re.escape(label)), rf"\A{BLANK}{re.escape(label)}{BLANK}\Z"]
        # Brackets are made ASCII in the response alone: a text with full-width ones is never found.
        if text is not None and not set(text) & set("（）"):
            ways.append("".join({"(": "[(（]", ")": "[)）]"}.get(c, re.escape(c)) for c in text))
        yield label, re.compile("|".join(f"(?:{way})" for way in ways))


def described(response, item, rule):
    """The verdict by the description: the gold option is named, and no other."""
    gold = item.answers[0]
    if rule is names_letter:
        patterns = naming([chr(65 + n) for n in range(26)], brackets=r"\({}\)")
        response = "".join(character.upper() for character in response)
    else:
        texts = item.options.values() if rule is names_option_or_text else ()
        patterns = naming(item.options, texts)
    verdicts = {label: bool(pattern.search(response)) for label, pattern in patterns}
    return verdicts.pop(gold) and not any(verdicts.values())


def described_containment(response, item):
    response = list(response.lower())
    golds = [list(answer.lower()) for answer in item.answers]
    return any(
        response[start : start + len(gold)] == gold
        for gold in golds
        for start in range(len(response) - len(gold) + 1)
    )


def rules(item):
    yield names_option
    yield names_option_or_text
    if set(item.options) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        yield names_letter


def test_choices_are_judged_as_described():
    verdicts = set()
    for item in own_choices():
        for response in option_responses(item):
            for rule in rules(item):
                score = rule(response, item)
                assert score == described(response, item, rule), (response, item, rule)
                verdicts.add((rule, score))
    assert len(verdicts) == 6  # every rule said both


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("(2)", 1),
        ("（2）", 1),
        (" 2\n", 1),
        ("neutral", 0),
        ("Neutral", 1),
        ("It is Neutral.", 1),
        ("2.", 0),
        ("(2) (3)", 0),
        ("(2) Contradict", 0),
        ("Neutral, no: Entail", 0),
        ("[2]", 0),
        ("", 0),
    ],
)
def test_nli(response, score):
    assert names_option_or_text(response, choice("2", ("Entail", "Neutral", "Contradict"))) == score


def test_a_text_within_another_is_never_right_by_its_text():
    item = choice("2", ("agree", "disagree", "none"))
    assert names_option_or_text("disagree", item) == 0
    assert names_option_or_text("(2)", item) == 1
    assert names_option_or_text("agree", choice("1", ("agree", "disagree", "none"))) == 1


def test_texts_name_nothing_by_the_rule_of_labels():
    item = choice("2", ("Entail", "Neutral", "Contradict"))
    assert names_option("Neutral", item) == 0
    assert names_option("(2) Contradict", item) == 1


def test_letters_in_any_case_and_all_26_of_them():
    item = choice("B", ("yes", "no"), labels="AB")
    for response, score in {"(b)": 1, "b": 1, "(B) (c)": 0, "（B）": 0, "(B) (ii)": 1, "(B) or a": 1}.items():
        assert names_letter(response, item) == score, response


@pytest.mark.parametrize(
    ("response", "answers", "score"),
    [
        ("It was NAIROBI.", ("Nairobi",), 1),
        ("3", ("3.0",), 0),
        ("13.05", ("3.0",), 1),
        ("anything", ("",), 1),
        ("München", ("MÜNCHEN",), 1),
        ("b", ("a", "b"), 1),
        ("b", (" b",), 0),
    ],
)
def test_containment(response, answers, score):
    assert contains_answer(response, short(*answers)) == score


@given(st.text(alphabet="123()（）AaBb \n", max_size=12), st.sampled_from("123"))
def test_any_response_to_a_choice(response, gold):
    item = choice(gold, ("A", "Ab", "b"))
    for rule in (names_option, names_option_or_text):
        assert rule(response, item) == described(response, item, rule)


@given(st.text(max_size=30), st.lists(st.text(max_size=3), min_size=1, max_size=3))
def test_any_response_to_a_question(response, answers):
    item = short(*answers)
    assert contains_answer(response, item) == described_containment(response, item)


@pytest.mark.parametrize("answers", [(), ("4",), ("1", "2")])
def test_what_is_no_choice(answers):
    item = choice("1", ("a", "b"))
    broken = type(item)(7, "en", "", "", answers, item.options, file="some.jsonl")
    with pytest.raises(ValueError, match=r"some.jsonl, id 7: a choice has options"):
        names_option("(1)", broken)


@pytest.mark.skipif(REAL is None, reason="CCTUNING_BENCHMARKS names no folder")
@pytest.mark.parametrize("benchmark", CHOICES)
def test_real_choices(benchmark, record_property):
    agreed = dict.fromkeys((0.0, 1.0), 0)
    for item in real_items(benchmark, 100):
        for response in option_responses(item):
            for rule in rules(item):
                score = rule(response, item)
                assert score == described(response, item, rule), (response, item, rule)
                agreed[score] += 1
    print(benchmark, "agreed wrong and right:", agreed)
    if not sum(agreed.values()):
        pytest.skip(f"no {benchmark} in {REAL}")
    assert all(agreed.values())


@pytest.mark.skipif(REAL is None, reason="CCTUNING_BENCHMARKS names no folder")
@pytest.mark.parametrize("benchmark", SHORT_ANSWERS)
def test_real_short_answers(benchmark):
    agreed = dict.fromkeys((0.0, 1.0), 0)
    for item in real_items(benchmark, 100):
        for response in answer_responses(item):
            score = contains_answer(response, item)
            assert score == described_containment(response, item), (response, item)
            agreed[score] += 1
    print(benchmark, "agreed wrong and right:", agreed)
    if not sum(agreed.values()):
        pytest.skip(f"no {benchmark} in {REAL}")
    assert all(agreed.values())
