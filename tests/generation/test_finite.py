"""A model whose numbers overflow is an error, not an answer."""

import pytest
import torch

from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.log_likelihood import option_log_likelihoods
from cctuning.evaluation.asking.questions import Prompt, Question
from cctuning.evaluation.items.item import Item
from cctuning.generation.finite import NonFiniteError
from cctuning.generation.generate import answer
from tests.tiny import tiny_llama, tiny_tokenizer

PROMPTS = PromptFormat(tiny_tokenizer())
OVERFLOWING = "Lima"


@pytest.fixture
def model():
    """In float16; a token that one prompt holds, and the others not, has an infinite embedding."""
    made = tiny_llama(len(PROMPTS.tokenizer), initializer_range=0.3).half().eval()
    token = PROMPTS.tokenizer(OVERFLOWING, add_special_tokens=False)["input_ids"][0]
    with torch.no_grad():
        made.model.embed_tokens.weight[token] = float("inf")
    return made


def question(text):
    ids = tuple(tuple(PROMPTS.response_ids(f"({label})")[:-1]) for label in "AB")
    item = Item("1", "en", text, text, ("A",), {"A": "a", "B": "b"})
    return Question(item, Prompt(text, PROMPTS.prompt_ids(text)), None, ids)


def test_the_prompt_the_model_and_its_dtype_are_named(model):
    assert answer(model, PROMPTS, ["Kenya"], max_new_tokens=2)
    with pytest.raises(NonFiniteError, match=rf"LlamaForCausalLM in float16 .*{OVERFLOWING}.*dtype=float32"):
        answer(model, PROMPTS, ["Kenya", OVERFLOWING, "Kenya"], max_new_tokens=2)


def test_log_likelihoods_are_not_scored_either(model):
    assert option_log_likelihoods(model, PROMPTS, [question("Kenya")]).isfinite().all()
    with pytest.raises(NonFiniteError, match=f"float16 .*{OVERFLOWING}"):
        option_log_likelihoods(model, PROMPTS, [question("Kenya"), question(OVERFLOWING)])


def test_nothing_stays_behind_on_the_model(model):
    with pytest.raises(NonFiniteError):
        answer(model, PROMPTS, [OVERFLOWING], max_new_tokens=2)
    assert not model._forward_hooks
