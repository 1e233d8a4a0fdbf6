"""The lens of an answer against the naive transplant: one forward of prompt and answer, by a hook."""

import pytest
import torch

from cctuning import CCTuningModel
from cctuning.analysis.lens import logit_lens
from cctuning.analysis.transplant import SUBLAYERS
from tests.analysis.naive import replaced, source_outputs, transplant
from tests.models import BOS, build, random_ids, word_tokenizer
from tests.naive import layers_of

SOURCE, TARGET = random_ids(6, seed=1), random_ids(4, seed=2)


def read(model, swaps=((2, 0),), sublayer="ffn", new_tokens=4, source=SOURCE, target=TARGET):
    return logit_lens(
        model, word_tokenizer(), source, target, swaps, sublayer=sublayer, new_tokens=new_tokens
    )


@torch.no_grad()
def block_outputs(model, ids, swaps, sublayer):
    """(L, n, d) of every layer from the target's last token on, with the transplant, and the logits there."""
    seen = []
    start = len(TARGET) - 1
    moved = source_outputs(model, SOURCE, sublayer)
    with replaced(model, swaps, sublayer, moved, at=start):
        handles = [
            layer.register_forward_hook(
                lambda _, args, out: seen.append((out[0] if isinstance(out, tuple) else out)[0, start:])
            )
            for layer in layers_of(model)
        ]
        logits = model(input_ids=ids[None], use_cache=False).logits[0, start:]
    for handle in handles:
        handle.remove()
    return torch.stack(seen), logits


@pytest.mark.parametrize("sublayer", SUBLAYERS)
@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2"])
def test_every_place_is_that_of_one_naive_forward(name, sublayer):
    model = build(name)
    swaps = ((2, 0), (0, 1))
    lens = read(model, swaps, sublayer)
    answer = transplant(model, SOURCE, TARGET, swaps, sublayer, 4)
    outputs, logits = block_outputs(model, torch.cat([TARGET, answer[:-1]]), swaps, sublayer)
    names = word_tokenizer().convert_ids_to_tokens
    assert lens.transplanted.written == tuple(names(answer.tolist()))
    assert lens.transplanted.read == tuple(names([int(TARGET[-1]), *answer[:-1].tolist()]))
    assert len(lens.transplanted.guesses) == len(outputs)
    for place, best in enumerate(logits.softmax(-1).topk(5).indices.tolist()):
        assert [guess.token for guess in lens.transplanted.guesses[-1][place]] == best
    torch.testing.assert_close(
        torch.tensor([[g.probability for g in place] for place in lens.transplanted.guesses[-1]]),
        logits.softmax(-1).topk(5).values.float(),
    )
    if name == "llama":  # of which the way from a layer to the logits can be written down
        middle = model.lm_head(model.model.norm(outputs[1])).softmax(-1).topk(5)
        found = [[guess.token for guess in place] for place in lens.transplanted.guesses[1]]
        assert found == middle.indices.tolist()


def test_the_model_as_it_is_stands_beside():
    model = build("qwen2")
    lens = read(model)
    answer = model.generate(TARGET[None], max_new_tokens=4, do_sample=False)[0, len(TARGET) :]
    assert lens.plain.written == tuple(word_tokenizer().convert_ids_to_tokens(answer.tolist()))
    assert lens.plain.guesses != lens.transplanted.guesses
    assert lens.plain == read(model, ()).transplanted


def test_a_transplant_shows_from_its_target_layer_on():
    lens = read(build("llama"), ((2, 1),))
    before, after = ([one.guesses[layer][0] for layer in (0, 1)] for one in (lens.plain, lens.transplanted))
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_an_answer_ends_with_its_end_token():
    model = build("llama")
    answer = read(model).plain.guesses[-1]
    model.generation_config.eos_token_id = answer[1][0].token
    assert len(read(model).plain.read) == 2


def test_one_new_token_and_a_prompt_of_one_token():
    lens = read(build("llama"), new_tokens=1, target=torch.tensor([BOS]))
    assert lens.plain.read == ("<s>",)
    assert len(lens.plain.guesses[0]) == 1


def test_a_connected_model_is_read_without_its_connection():
    model = build("llama")
    plain = read(model)
    model = CCTuningModel.wrap(model)
    assert read(model) == plain
    assert model.connected


def test_what_the_engine_refuses_is_refused():
    with pytest.raises(ValueError, match="source layer 7"):
        read(build("llama"), ((7, 0),))
    with pytest.raises(ValueError, match="empty"):
        read(build("llama"), target=torch.tensor([], dtype=torch.long))
