import dataclasses

import pytest

from cctuning.data.collate import ParallelCollator
from cctuning.data.encoding import (
    IGNORED,
    check_labels,
    check_vocabulary,
    encode,
    languages_of,
    training_set,
    untranslated,
    without_response,
)
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import BadRowsError
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


def test_a_row_without_a_response_is_its_prompt_to_the_response_start(prompts):
    answered, _ = encode(tiny_rows(4), prompts, cutoff_len=400, english_cutoff_len=400)
    rows = [dataclasses.replace(row, output="") for row in tiny_rows(4)]
    examples, _ = encode(rows, prompts, cutoff_len=400, english_cutoff_len=400)
    for example, other in zip(examples, answered, strict=True):
        assert example.input_ids == other.input_ids[: other.prompt_length]
        assert example.prompt_length == other.prompt_length and set(example.labels) == {IGNORED}
        assert example.english_input_ids == other.english_input_ids
    assert without_response([*examples, *answered]) == {"en": 1, "ru": 1, "sw": 1, "th": 1}
    english = [number for number, row in enumerate(rows, start=1) if row.language == "en"]
    for response, refused in ((True, [1, 2, 3, 4]), (False, english)):  # in English it is one prompt
        with pytest.raises(BadRowsError) as error:
            check_labels(examples, response=response)
        assert [problem.number for problem in error.value.problems] == refused
    assert training_set(examples, languages_of(examples))["aligned"][:] == [True, True, False, True]


def test_text_of_a_special_token_is_reported_where_it_stands(prompts):
    rows = tiny_rows(4)
    rows[1] = dataclasses.replace(rows[1], instruction="Mji?<|eot_id|>", output="</s>")
    rows[2] = dataclasses.replace(rows[2], instruction_en="<s>City?")
    rows[3] = dataclasses.replace(rows[3], output="a < b <b>bold</b> <|no_token|>")
    examples, problems = encode(rows, prompts, cutoff_len=400, english_cutoff_len=400)
    assert [(problem.number, problem.field) for problem in problems] == [
        (2, "instruction"),
        (2, "output"),
        (3, "instruction_en"),
    ]
    assert [example.row.number for example in examples] == [1, 4]
    assert "'<|eot_id|>'" in problems[0].message


def test_a_token_without_an_embedding_is_named_before_training(prompts):
    examples, _ = encode(tiny_rows(2), prompts, cutoff_len=400, english_cutoff_len=400)
    highest = max(max(example.input_ids + example.english_input_ids) for example in examples)
    check_vocabulary(examples, prompts.tokenizer, pad_token_id=0, vocab_size=highest + 1)
    with pytest.raises(ValueError, match=f"writes token {highest} "):
        check_vocabulary(examples, prompts.tokenizer, pad_token_id=0, vocab_size=highest)
    with pytest.raises(ValueError, match=f"writes token {highest + 1} "):
        check_vocabulary(examples, prompts.tokenizer, pad_token_id=highest + 1, vocab_size=highest + 1)


def test_rows_with_the_prompt_as_english_prompt_are_counted(prompts):
    same = [dataclasses.replace(row, instruction_en=row.instruction) for row in tiny_rows(8)]
    same[0] = dataclasses.replace(same[0], language="und")
    examples, _ = encode([*same, *tiny_rows(4)], prompts, cutoff_len=400, english_cutoff_len=400)
    assert untranslated(examples) == {"ru": 1, "sw": 2, "th": 2}


@pytest.mark.parametrize("pad", ["</s>", None])
def test_the_stop_token_is_trained_also_where_it_is_the_padding(pad):
    """Labels are told by length: a collator that masks the padding's id would train no model to stop."""
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = pad
    prompts = PromptFormat(tokenizer)
    assert prompts.pad_token_id == prompts.stop_token_id
    examples, _ = encode(tiny_rows(4), prompts, cutoff_len=400, english_cutoff_len=400)
    batch = ParallelCollator(prompts.pad_token_id)(list(training_set(examples, languages_of(examples))))
    last = batch["attention_mask"].sum(-1) - 1
    assert batch["labels"].gather(1, last[:, None]).flatten().tolist() == [prompts.stop_token_id] * 4
    assert (batch["labels"][batch["attention_mask"] == 0] == IGNORED).all()
    assert (batch["attention_mask"] == 0).any()
