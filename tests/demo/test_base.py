"""Training of the demo's base model."""

import pytest
import torch
from transformers import set_seed

from cctuning.data.prompts import PromptFormat
from demo.base import batch, encode, new_model, tokenizer_of, train
from demo.world import make_world

pytestmark = pytest.mark.slow

WORLD = make_world(people=4)
TOKENIZER = tokenizer_of(WORLD)


def trained(seed, steps):
    set_seed(seed)
    model = new_model(TOKENIZER)
    return model, list(train(model, TOKENIZER, WORLD, steps=steps, seed=seed))


def test_the_loss_falls_and_the_same_seed_gives_the_same_model():
    first, losses = trained(seed=1, steps=12)
    again, _ = trained(seed=1, steps=12)
    other, _ = trained(seed=2, steps=12)
    assert losses[-1] < 0.9 * losses[0]
    weights = [
        torch.cat([weight.flatten() for weight in model.parameters()]) for model in (first, again, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_labels_are_the_responses():
    prompts = PromptFormat(TOKENIZER)
    rows = [WORLD.facts[0], WORLD.questions[0]]
    input_ids, labels = batch(encode(rows, prompts), prompts.pad_token_id)
    for row, ids, own in zip(rows, input_ids, labels, strict=True):
        prompt, response = prompts.prompt_ids(row["instruction"]), prompts.response_ids(row["output"])
        assert ids[: len(prompt) + len(response)].tolist() == prompt + response
        assert set(ids[len(prompt) + len(response) :].tolist()) <= {prompts.pad_token_id}
        assert own[own != -100].tolist() == response
        assert (own[: len(prompt)] == -100).all()
