"""Which pairs are drawn, and that their outputs are those of one prompt at a time."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.connection.model import CCTuningModel
from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.data.encoding import Example, encode
from cctuning.data.prompts import PromptFormat
from cctuning.transform.pairs import Pair, english_numbers, pairs_of, sample_pairs, stream_pairs
from tests.models import VOCABULARY, build
from tests.tiny import tiny_rows, tiny_tokenizer

LANGUAGES = ("sw", "th", "ru")


def made_up_pairs(count: int, *, languages=LANGUAGES, shared: int = 1, seed: int = 0) -> list[Pair]:
    """Pairs of random lengths; `shared` pairs in a row have the same English prompt."""
    rng = random.Random(seed)

    def tokens(first: int) -> tuple[int, ...]:
        return (first, *(rng.randrange(3, VOCABULARY) for _ in range(rng.randrange(1, 9))))

    pairs: list[Pair] = []
    english = tokens(0)
    for number in range(count):
        english = english if number % shared else (number, *tokens(1))
        language = languages[number % len(languages)]
        pairs.append(Pair(str(number // shared), language, tokens(2), english))
    return pairs


def vocabulary_pairs(count: int, **kwargs) -> list[Pair]:
    """The same with ids that the model knows."""
    return [
        Pair(pair.id, pair.language, pair.prompt_ids, tuple(token % VOCABULARY for token in pair.english_ids))
        for pair in made_up_pairs(count, **kwargs)
    ]


@pytest.fixture
def model():
    return CCTuningModel.wrap(build("llama"), ConnectionConfig(embedding="mean")).eval()


# --- Which pairs --------------------------------------------------------------------------------------------


def test_pairs_are_the_two_prompts_of_a_row():
    prompts = PromptFormat(tiny_tokenizer())
    rows = [row for row in tiny_rows(8) if row.language != "en"]
    examples, _ = encode(rows, prompts, cutoff_len=400, english_cutoff_len=400)
    pairs = pairs_of(examples)
    assert [pair.id for pair in pairs] == [row.id for row in rows]
    assert pairs[0].prompt_ids == tuple(prompts.prompt_ids(rows[0].instruction))
    assert pairs[0].english_ids == tuple(prompts.prompt_ids(rows[0].instruction_en))


def test_rows_in_english_are_left_out():
    examples, _ = encode(tiny_rows(8), PromptFormat(tiny_tokenizer()), cutoff_len=400, english_cutoff_len=400)
    assert {pair.language for pair in pairs_of(examples)} == {"sw", "ru", "th"}
    assert len(pairs_of(examples)) == 6


def test_a_response_is_no_part_of_a_pair():
    example = Example(tiny_rows(1)[0], [5, 6, 7, 8], 2, [9], 0)
    assert pairs_of([example])[0].prompt_ids == (5, 6)


def test_a_sample_has_the_size_asked_for_and_no_pair_on_both_sides():
    pairs = made_up_pairs(300)
    sample = sample_pairs(pairs, 100, held_out=0.2, seed=0)
    assert (len(sample.fit), len(sample.held_out)) == (100, 20)
    assert not set(sample.fit) & set(sample.held_out)


def test_languages_get_equal_shares_in_every_first_part():
    pairs = made_up_pairs(300, languages=("sw", "sw", "sw", "th", "ru"))
    sample = sample_pairs(pairs, 100, held_out=0.2, seed=0)
    for part in (sample.fit[:9], sample.fit[:30], sample.fit, sample.held_out):
        counts = [sum(pair.language == language for pair in part) for language in LANGUAGES]
        assert max(counts) - min(counts) <= 1


def test_a_language_with_few_rows_leaves_its_share_to_the_others():
    pairs = made_up_pairs(300, languages=("sw",) * 20 + ("th",))
    sample = sample_pairs(pairs, 100, held_out=0.1, seed=0)
    assert len(sample.fit) == 100
    assert sum(pair.language == "th" for pair in [*sample.fit, *sample.held_out]) > 10


@given(
    count=st.integers(6, 40),
    shared=st.integers(1, 3),
    wanted=st.integers(2, 60),
    held_out=st.floats(0.05, 0.9),
    seed=st.integers(0, 9),
    shuffle=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_properties_of_samples(count, shared, wanted, held_out, seed, shuffle):
    pairs = made_up_pairs(count, shared=shared)
    sample = sample_pairs(pairs, wanted, held_out=held_out, seed=seed)
    assert sample.fit and sample.held_out
    assert len(sample.fit) <= wanted
    assert len(set(sample.fit) | set(sample.held_out)) == len(sample.fit) + len(sample.held_out)
    assert not {pair.english_ids for pair in sample.fit} & {pair.english_ids for pair in sample.held_out}
    shuffled = random.Random(shuffle).sample(pairs, len(pairs))
    assert sample_pairs(shuffled, wanted, held_out=held_out, seed=seed) == sample
    assert sample_pairs(pairs, wanted // 2 or 1, held_out=held_out, seed=seed).fit


def test_another_seed_draws_other_pairs():
    pairs = made_up_pairs(300)
    assert sample_pairs(pairs, 100, held_out=0.2, seed=0) != sample_pairs(pairs, 100, held_out=0.2, seed=1)


def test_too_few_pairs_are_shared_out():
    sample = sample_pairs(made_up_pairs(55), 1000, held_out=0.1, seed=0)
    assert (len(sample.fit), len(sample.held_out)) == (50, 5)


def test_pairs_that_cannot_be_split_are_an_error():
    with pytest.raises(ValueError, match="3 pairs with 1 different English prompts"):
        sample_pairs(made_up_pairs(3, shared=3), 10, held_out=0.1, seed=0)
    with pytest.raises(ValueError, match="rows that are not in English"):
        sample_pairs([], 10, held_out=0.1, seed=0)


def test_pairs_with_one_english_prompt_have_one_number():
    assert english_numbers(made_up_pairs(7, shared=3)) == [0, 0, 0, 1, 1, 1, 2]


# --- Their outputs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("shared", [1, 3])
def test_outputs_are_those_of_one_prompt_at_a_time(model, batch_size, shared):
    pairs = vocabulary_pairs(10, shared=shared)
    seen = []
    for batch in stream_pairs(model, pairs, pad_token_id=0, batch_size=batch_size):
        seen += batch.indices
        assert not batch.F.requires_grad and not batch.F_en.requires_grad
        for place, index in enumerate(batch.indices):
            prompt = torch.tensor([pairs[index].prompt_ids])
            english = torch.tensor([pairs[index].english_ids])
            torch.testing.assert_close(batch.F[place], model.sublayer_outputs(prompt)[0].detach())
            torch.testing.assert_close(batch.F_en[place], model.sublayer_outputs(english)[0].detach())
            embedding = model.get_input_embeddings()(prompt)[0].mean(0).detach()
            torch.testing.assert_close(batch.embeddings[place], embedding.to(batch.embeddings.dtype))
    assert sorted(seen) == list(range(10))


def test_pairs_of_like_length_share_a_batch(model):
    pairs = vocabulary_pairs(40)
    longest = [
        max(len(pairs[index].prompt_ids) for index in batch.indices)
        for batch in stream_pairs(model, pairs, pad_token_id=0, batch_size=8)
    ]
    assert longest == sorted(longest, reverse=True)


def test_no_pairs_give_no_batches(model):
    assert list(stream_pairs(model, [], pad_token_id=0)) == []
