"""Log-likelihoods against one full forward for every option."""

import math

import pytest
import torch

from cctuning.connection.connected import is_connected
from cctuning.evaluation.asking.log_likelihood import option_log_likelihoods
from cctuning.evaluation.asking.questions import Prompt, Question
from cctuning.evaluation.items.item import Item
from tests.models import build
from tests.questions import PROMPTS, exported_model, plain_model, questions, run_model


def one_at_a_time(model, question):
    """Each option appended to the prompt and read in one piece, nothing cached."""
    found = []
    for option in question.option_ids:
        start = len(question.prompt.ids)
        ids = torch.tensor([[*question.prompt.ids, *option]])
        given = {}
        if question.parallel:
            given = {
                "english_input_ids": torch.tensor([question.parallel.ids]),
                "prompt_lengths": torch.tensor([start]),
            }
        elif is_connected(model):
            given = {"connection_index": torch.tensor([start - 1])}
        with torch.no_grad():
            log_probabilities = model(input_ids=ids, **given).logits[0].log_softmax(-1)
        found.append(
            float(sum(log_probabilities[start - 1 + place, token] for place, token in enumerate(option)))
        )
    return found


def check(model, asked):
    """Asserts that the batch has what each option has alone."""
    found = option_log_likelihoods(model, PROMPTS, asked)
    for question, row in zip(asked, found.tolist(), strict=True):
        expected = one_at_a_time(model, question)
        assert row[: len(expected)] == pytest.approx(expected, abs=1e-9)
        assert all(map(math.isnan, row[len(expected) :]))


@pytest.mark.parametrize("parallel", [False, True], ids=["none", "bilingual"])
def test_of_a_run(parallel):
    check(run_model(), questions(parallel=parallel, options=3))


def test_of_an_exported_model(tmp_path):
    model = exported_model(tmp_path)
    check(model, questions(options=3))
    check(model, questions(options=3, parallel=True))
    connected = option_log_likelihoods(model, PROMPTS, questions(options=3))
    model.connected = False
    assert not torch.allclose(connected, option_log_likelihoods(model, PROMPTS, questions(options=3)))


def test_of_a_plain_model():
    check(plain_model(), questions(options=2))


@pytest.mark.parametrize("name", ["mistral_window", "gemma3", "gpt2", "qwen3"])
def test_of_other_architectures(name):
    """Past a sliding window, and where the language model's forward has other arguments."""
    model = build(name).eval()
    generator = torch.Generator().manual_seed(0)

    def ids(count):
        return torch.randint(5, 64, (count,), generator=generator).tolist()

    asked = [
        Question(Item(n, "sw", "", "", ("1",)), Prompt("", ids(7 + 2 * n)), None, (ids(1), ids(3), ids(2)))
        for n in range(4)
    ]
    check(model, asked)
