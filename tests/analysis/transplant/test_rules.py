"""What the generation configuration says is done, as `generate` does it for every row by itself."""

import pytest
import torch
from transformers import GenerationConfig, StoppingCriteria

from cctuning.analysis.transplant import PromptPair, rules, sweep, transplant_sweep
from tests.analysis import naive
from tests.models import PAD, build, random_ids

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_float32")]

SOURCE, TARGET = random_ids(7, seed=3), random_ids(9, seed=4)
QUESTIONS = [PromptPair(SOURCE, TARGET), PromptPair(random_ids(4, seed=5), random_ids(5, seed=6))]
QUESTIONS.append(PromptPair(random_ids(2, seed=7), random_ids(3, seed=8)))
CELLS = [(), ((0, 2),), ((2, 0),), ((1, 1), (0, 2)), ((1, 2),), ((0, 1),)]


def answers(model, new):
    """What a hook and `generate` give for every cell of every question."""
    return [
        naive.transplant(model, question.source_ids, question.target_ids, cell, "ffn", new).tolist()
        for question in QUESTIONS
        for cell in CELLS
    ]


def check(model, new=8, *, expected=None, rows=None):
    """All cells of all questions, in one batch, against generation; gives the tokens."""
    expected = answers(model, new) if expected is None else expected
    pad = model.generation_config.pad_token_id
    pad = model.generation_config.eos_token_id if pad is None else pad
    results = list(sweep(model, QUESTIONS, CELLS, max_new_tokens=new, rows=rows))
    found = [tokens for result in results for tokens in result.tokens.tolist()]
    assert found == [own + [pad] * (new - len(own)) for own in expected]
    assert [int(length) for result in results for length in result.new_tokens] == list(map(len, expected))
    return expected


SETTINGS = {
    "repetition_penalty": 3.0,
    "no_repeat_ngram_size": 1,
    "bad_words_ids": [[9], [20, 11]],
    "suppress_tokens": list(range(20, 40)),
    "sequence_bias": [[[30], 20.0], [[40, 41], -20.0]],
    "encoder_repetition_penalty": 2.0,
}


def test_logits_processors():
    plain = answers(build("llama"), 5)
    for name, value in SETTINGS.items():
        model = build("llama")
        setattr(model.generation_config, name, value)
        expected = answers(model, 5)
        assert expected != plain, name
        for rows in (1, 1000):
            check(model, 5, expected=expected, rows=rows)


def ends(model, count):
    """Makes the tokens that come most often at a later place end tokens."""
    tokens = torch.cat([result.tokens for result in sweep(model, QUESTIONS, CELLS, max_new_tokens=8)])
    later = tokens[:, 2:].flatten().tolist()
    most = sorted(set(later), key=later.count)[-count:]
    model.generation_config.eos_token_id = most if count > 1 else most[0]


@pytest.mark.parametrize(
    ("name", "count"),
    [("llama", 1), ("llama", 4), ("mistral_window", 4), ("gemma3", 1), ("bloom", 4), ("deepseek_v3", 1)],
)
def test_end_tokens(name, count, monkeypatch):
    model = build(name)
    ends(model, count)
    expected = check(model, 10)
    lengths = list(map(len, expected))
    assert min(lengths) < 10
    assert len(set(lengths)) > 1
    # As on a device where we seldom look whether rows have ended.
    monkeypatch.setattr("cctuning.analysis.transplant.decoding._STEPS", {})
    check(model, 10, expected=expected)


def test_batches_that_shrink_and_that_do_not(monkeypatch):
    model = build("llama")
    ends(model, 4)
    expected = answers(model, 10)
    for share in (0.0, 1.0):
        monkeypatch.setattr("cctuning.analysis.transplant.decoding._SHARE", share)
        monkeypatch.setattr("cctuning.analysis.transplant.decoding._SHARE_WITH_PREFIX", share)
        check(model, 10, expected=expected)


def test_end_tokens_with_processors():
    model = build("llama")
    ends(model, 3)
    model.generation_config.repetition_penalty = 1.3
    check(model, 10)
    model.generation_config.min_new_tokens = 4
    assert min(map(len, check(model, 10))) >= 4


@pytest.mark.parametrize("share", [0.0, 0.98])
def test_log_probabilities_end_with_the_answer(share, monkeypatch):
    """Of rows that leave, and of rows that stay in the batch after their end."""
    monkeypatch.setattr("cctuning.analysis.transplant.decoding._SHARE", share)
    model = build("llama")
    ends(model, 4)
    (result,) = sweep(model, QUESTIONS[:1], CELLS, max_new_tokens=10)
    for cell, tokens, length, nats in zip(
        CELLS, result.tokens.tolist(), result.new_tokens, result.log_probabilities, strict=True
    ):
        own = naive.option_log_probabilities(model, SOURCE, TARGET, cell, "ffn", [tokens[:length]])[0]
        torch.testing.assert_close(nats, own, rtol=1e-9, atol=1e-9)


def test_without_a_pad_token_the_end_token_pads():
    model = build("llama")
    ends(model, 1)
    model.generation_config.pad_token_id = None
    check(model, 10)


def test_rows_that_all_end_are_not_read_on():
    model = build("llama")
    model.generation_config.eos_token_id = list(range(64))
    (result,) = sweep(model, QUESTIONS[:1], CELLS)
    assert result.token_forwards == len(SOURCE) + len(TARGET) + (2 + 4 + 6) // 3  # by layer, 6 cells
    assert result.new_tokens.tolist() == [1] * len(CELLS)
    assert (result.tokens[:, 1:] == PAD).all()


def test_other_criteria_are_asked_for_each_row():
    """A criterion of a configuration of its own: `stop_strings` would need a tokenizer."""

    class Even(StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return (input_ids[:, -1] % 2 == 0) & (input_ids.shape[1] % 3 == 0)

    model = build("llama")
    own = model._get_stopping_criteria
    model._get_stopping_criteria = lambda *args, **kwargs: type(own(*args, **kwargs))(
        [*own(*args, **kwargs), Even()]
    )
    found = check(model, 10)
    assert len(set(map(len, found))) > 1


def test_sampling_and_beams_are_not_used():
    model = build("llama")
    before = transplant_sweep(model, SOURCE, TARGET, max_new_tokens=4)
    model.generation_config.update(do_sample=True, temperature=5.0, top_k=3, num_beams=3)
    assert torch.equal(transplant_sweep(model, SOURCE, TARGET, max_new_tokens=4), before)
    assert model.generation_config.do_sample
    assert model.generation_config.num_beams == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"guidance_scale": 1.5}, "guidance_scale .*set it to None"),
        ({"penalty_alpha": 0.6, "top_k": 4}, "contrastive_search: a sweep decodes greedily"),
    ],
)
def test_what_cannot_be_done_for_rows(settings, words):
    model = build("llama")
    model.generation_config = GenerationConfig(pad_token_id=PAD, **settings)
    with pytest.raises(ValueError, match=words):
        transplant_sweep(model, SOURCE, TARGET)


def test_nothing_is_done_where_there_is_nothing_to_do():
    own = rules.rules_of(build("llama"), TARGET, 5)
    assert own.alike
    assert not len(own.end_tokens)
