"""Sweeps against a hook and `generate` for every cell, and what a sweep gives beside the tokens."""

import numpy as np
import pytest
import torch

from cctuning.analysis.transplant import SUBLAYERS, PromptPair, sweep, transplant_sweep
from tests.analysis import naive
from tests.models import ARCHITECTURES, build, random_ids

pytestmark = pytest.mark.slow

SOURCE, TARGET = random_ids(7, seed=3), random_ids(9, seed=4)
# The last layer is special as a target, and the first as a source.
PAIRS = [(0, 2), (2, 0), (1, 1), (0, 1)]
CELLS = [(), ((0, 2),), ((2, 0),), ((2, 1), (0, 2)), ((0, 1), (1, 0), (2, 2)), ((1, 2),)]


def expected(model, cells, new, *, source=SOURCE, target=TARGET, sublayer="ffn"):
    return [naive.transplant(model, source, target, cell, sublayer, new).tolist() for cell in cells]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("sublayer", SUBLAYERS)
def test_every_architecture(no_float32, name, sublayer):
    model = build(name)
    tokens = transplant_sweep(model, SOURCE, TARGET, sublayer, PAIRS, max_new_tokens=2)
    assert tokens.tolist() == expected(model, [[pair] for pair in PAIRS], 2, sublayer=sublayer)


@pytest.mark.parametrize("sublayer", ["ffn", "attention"])
@pytest.mark.parametrize("name", ["llama", "qwen2", "mistral_window", "gemma2", "gemma3"])
def test_all_pairs(no_float32, name, sublayer):
    model = build(name)
    tokens = transplant_sweep(model, SOURCE, TARGET, sublayer, max_new_tokens=8)
    assert torch.equal(tokens, naive.grid(model, SOURCE, TARGET, sublayer, 8))
    assert len(set(map(tuple, tokens.tolist()))) > 3


@pytest.mark.parametrize("lengths", [(1, 1), (1, 6), (6, 1), (3, 2), (12, 5), (5, 12)])
def test_prompts_of_all_lengths(no_float32, lengths):
    source, target = (random_ids(length, seed=length) for length in lengths)
    for model in (
        build("mistral_window"),  # a window of 4
        build("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1),
        build("llama", sliding_window=None),
    ):
        tokens = transplant_sweep(model, source, target, pairs=PAIRS, max_new_tokens=6)
        assert tokens.tolist() == expected(model, [[pair] for pair in PAIRS], 6, source=source, target=target)


@pytest.mark.parametrize("sublayer", SUBLAYERS)
def test_several_swaps_at_once_and_none(no_float32, sublayer):
    model = build("llama")
    (result,) = sweep(model, [PromptPair(SOURCE, TARGET)], CELLS, sublayer=sublayer, max_new_tokens=5)
    assert result.tokens.tolist() == expected(model, CELLS, 5, sublayer=sublayer)
    plain = model.generate(TARGET[None], max_new_tokens=5, do_sample=False)[0, len(TARGET) :]
    assert torch.equal(result.tokens[0], plain)


def test_pairs_may_be_lists_and_tensors(no_float32):
    model = build("llama")
    own = transplant_sweep(
        model, SOURCE, TARGET, pairs=[[0, 2], [(0, 2)], [(2, 0), (1, 1)]], max_new_tokens=3
    )
    assert own.tolist() == expected(model, [[(0, 2)], [(0, 2)], [(2, 0), (1, 1)]], 3)
    wanted = expected(model, [[pair] for pair in PAIRS], 3)
    for pairs in (torch.tensor(PAIRS), [tuple(pair) for pair in np.array(PAIRS)]):
        assert transplant_sweep(model, SOURCE, TARGET, pairs=pairs, max_new_tokens=3).tolist() == wanted


def log_probability(model, prompt, answer, cell=(), sublayer="ffn"):
    """One full forward for all of it."""
    return naive.option_log_probabilities(model, SOURCE, prompt, cell, sublayer, [answer])[0]


@pytest.mark.parametrize("name", ["llama", "gemma2", "granite", "bloom"])
def test_log_probabilities_and_activations(no_float32, name):
    model = build(name)
    model.generation_config.repetition_penalty = (
        1.5  # chooses other tokens; log-probabilities are the model's
    )
    (result,) = sweep(model, [PromptPair(SOURCE, TARGET)], CELLS, max_new_tokens=4)
    wanted = [
        log_probability(model, TARGET, answer, cell)
        for cell, answer in zip(CELLS, result.tokens.tolist(), strict=True)
    ]
    torch.testing.assert_close(result.log_probabilities, torch.stack(wanted), rtol=1e-9, atol=1e-9)
    for own, prompt in ((result.source_activations, SOURCE), (result.target_activations, TARGET)):
        torch.testing.assert_close(own, naive.source_outputs(model, prompt, "ffn"), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["llama", "mistral_window", "gemma3", "deepseek_v3", "bloom", "gpt2"])
def test_questions_share_batches_and_cells_are_cut_in_chunks(no_float32, name):
    """Prompts of many lengths, one of a single token: prefixes are padded, and one has none at all."""
    model = build(name)
    lengths = [(5, 9), (2, 3), (7, 1), (3, 12), (4, 9)]
    questions = [PromptPair(random_ids(s, seed=s), random_ids(t, seed=50 + t + s)) for s, t in lengths]
    cells = [(), ((0, 2),), ((1, 0), (2, 1))]
    by_rows = [list(sweep(model, questions, cells, max_new_tokens=4, rows=rows)) for rows in (1, 3, 7, 1000)]
    for question, *results in zip(questions, *by_rows, strict=True):
        source, target = question.source_ids, question.target_ids
        tokens = expected(model, cells, 4, source=source, target=target)
        outputs = naive.source_outputs(model, source, "ffn")
        for result in results:
            assert result.tokens.tolist() == tokens
            torch.testing.assert_close(result.source_activations, outputs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rows", [None, 2])
def test_a_grid_reads_no_more_than_it_must(rows):
    model = build("llama")
    read = naive.tokens_read(model)
    (result,) = sweep(model, [PromptPair(SOURCE, TARGET)], rows=rows)
    assert 0 <= result.token_forwards - sum(read) / 3 < (1 if rows is None else 5)  # rounded up by part
    # Rows into the last layer that begin alike are read on once.
    assert 19 * (3**2 - 3) <= sum(read) / 3 <= 20 * 3**2 + len(SOURCE) + len(TARGET)


def test_rows_that_go_on_alike_are_read_once(no_float32):
    """The last layer's output is in no key: what follows the same first token is the same."""
    model = build("llama")
    source, target = random_ids(3, seed=1), random_ids(4, seed=2)
    cells = [(), ((0, 2),), ((1, 2),), ((2, 2),), ((0, 0), (1, 2)), ((0, 0),), (), ((0, 2),)]
    model.lm_head.weight.data[:60] = 0  # few first tokens
    (result,) = sweep(model, [PromptPair(source, target)], cells, max_new_tokens=6)
    assert result.tokens.tolist() == expected(model, cells, 6, source=source, target=target)
    assert result.token_forwards < 7 + len(cells) + 4 * 5
    torch.testing.assert_close(result.log_probabilities[0], result.log_probabilities[6])
    outputs = [
        naive.option_log_probabilities(model, source, target, cell, "ffn", [answer])[0]
        for cell, answer in zip(cells, result.tokens.tolist(), strict=True)
    ]
    torch.testing.assert_close(result.log_probabilities, torch.stack(outputs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["llama", "gemma2", "bloom"])
def test_float32_and_half(name):
    """Rounding differs between batches, so in half precision only most pairs have the same tokens."""
    model = build(name, dtype=torch.float32)
    grid = naive.grid(model, SOURCE, TARGET, "ffn", 4)
    assert torch.equal(transplant_sweep(model, SOURCE, TARGET, max_new_tokens=4), grid)
    same = transplant_sweep(model.bfloat16(), SOURCE, TARGET, max_new_tokens=4) == grid
    assert same.double().mean() > 0.5


def test_no_questions():
    assert list(sweep(build("llama"), [])) == []
