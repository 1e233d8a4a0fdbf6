"""Options and answers, scored in trees, against one full forward for each."""

import pytest
import torch

from cctuning.analysis.transplant import SUBLAYERS, PromptPair, answer_log_probabilities, sweep
from cctuning.analysis.transplant.trees import forest_of, trees_of
from tests.analysis import naive
from tests.models import ARCHITECTURES, build, random_ids
from tests.releases import caps_scores

pytestmark = pytest.mark.usefixtures("no_float32")

SOURCE, TARGET = random_ids(7, seed=3), random_ids(9, seed=4)
CELLS = [(), ((0, 2),), ((2, 0),), ((1, 1), (0, 2))]
# Shared beginnings, one that is another's beginning, one token, and one twice.
OPTIONS = ((10, 11, 12), (10, 11, 13, 14), (10, 11), (20,), (21, 22), (20,), (10, 30, 31, 32, 33))


def begins(layer):
    """How many rows the layer has to read: those of cells that it or one below it is a target of, and one."""
    return 1 + sum(any(target <= layer for _, target in cell) for cell in CELLS)


def scored(model, question, cells, sublayer="ffn"):
    """(cells, options): by one full forward for each option."""
    asked = question.source_ids, question.target_ids
    rows = [
        naive.option_log_probabilities(model, *asked, cell, sublayer, question.option_ids) for cell in cells
    ]
    return torch.stack(rows)


GEMMA2 = pytest.param("gemma2", marks=caps_scores)


@pytest.mark.parametrize("name", [GEMMA2 if name == "gemma2" else name for name in ARCHITECTURES])
def test_options_of_every_architecture(name):
    model, question = build(name), PromptPair(SOURCE, TARGET, OPTIONS)
    (result,) = sweep(model, [question], CELLS[:2], max_new_tokens=0)
    wanted = scored(model, question, CELLS[:2])
    torch.testing.assert_close(result.option_log_probabilities, wanted, rtol=1e-9, atol=1e-9)
    assert result.tokens.shape == (2, 0)
    assert result.log_probabilities.tolist() == [0, 0]
    assert result.new_tokens.tolist() == [0, 0]


@pytest.mark.parametrize("sublayer", SUBLAYERS)
def test_options_beside_answers(sublayer):
    model = build("mistral_window")
    questions = [
        PromptPair(SOURCE, TARGET, OPTIONS),
        PromptPair(SOURCE, TARGET[:3]),
        PromptPair(SOURCE[:4], TARGET[2:], ((9, 8), (7,))),
        PromptPair(SOURCE[:4], TARGET[:1], ((9, 8, 7, 6, 5, 9),)),
    ]
    wanted = [scored(model, question, CELLS, sublayer) for question in questions if question.option_ids]
    plain = list(sweep(model, questions, CELLS, sublayer=sublayer, max_new_tokens=5))
    for rows in (3, 1000):
        results = list(sweep(model, questions, CELLS, sublayer=sublayer, max_new_tokens=5, rows=rows))
        for question, result, other in zip(questions, results, plain, strict=True):
            assert result.option_log_probabilities.shape == (4, len(question.option_ids))
            assert torch.equal(result.tokens, other.tokens)
        found = [own.option_log_probabilities for own in results if own.option_log_probabilities.numel()]
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_a_tree_reads_each_beginning_once():
    model, question = build("llama"), PromptPair(SOURCE, TARGET, OPTIONS)
    read = naive.tokens_read(model)
    (result,) = sweep(model, [question], CELLS, max_new_tokens=0)
    nodes = {option[:end] for option in OPTIONS for end in range(1, len(option))}
    # No swap has touched the rows below its layer: one of those is read for all, and the others.
    assert [begins(layer) for layer in range(3)] == [2, 3, 4]
    assert read == [len(SOURCE) + len(TARGET) + begins(layer) * (1 + len(nodes)) for layer in range(3)]
    assert result.token_forwards == sum(read) / 3


def test_options_of_one_token_read_nothing_more():
    model, question = build("llama"), PromptPair(SOURCE, TARGET, ((5,), (6,)))
    (result,) = sweep(model, [question], CELLS, max_new_tokens=0)
    assert result.token_forwards == len(SOURCE) + len(TARGET) + 3


@pytest.mark.parametrize("name", ["llama", "mistral_window", GEMMA2, "deepseek_v3", "bloom"])
@pytest.mark.parametrize("nodes", [1, 6, 512])
def test_answers(name, nodes, monkeypatch):
    monkeypatch.setattr("cctuning.analysis.transplant.answers._NODES", nodes)
    model = build(name)
    answers = [list(option) for option in OPTIONS] + [random_ids(12, seed=8).tolist()]
    found = answer_log_probabilities(model, TARGET, answers)
    wanted = naive.option_log_probabilities(model, SOURCE, TARGET, [], "ffn", answers)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_answers_of_a_sweep_agree_with_it():
    model = build("llama")
    (result,) = sweep(model, [PromptPair(SOURCE, TARGET)], [()])
    nats = answer_log_probabilities(model, TARGET, result.tokens.tolist())
    torch.testing.assert_close(nats, result.log_probabilities, rtol=1e-9, atol=1e-9)


def test_no_answers():
    assert answer_log_probabilities(build("llama"), TARGET, []).shape == (0,)


def test_trees():
    trees = trees_of([OPTIONS, ((1, 2),)])
    assert trees.tokens.shape == (2, 7)
    for tree, sequences in enumerate([OPTIONS, ((1, 2),)]):
        for sequence, predictions in zip(sequences, trees.predictions[tree], strict=True):
            assert tuple(token for _, token in predictions) == sequence
            nodes = [node for node, _ in predictions]
            assert nodes[0] == -1
            for depth, node in enumerate(nodes[1:]):
                assert int(trees.tokens[tree, node]) == sequence[depth]
                assert int(trees.depths[tree, node]) == depth
                seen = trees.ancestors[tree, node].nonzero()[:, 0].tolist()
                assert sorted(seen) == sorted(nodes[1 : depth + 2])


def test_forests():
    sequences = [random_ids(length, seed=length).tolist() for length in (3, 9, 2, 5, 1, 30)] * 2
    parts = list(forest_of(sequences, 10))
    assert sorted(place for members, _ in parts for place in members) == list(range(12))
    assert [trees.tokens.shape[1] for _, trees in parts if trees.tokens.shape[1] > 10] == [29]
    for members, trees in parts:
        own = [[token for _, token in predictions] for predictions in trees.predictions[0]]
        assert own == [sequences[member] for member in members]
