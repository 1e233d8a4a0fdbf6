"""Prompts read in groups against prompts read at once: what is generated, and when groups are refused."""

import pytest
import torch

from cctuning.data.batches import pad
from cctuning.generation import prefill as module
from cctuning.generation.generate import answer
from cctuning.generation.prefill import prefill
from tests.models import build
from tests.questions import PROMPTS, exported_model, plain_model, run_model, task

TEXTS = [question.prompt.text + " tena" * question.item.number for question in task().questions]
ENGLISH = [f"{text} again" for text in TEXTS]


@pytest.fixture(params=[1, 40, 100], ids=["one by one", "small groups", "larger groups"])
def groups(request, monkeypatch):
    monkeypatch.setitem(module._TOKENS, "cpu", request.param)
    return request.param


def at_once(monkeypatch, *arguments, **more):
    """Answers without groups."""
    with monkeypatch.context() as patch:
        patch.setattr("cctuning.generation.generate.prefill", lambda model, ids: None)
        return answer(*arguments, **more)


@pytest.mark.parametrize("kind", ["plain", "bilingual", "monolingual"])
def test_answers_are_the_same(groups, monkeypatch, tmp_path, kind):
    model = {"plain": plain_model, "bilingual": run_model}.get(kind, lambda: exported_model(tmp_path))()
    english = ENGLISH if kind == "bilingual" else None
    more = {"english": english, "max_new_tokens": 8, "batch_size": 9}
    expected = at_once(monkeypatch, model, PROMPTS, TEXTS, **more)
    assert answer(model, PROMPTS, TEXTS, **more) == expected
    assert len({said.text for said in expected}) > 1
    assert all(said.connected == (kind != "plain") for said in expected)


def test_the_cache_is_that_of_all_prompts_read_together(groups):
    model = plain_model()
    ids = PROMPTS.prompts_ids(TEXTS)
    cache = prefill(model, ids)
    tokens, mask = (tensor[:, :-1] for tensor in pad(ids, left=True))
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        whole = model(tokens, attention_mask=mask, position_ids=positions, use_cache=True).past_key_values
    for own, expected in zip(cache.layers, whole.layers, strict=True):
        is_token = mask.bool()[:, None, :, None]
        for name in ("keys", "values"):
            found, wanted = getattr(own, name), getattr(expected, name)
            torch.testing.assert_close(found * is_token, wanted * is_token, atol=1e-10, rtol=1e-10)


def test_caches_that_cannot_be_joined_are_not(groups):
    ids = [[5, 6, 7, 8] * 9, [5, 6] * 30]
    for name in ("mistral_window", "gemma3", "bloom"):
        assert prefill(build(name).eval(), ids) is None
    assert prefill(build("gpt2").eval(), ids) is not None


def test_a_beam_search_reads_as_ever(groups):
    more = {"max_new_tokens": 6, "num_beams": 2}
    together = answer(plain_model(), PROMPTS, TEXTS, **more)
    assert together == [answer(plain_model(), PROMPTS, [text], **more)[0] for text in TEXTS]


def test_one_group_is_nothing_to_join():
    assert prefill(plain_model(), PROMPTS.prompts_ids(TEXTS[:2])) is None
