"""What cannot be swept is refused before anything is read, with a line that says what to do."""

import pytest
import torch

from cctuning.analysis.transplant import PromptPair, answer_log_probabilities, sweep, transplant_sweep
from tests.models import build, random_ids

SOURCE, TARGET = random_ids(7, seed=3), random_ids(9, seed=4)


@pytest.fixture(scope="module")
def model():
    model = build("llama")

    def read(*_):
        raise AssertionError("the model was run")

    model.register_forward_pre_hook(read)
    model.model.register_forward_pre_hook(read)
    return model


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([(0, 3)], r"pairs\[0\] has target layer 3: the model has layers 0 to 2"),
        ([(0, 1), (3, 0)], r"pairs\[1\] has source layer 3: the model has layers 0 to 2"),
        ([(0, -1)], r"pairs\[0\] has target layer -1: the model has layers 0 to 2"),
        ([(0, 1.0)], r"pairs\[0\] is \(0, 1.0\): give a list of \(source layer, target layer\) pairs"),
        ([[(0, "1")]], r"pairs\[0\] has target layer '1': a layer is a whole number"),
        ([[(0, True)]], r"pairs\[0\] has target layer True: a layer is a whole number"),
        ([(0, 1, 2)], r"pairs\[0\] is .*: give a list of"),
        ([[(0, 1, 2)]], r"pairs\[0\] is .*: give a list of"),
        ([(0,)], r"pairs\[0\] is .*: give a list of"),
        ([0, 1], r"pairs\[0\] is 0: give a list of"),
        ([], r"pairs is empty: name at least one"),
        (3, r"pairs=3 is no list of"),
        ([[(0, 1), (2, 1)]], r"pairs\[0\] replaces target layer 1 twice"),
    ],
)
def test_pairs(model, pairs, words):
    with pytest.raises(ValueError, match=words):
        transplant_sweep(model, SOURCE, TARGET, pairs=pairs)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([], "cells is empty: name at least one; "),
        ([((0, 1),), ((0, 5),)], "cell 1 has target layer 5: the model has layers 0 to 2"),
        ([(0, 1)], r"cell 0 is \(0, 1\): give a list of \(source layer, target layer\) pairs"),
        ([((0, 1), (0, 1))], "cell 0 replaces target layer 1 twice: a layer has one output"),
    ],
)
def test_cells(model, cells, words):
    with pytest.raises(ValueError, match=words):
        sweep(model, [PromptPair(SOURCE, TARGET)], cells)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (SOURCE[:0], TARGET, r"questions\[0\].source_ids is empty"),
        (SOURCE, TARGET[:0], r"questions\[0\].target_ids is empty"),
        (
            SOURCE[None],
            TARGET,
            r"source_ids has shape \(1, 7\): give a 1-D tensor of token ids, without a batch",
        ),
        (SOURCE, TARGET.tolist(), r"target_ids is a list: give a 1-D tensor"),
        (SOURCE.double(), TARGET, r"source_ids holds torch.float64: token ids are whole numbers"),
        (SOURCE > 3, TARGET, r"source_ids holds torch.bool: token ids are whole numbers"),
        (SOURCE, TARGET + 60, r"target_ids holds token \d+: the model has tokens 0 to 63"),
        (SOURCE, TARGET - 60, r"target_ids holds token -\d+: the model has tokens 0 to 63"),
        (random_ids(257, seed=0), TARGET, r"source_ids has 257 tokens, and the model has 256 positions"),
        (
            SOURCE,
            random_ids(237, seed=0),
            r"target_ids has 237 tokens and 20 new ones, and the model has 256",
        ),
    ],
)
def test_prompts(model, source, target, words):
    with pytest.raises(ValueError, match=words):
        transplant_sweep(model, source, target)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ((), r"option_ids\[1\] is empty: a prompt or an option needs at least one token"),
        ((5, 64), r"option_ids\[1\] holds token 64"),
        ((5, 0.5), r"option_ids\[1\] holds torch.float32"),
        (tuple(range(5, 60)) * 5, r"target_ids has 9 tokens and 275 new ones"),
    ],
)
def test_options(model, option, words):
    with pytest.raises(ValueError, match=words):
        sweep(model, [PromptPair(SOURCE, TARGET), PromptPair(SOURCE, TARGET, ((5,), option))])


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([[5], []], r"answers\[1\] is empty"),
        ([[64]], r"answers\[0\] holds token 64"),
        ([list(range(5, 60)) * 5], r"prompt_ids has 9 tokens and 275 new ones"),
    ],
)
def test_answers(model, answers, words):
    with pytest.raises(ValueError, match=words):
        answer_log_probabilities(model, TARGET, answers)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sublayer": "fnn"}, "sublayer='fnn' is not one of ffn, attention.*did you mean 'ffn'"),
        ({"sublayer": "attention-residual"}, "did you mean 'attention_residual'"),
        ({"sublayer": None}, "sublayer=None is not one of"),
        ({"max_new_tokens": 0}, "max_new_tokens=0 must be at least 1; 0 is for questions with options"),
        ({"max_new_tokens": -1}, "max_new_tokens=-1 must be at least 1"),
        ({"max_new_tokens": 2.0}, "max_new_tokens=2.0 must be a whole number"),
        ({"max_new_tokens": True}, "max_new_tokens=True must be a whole number"),
        ({"rows": 0}, "rows=0 must be a whole number above 0"),
        ({"rows": 1.5}, "rows=1.5 must be a whole number above 0"),
    ],
)
def test_settings(model, settings, words):
    with pytest.raises(ValueError, match=words):
        sweep(model, [PromptPair(SOURCE, TARGET)], **settings)


def test_scores_only_need_options_everywhere(model):
    questions = [PromptPair(SOURCE, TARGET, ((5,),)), PromptPair(SOURCE, TARGET)]
    with pytest.raises(ValueError, match="max_new_tokens=0 must be at least 1"):
        sweep(model, questions, max_new_tokens=0)
    with pytest.raises(ValueError, match="max_new_tokens=-1 must be at least 0"):
        sweep(model, questions[:1], max_new_tokens=-1)


def test_models():
    with pytest.raises(ValueError, match="Linear is no causal language model of transformers"):
        transplant_sweep(torch.nn.Linear(2, 2), SOURCE, TARGET)
    model = build("llama")
    model.config.model_type = "unheard_of"
    with pytest.raises(ValueError, match="'unheard_of' is not in the architecture table"):
        transplant_sweep(model, SOURCE, TARGET)


def test_positions_that_change_with_the_length():
    """ "longrope" turns positions at other angles beyond the length of pretraining."""
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "original_max_position_embeddings": 16,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
        "factor": 16.0,
    }
    model = build("phi3", rope_parameters=rope, original_max_position_embeddings=16)
    with pytest.raises(ValueError, match="the model's positions change beyond 16: make the prompt longer"):
        transplant_sweep(model, SOURCE, TARGET)
    short, long = (
        PromptPair(SOURCE[:3], TARGET[:4]),
        PromptPair(random_ids(20, seed=1), random_ids(30, seed=2)),
    )
    alone = [next(sweep(model, [question], max_new_tokens=4)).tokens for question in (short, long)]
    together = [result.tokens for result in sweep(model, [short, long], max_new_tokens=4)]
    assert all(map(torch.equal, alone, together))
