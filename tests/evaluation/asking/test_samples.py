"""What a response becomes: judged, scored, and its language named."""

import dataclasses

import pytest

from cctuning.evaluation.asking.questions import Prompt, Question
from cctuning.evaluation.asking.samples import make_samples
from cctuning.evaluation.asking.tasks import Task
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.benchmark import Benchmark, Metric
from cctuning.evaluation.items.item import Item

RESPONSE = {
    "doc_id": 7,
    "last_tokens": "the end",
    "new_tokens": 3,
    "stopped": True,
    "connected": False,
    "layer": None,
}
SWAHILI = "Mji mkuu wa nchi ya Kenya ni Nairobi, mji mkubwa sana."
ENGLISH = "The capital of this large country is the city of Nairobi."


def sample(text, *, kind="short_answer", prompting="original", likelihoods=None, **changes):
    judged = []
    metric = Metric("accuracy", "paper", lambda response, item: judged.append(response) or 1.0)
    benchmark = Benchmark("made_up", "Made up", kind, ("sw",), (metric,), questions=None)
    options = {"1": "ndiyo", "2": "hapana"} if kind == "choice" else None
    item = Item(7, "sw", "swali", "question", ("2",), options, {"subject": "capitals"})
    task = Task(dataclasses.replace(benchmark, **changes), "sw", [Question(item, Prompt("swali", [1]), None)])
    response = RESPONSE | {"response": text} | ({"log_likelihoods": likelihoods} if likelihoods else {})
    [made] = make_samples(task, [response], prompting=prompting)
    assert made["filtered_resps"] == judged
    assert made["details"] == {"subject": "capitals"}
    return made


def test_all_of_a_response_is_judged_and_of_a_chain_of_thought_its_end():
    assert sample("all of it")["filtered_resps"] == ["all of it"]
    assert sample("all of it", prompting="cot")["filtered_resps"] == ["the end"]
    named = sample("It is (1)? No, (2). Yes.", kind="choice", prompting="cot")
    assert named["filtered_resps"] == ["(2)"]


@pytest.mark.parametrize(("text", "consistent"), [(SWAHILI, 1.0), (ENGLISH, 0.0), ("42", None)])
def test_a_free_text_is_consistent_with_the_language_that_was_asked_in(text, consistent):
    assert sample(text)["scores"].get("language_consistency,none") == consistent
    in_english = sample(text, asked_in_english=True)["scores"].get("language_consistency,none")
    assert in_english == (None if consistent is None else 1 - consistent)


@pytest.mark.parametrize(
    ("response", "gold", "english", "score"),
    [
        ("Germany", "Almanya", ["Germany"], 1.0),
        ("In GERMANY.", "Almanya", ["Deutschland", "Germany"], 1.0),
        ("Almanya (Germany)", "Almanya", ["Germany"], 0.0),
        ("Fransa", "Almanya", ["Germany"], 0.0),
        ("Paris", "Paris", ["paris"], None),  # the same word
        ("Texas", "Texas eyaleti", ["Texas"], None),  # its words are right in both
        ("Germany", "Almanya", None, None),
    ],
)
def test_a_short_answer_that_is_right_in_english_words(response, gold, english, score):
    item = Item(1, "tr", "soru", "question", (gold,), None, {"answer_en": english} if english else {})
    task = Task(find_benchmark("mkqa"), "tr", [Question(item, Prompt("soru", [1]), None)])
    [made] = make_samples(task, [RESPONSE | {"response": response}])
    assert made["scores"].get("in_english_words,strict") == score


def test_a_choice_has_no_language():
    made = sample(ENGLISH, kind="choice")
    assert made["response_language"] is None
    assert made["scores"]["language_consistency,none"] == 0  # an explanation in another language
    assert "language_consistency,none" not in sample("(1)", kind="choice")["scores"]


@pytest.mark.parametrize(("second", "right"), [(-1.0, 1.0), (-3.0, 0.0)])
def test_the_likeliest_option_is_the_answer_or_not(second, right):
    made = sample("(1)", kind="choice", likelihoods={"1": -2.0, "2": second})
    assert made["scores"]["accuracy,loglikelihood"] == right
    assert made["log_likelihoods"] == {"1": -2.0, "2": second}
