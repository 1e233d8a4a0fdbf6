import dataclasses

import pytest

from cctuning.examples import IGNORED, encode, languages_of, training_set
from cctuning.prompts import PromptFormat
from tests.tiny import tiny_rows, tiny_tokenizer


@pytest.fixture(scope="module")
def prompts():
    return PromptFormat(tiny_tokenizer())


def test_an_example_is_prompt_response_and_stop_token_and_only_the_response_has_labels(prompts):
    row = tiny_rows(1)[0]
    [example], problems = encode([row], prompts, cutoff_len=200, english_cutoff_len=200)
    assert problems == []
    assert example.input_ids == prompts.prompt_ids(row.instruction) + prompts.response_ids(row.output)
    assert example.english_input_ids == prompts.prompt_ids(row.instruction_en)
    labelled = [label for label in example.labels if label != IGNORED]
    assert labelled == prompts.response_ids(row.output)
    assert example.labels[: example.prompt_length] == [IGNORED] * example.prompt_length
    assert labelled[-1] == prompts.stop_token_id


def test_a_long_response_is_cut_and_counted(prompts):
    row = dataclasses.replace(tiny_rows(1)[0], output="x" * 100)
    length = len(prompts.prompt_ids(row.instruction))
    [example], problems = encode([row], prompts, cutoff_len=length + 3, english_cutoff_len=200)
    assert problems == []
    assert len(example.input_ids) == length + 3
    assert example.truncated == len(prompts.response_ids(row.output)) - 3


@pytest.mark.parametrize(
    ("cutoffs", "field"), [((None, 500), "instruction"), ((500, None), "instruction_en")]
)
def test_a_prompt_that_would_be_cut_is_a_problem_that_names_its_row(prompts, cutoffs, field):
    rows = tiny_rows(3)
    texts = [getattr(row, field) for row in rows]
    longest = max(range(3), key=lambda number: len(prompts.prompt_ids(texts[number])))
    limit = len(prompts.prompt_ids(texts[longest])) - (field == "instruction_en")
    cutoff_len, english_cutoff_len = (limit if cutoff is None else cutoff for cutoff in cutoffs)
    examples, problems = encode(rows, prompts, cutoff_len=cutoff_len, english_cutoff_len=english_cutoff_len)
    assert len(examples) + len(problems) == 3
    named = [(problem.file, problem.number, problem.field) for problem in problems]
    assert ("tiny.jsonl", rows[longest].number, field) in named
    assert all("cutoff_len" in problem.message for problem in problems)


def test_the_training_set_numbers_languages_and_examples(prompts):
    examples, _ = encode(tiny_rows(8), prompts, cutoff_len=200, english_cutoff_len=200)
    languages = languages_of(examples)
    data = training_set(examples, languages)
    assert [languages[number] for number in data["language"]] == [e.row.language for e in examples]
    assert list(data["example"]) == list(range(8))
    assert list(data["length"]) == [len(example.input_ids) for example in examples]
