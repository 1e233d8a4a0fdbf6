"""Whatever the lengths of a batch, it holds each row's tokens and labels where they belong, and no others."""

from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.data.collate import ParallelCollator
from cctuning.data.encoding import IGNORED, Example, training_set
from tests.tiny import tiny_rows

PAD = 2
ids = st.integers(0, 300) | st.just(PAD)  # padding is told by the mask, never by the id
tokens = st.lists(ids, min_size=1, max_size=12)


@st.composite
def examples(draw):
    prompts = draw(st.lists(tokens, min_size=1, max_size=3))
    return [
        Example(row, prompt + draw(tokens), len(prompt), draw(st.sampled_from(prompts)), 0)
        for row in tiny_rows(draw(st.integers(1, 6)))
        for prompt in [draw(tokens)]
    ]


def collate(batch, **options):
    languages = sorted({example.row.language for example in batch})
    return ParallelCollator(pad_token_id=PAD, **options)(list(training_set(batch, languages)))


@settings(deadline=None, max_examples=50)
@given(examples(), st.sampled_from([1, 4]))
def test_what_is_masked_in_is_each_rows_tokens(rows, multiple):
    batch = collate(rows, pad_to_multiple_of=multiple)
    for row, ids, mask in zip(rows, batch["input_ids"], batch["attention_mask"], strict=True):
        assert ids[mask.bool()].tolist() == row.input_ids
        assert mask.tolist() == sorted(mask.tolist(), reverse=True)  # on the left, without a gap
        assert (ids[~mask.bool()] == PAD).all()


@settings(deadline=None, max_examples=50)
@given(examples())
def test_exactly_the_response_tokens_carry_a_label(rows):
    batch = collate(rows)
    for row, ids, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        response = torch.zeros_like(labels, dtype=torch.bool)
        response[row.prompt_length : len(row.input_ids)] = True
        assert torch.equal(labels != IGNORED, response)
        assert torch.equal(labels[response], ids[response])
    assert batch["prompt_lengths"].tolist() == [row.prompt_length for row in rows]


@settings(deadline=None, max_examples=50)
@given(examples(), st.integers(1, 4))
def test_every_row_finds_its_english_prompt_in_few_buckets_without_a_double(rows, buckets):
    batch = collate(rows, english_buckets=buckets)
    parts = list(zip(batch["english_input_ids"], batch["english_attention_mask"], strict=True))
    flat = [ids[mask.bool()].tolist() for part in parts for ids, mask in zip(*part, strict=True)]
    assert [flat[place] for place in batch["english_index"]] == [row.english_input_ids for row in rows]
    assert sorted(map(tuple, flat)) == sorted({tuple(row.english_input_ids) for row in rows})
    assert 1 <= len(parts) <= buckets
    for shorter, longer in pairwise(ids.shape[1] for ids, _ in parts):
        assert shorter <= longer
    for ids, mask in parts:
        assert ids.shape[1] == mask.sum(-1).max()  # no wider than its longest prompt
