"""The model's answers: the same as without a file, also after interruptions; and what is wrong with them."""

import pytest

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.data.prompts import PromptFormat
from cctuning.generation.generate import answer
from cctuning.preparation.sdrrl.answers import (
    AnswersError,
    EnglishAnswer,
    answer_fault,
    answer_faults,
    english_answers,
    question_faults,
)
from tests.json_lines import read_lines
from tests.tiny import tiny_llama, tiny_tokenizer

QUESTIONS = [
    "Capital of Kenya?",
    "Capital of Peru?",
    "Hi",
    "Capital of Kenya?",
    "Capital of France and Japan?",
]
HOW = {"model_name": "tiny@1", "max_new_tokens": 8, "batch_size": 2}


@pytest.fixture(scope="module")
def prompts():
    return PromptFormat(tiny_tokenizer())


@pytest.fixture(scope="module")
def model(prompts):
    return tiny_llama(len(prompts.tokenizer), initializer_range=0.3).eval()


class Counting:
    """A model that counts the prompts it is asked, and can be stopped."""

    def __init__(self, model, stop_after=None):
        self.model, self.asked, self.stop_after = model, 0, stop_after

    def generate(self, input_ids, **options):
        if self.stop_after is not None and self.asked >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += len(input_ids)
        return self.model.generate(input_ids=input_ids, **options)

    def __getattr__(self, name):
        if name == "fuse":
            raise AttributeError(name)
        return getattr(self.model, name)


def test_answers_are_those_of_the_model(model, prompts, tmp_path):
    told = []
    found = english_answers(
        model,
        prompts,
        QUESTIONS,
        kept=tmp_path / "answers.jsonl",
        progress=lambda done, total: told.append((done, total)),
        **HOW,
    )
    expected = answer(model, prompts, QUESTIONS, max_new_tokens=8, batch_size=1)
    assert found.keys() == set(QUESTIONS)
    assert [found[question].text for question in QUESTIONS] == [one.text for one in expected]
    assert told == [(2, 4), (4, 4)]


def test_a_connected_run_is_connected_to_the_question_itself(prompts, tmp_path):
    connected = CCTuningModel.wrap(
        tiny_llama(len(prompts.tokenizer), initializer_range=0.3), ConnectionConfig(pooling="mean")
    ).eval()
    found = english_answers(connected, prompts, QUESTIONS, kept=tmp_path / "answers.jsonl", **HOW)
    both = answer(connected, prompts, QUESTIONS, english=QUESTIONS, max_new_tokens=8)
    alone = answer(connected, prompts, QUESTIONS, max_new_tokens=8)
    assert [found[question].text for question in QUESTIONS] == [one.text for one in both]
    assert [one.text for one in both] != [one.text for one in alone]


def test_a_stopped_run_goes_on_and_asks_nothing_twice(model, prompts, tmp_path):
    whole, kept = tmp_path / "whole.jsonl", tmp_path / "kept.jsonl"
    expected = english_answers(model, prompts, QUESTIONS, kept=whole, **HOW)
    with pytest.raises(KeyboardInterrupt):
        english_answers(Counting(model, stop_after=2), prompts, QUESTIONS, kept=kept, **HOW)
    with kept.open("a", encoding="utf-8") as file:
        file.write('{"model": "tiny@1", "max_new')  # as a kill may leave it
    rest = Counting(model)
    assert english_answers(rest, prompts, QUESTIONS, kept=kept, **HOW) == expected
    assert rest.asked == 2
    assert kept.read_bytes() == whole.read_bytes()


def test_answers_of_another_model_template_or_length_do_not_count(model, prompts, tmp_path):
    kept = tmp_path / "answers.jsonl"
    english_answers(model, prompts, QUESTIONS, kept=kept, **HOW)
    for other in ({"model_name": "tiny@2"}, {"max_new_tokens": 9}):
        again = Counting(model)
        english_answers(again, prompts, QUESTIONS, kept=kept, **{**HOW, **other})
        assert again.asked == 4
    doubled = Counting(tiny_llama(len(prompts.tokenizer), initializer_range=0.3).double().eval())
    english_answers(doubled, prompts, QUESTIONS, kept=kept, **HOW)
    assert doubled.asked == 4
    again = Counting(model)
    english_answers(again, PromptFormat(tiny_tokenizer("qwen")), QUESTIONS, kept=kept, **HOW)
    assert again.asked == 4
    again = Counting(model)
    english_answers(again, prompts, QUESTIONS, kept=kept, **HOW)
    assert again.asked == 0


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"model": "tiny@1"}', "7"])
def test_a_file_of_something_else(model, prompts, tmp_path, line):
    kept = tmp_path / "answers.jsonl"
    kept.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(AnswersError, match=r"answers\.jsonl, line 1: is no line of a file of answers"):
        english_answers(model, prompts, QUESTIONS, kept=kept, **HOW)
    assert kept.read_text(encoding="utf-8") == line + "\n"


@pytest.mark.parametrize(
    ("text", "stopped", "fault"),
    [
        ("", True, "is empty"),
        ("\u200b \n", True, "is empty"),
        ("The capital of Kenya is", False, "does not end within the limit"),
        ("The capital city of Kenya is called Nairobi.", True, None),
        ("Die Hauptstadt von Kenia heißt natürlich Nairobi.", True, "is not in English"),
        ("Мой дорогой друг, столица Кении называется Найроби.", True, "is not in English"),
        ("22", True, None),
        ("Oui.", True, None),  # too short to tell
    ],
)
def test_what_is_wrong_with_an_answer(text, stopped, fault):
    found = answer_fault(EnglishAnswer(text, stopped))
    assert found == fault
    assert answer_faults({"q": EnglishAnswer(text, stopped)}) == ({"q": fault} if fault else {})


def test_questions_that_cannot_be_asked(model, prompts):
    long = "x " * 300
    faults = question_faults(model, prompts, ["Hi", "Say </s> twice", long], max_new_tokens=8)
    assert faults.keys() == {"Say </s> twice", long}
    assert "holds </s>" in faults["Say </s> twice"] and "512 tokens" in faults[long]
    exact = model.config.max_position_embeddings - len(prompts.prompt_ids("Hi"))
    assert not question_faults(model, prompts, ["Hi"], max_new_tokens=exact)
    assert question_faults(model, prompts, ["Hi"], max_new_tokens=exact + 1)


def test_the_file_can_be_read_by_people(model, prompts, tmp_path):
    kept = tmp_path / "answers.jsonl"
    english_answers(model, prompts, QUESTIONS, kept=kept, **HOW)
    lines = read_lines(kept)
    assert {line["question"] for line in lines} == set(QUESTIONS)
    names = {"model", "dtype", "template", "max_new_tokens", "question", "answer", "stopped"}
    assert all(line.keys() == names for line in lines)
