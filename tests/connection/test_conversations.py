"""Conversations: the last response start alone is connected, with or without a cache of earlier turns."""

import pytest
import torch
from transformers import StaticCache

from cctuning import CCTuningModel
from cctuning.connection.modeling_cctuning import TransformMatrix
from tests.models import build, random_ids

GREEDY = {"max_new_tokens": 8, "do_sample": False, "return_dict_in_generate": True}


def connected(name, *, bilingual=False):
    """In float32, with a loud connection."""
    model = CCTuningModel.wrap(build(name, dtype=torch.float32)).eval()
    if not bilingual:
        width = model.config.get_text_config().hidden_size
        torch.manual_seed(0)
        model.transform_matrix = TransformMatrix(width)
        torch.nn.init.normal_(model.transform_matrix.weight, std=0.5)
    return model


@pytest.mark.parametrize("bilingual", [False, True])
@pytest.mark.parametrize("name", ["llama", "gemma3", "mistral_window"])
def test_a_second_turn_on_the_cache_of_the_first_is_that_of_reading_it_anew(name, bilingual):
    model = connected(name, bilingual=bilingual)
    english = {"english_input_ids": random_ids(4, seed=9)[None]} if bilingual else {}
    differing = 0
    for seed in range(3):
        first = model.generate(random_ids(5, seed=seed)[None], **GREEDY, **english)
        conversation = torch.cat([first.sequences, random_ids(4, seed=40 + seed)[None]], dim=1)
        anew = model.generate(conversation, **GREEDY, **english).sequences
        again = model.generate(
            conversation, past_key_values=first.past_key_values, **GREEDY, **english
        ).sequences
        assert torch.equal(anew, again)
        elsewhere = model.generate(conversation, connection_index=4, **GREEDY, **english).sequences
        differing += not torch.equal(anew, elsewhere)
    assert differing  # so that it matters where it is connected


def test_a_later_turn_without_connection_is_that_of_the_plain_model():
    model, plain = connected("llama"), build("llama", dtype=torch.float32)
    first = model.generate(random_ids(5, seed=1)[None], **GREEDY)
    conversation = torch.cat([first.sequences, random_ids(4, seed=2)[None]], dim=1)
    model.connected = False
    found = model.generate(conversation, past_key_values=first.past_key_values, **GREEDY).sequences
    assert torch.equal(found, plain.generate(conversation, **GREEDY).sequences)


def test_a_bare_forward_behind_an_earlier_connection_is_refused():
    model = connected("llama")
    model.response_marker = (7, 8)
    first, second = torch.tensor([[9, 10, 7, 8, 11]]), torch.tensor([[12, 13, 7, 8, 14]])
    with torch.no_grad():
        anew = model(torch.cat([first, second], dim=1)).logits
        cache = model(first, use_cache=True).past_key_values
        with pytest.raises(ValueError, match=r"connected at token 3.*crop\(-2\)"):
            model(second, past_key_values=cache)
        cache = model(first, use_cache=True).past_key_values
        cache.crop(-2)
        rest = torch.cat([first[:, 3:], second], dim=1)
        torch.testing.assert_close(
            model(rest, past_key_values=cache).logits, anew[:, 3:], atol=1e-4, rtol=1e-4
        )
        assert not torch.allclose(model(second).logits[:, -1], anew[:, -1], atol=1e-2)


@pytest.mark.parametrize("kind", ["cropped", "reset"])
def test_a_cache_that_lost_its_connected_tokens_is_as_good_as_another(kind):
    model, config = connected("llama"), None
    conversation = random_ids(12, seed=3)[None]
    anew = model.generate(conversation, **GREEDY).sequences
    if kind == "cropped":
        cache = model.generate(conversation[:, :8], **GREEDY).past_key_values
        cache.crop(5 - cache.get_seq_length())
    else:
        config = model.config.get_text_config()
        cache = StaticCache(config=config, max_cache_len=40)
        model.generate(conversation[:, :8], past_key_values=cache, **GREEDY)
        cache.reset()
    assert torch.equal(model.generate(conversation, past_key_values=cache, **GREEDY).sequences, anew)


def test_a_cropped_cache_may_be_read_on_unconnected_and_then_connected():
    model = connected("llama")
    model.response_marker = (7, 8)
    first = torch.tensor([[9, 10, 7, 8, 11]])
    with torch.no_grad():
        cache = model(first, use_cache=True).past_key_values
        cache.crop(-3)
        model(torch.tensor([[12, 13, 14]]), past_key_values=cache, connection_index=-1)
        found = model(torch.tensor([[15, 7, 8]]), past_key_values=cache).logits[:, -1]
        whole = model(torch.tensor([[9, 10, 12, 13, 14, 15, 7, 8]])).logits[:, -1]
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-4)


def test_a_prompt_without_what_the_cache_has_to_read_anew_is_refused():
    model = connected("llama")
    first = model.generate(random_ids(5, seed=1)[None], **GREEDY)
    turn = random_ids(4, seed=2)[None]
    mask = torch.ones(1, first.past_key_values.get_seq_length() + 4, dtype=torch.long)
    with pytest.raises(ValueError, match="pass the whole conversation"):
        model.generate(turn, attention_mask=mask, past_key_values=first.past_key_values, **GREEDY)


def test_a_mean_over_the_prompt_needs_all_of_it():
    model = connected("llama")
    model.connection.embedding = "mean"
    first = model.generate(random_ids(5, seed=1)[None], **GREEDY)
    conversation = torch.cat([first.sequences, random_ids(4, seed=2)[None]], dim=1)
    anew = model.generate(conversation, **GREEDY).sequences
    given = {"attention_mask": torch.ones_like(conversation), "past_key_values": first.past_key_values}
    with pytest.raises(ValueError, match=r"mean over the whole prompt.*pass the whole conversation"):
        model.generate(conversation[:, 3:], **given, **GREEDY)
    with torch.no_grad():
        cache = model(conversation[:, :6], connection_index=-1, use_cache=True).past_key_values
    with pytest.raises(ValueError, match="mean over the whole prompt"):
        model(conversation[:, 6:], past_key_values=cache, connection_index=2)
    assert torch.equal(
        model.generate(conversation, **(given | {"past_key_values": cache}), **GREEDY).sequences, anew
    )


def test_a_conversation_is_trained_at_the_response_start_where_generation_connects():
    """The first token of a generation is that of the training's forward, and no other place would give it."""
    model = connected("llama", bilingual=True)
    prompt, english, response = random_ids(12, seed=5), random_ids(9, seed=6), random_ids(4, seed=7)
    options = {**GREEDY, "output_logits": True}
    generated = model.generate(prompt[None], english_input_ids=english[None], **options).logits[0]

    def trained(prompt_length):
        with torch.no_grad():
            return model(
                torch.cat([prompt, response])[None],
                prompt_lengths=torch.tensor([prompt_length]),
                english_input_ids=english[None],
            ).logits[:, 11]

    torch.testing.assert_close(trained(12), generated, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(trained(5), generated, atol=1e-2)
