from itertools import combinations, pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from cctuning.data.collate import ParallelCollator, bucket_bounds

PROMPTS = st.lists(st.lists(st.integers(3, 9), min_size=1, max_size=12), min_size=1, max_size=9)


def padded_tokens(lengths, bounds):
    return sum(lengths[stop - 1] * (stop - start) for start, stop in pairwise(bounds))


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8), buckets=st.integers(1, 4))
def test_no_other_cut_has_less_padding(lengths, buckets):
    lengths.sort()
    bounds = bucket_bounds(lengths, buckets)
    assert bounds[0] == 0 and bounds[-1] == len(lengths) and sorted(set(bounds)) == bounds
    assert len(bounds) - 1 <= buckets
    inner = range(1, len(lengths))
    cuts = [cut for count in range(buckets) for cut in combinations(inner, count)]
    best = min(padded_tokens(lengths, [0, *cut, len(lengths)]) for cut in cuts)
    assert padded_tokens(lengths, bounds) == best


@given(prompts=PROMPTS, buckets=st.integers(1, 3))
def test_every_row_finds_its_english_prompt_and_none_is_there_twice(prompts, buckets):
    batch = ParallelCollator(pad_token_id=0, english_buckets=buckets).collate_english(prompts)
    flat = [
        row[mask.bool()].tolist()
        for ids, masks in zip(batch["english_input_ids"], batch["english_attention_mask"], strict=True)
        for row, mask in zip(ids, masks, strict=True)
    ]
    assert [flat[index] for index in batch["english_index"]] == prompts
    assert len(flat) == len({tuple(prompt) for prompt in prompts})


@given(sequences=PROMPTS, multiple=st.sampled_from([1, 4, 8]))
def test_padding_is_on_the_right_and_adds_nothing_else(sequences, multiple):
    ids, mask = ParallelCollator(pad_token_id=0, pad_to_multiple_of=multiple).pad(sequences)
    assert ids.shape == mask.shape and ids.shape[1] % multiple == 0
    assert ids.shape[1] - max(map(len, sequences)) < multiple
    for row, tokens, sequence in zip(ids, mask, sequences, strict=True):
        assert row[: len(sequence)].tolist() == sequence
        assert tokens.tolist() == [1] * len(sequence) + [0] * (ids.shape[1] - len(sequence))


def test_labels_are_padded_without_loss():
    example = {"prompt_length": 1, "english_input_ids": [3], "language": 0, "example": 4, "aligned": True}
    rows = [
        {**example, "input_ids": [3, 4], "labels": [-100, 4]},
        {**example, "input_ids": [3, 4, 5], "labels": [-100, 4, 5]},
    ]
    batch = ParallelCollator(pad_token_id=0)(rows)
    assert batch["labels"].tolist() == [[-100, 4, -100], [-100, 4, 5]]
    assert torch.equal(batch["prompt_lengths"], torch.tensor([1, 1]))
    assert "english_input_ids" not in ParallelCollator(pad_token_id=0, english=False)(rows)
