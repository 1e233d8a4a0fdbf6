"""XTransplant of one question against a hook and a forward for each pair."""

import itertools

import numpy as np
import pytest
import torch

from cctuning.analysis import XTransplant
from cctuning.analysis.transplant import SUBLAYERS, Intervention
from cctuning.data.prompts import PromptFormat, choose_template
from tests.analysis import naive
from tests.questions import PROMPTS, TOKENIZER, plain_model, run_model
from tests.tiny import tiny_tokenizer

SOURCE, TARGET = "Capital of Kenya?", "Mji mkuu wa Kenya ni upi?"
ANSWERS = ["Nairobi", "Lima"]
NEW = 4


def naive_likely(model, prompts, answers, swaps, sublayer):
    """log p (nats) of a response that begins with one of the answers, given as token sequences."""
    source, target = map(torch.tensor, prompts.prompts_ids([SOURCE, TARGET]))
    scores = naive.option_log_probabilities(model, source, target, swaps, sublayer, answers)
    return float(scores.exp().sum().log())


@pytest.fixture(scope="module")
def result():
    return XTransplant(plain_model(), TOKENIZER)(
        SOURCE, TARGET, ANSWERS, sublayers=SUBLAYERS, max_new_tokens=NEW
    )


def test_several_targets_at_once_in_map_and_lens():
    model, answer = plain_model(), PROMPTS.response_ids("Lima")[:-1]
    result = XTransplant(model, TOKENIZER)(SOURCE, TARGET, ["Lima"], max_new_tokens=NEW, also_targets=[1])
    for i, j in itertools.product(range(3), repeat=2):
        swaps = [(i, j), (i, j + 1)] if j < 2 else [(i, j)]
        likely = naive_likely(model, PROMPTS, [answer], swaps, "ffn")
        assert result.map()[i, j] == pytest.approx(likely - result.original.log_probability, abs=1e-9)
        assert result.lens(i, j).swaps == tuple(swaps)


@pytest.mark.parametrize("sublayer", SUBLAYERS)
def test_every_cell_is_what_a_hook_and_generate_give(result, sublayer):
    model, answers = plain_model(), [PROMPTS.response_ids(text)[:-1] for text in ANSWERS]
    model.generation_config.eos_token_id = PROMPTS.stop_token_id
    model.generation_config.pad_token_id = PROMPTS.pad_token_id
    source, target = map(torch.tensor, PROMPTS.prompts_ids([SOURCE, TARGET]))
    original = naive_likely(model, PROMPTS, answers, [], sublayer)
    assert result.original.log_probability == pytest.approx(original, abs=1e-9)
    for pair in itertools.product(range(3), repeat=2):
        likely = naive_likely(model, PROMPTS, answers, [pair], sublayer)
        assert result.map(sublayer)[pair] == pytest.approx(likely - original, abs=1e-9)
        tokens = naive.transplant(model, source, target, [pair], sublayer, NEW)
        assert result.texts(sublayer)[pair[0]][pair[1]] == PROMPTS.response_text(tokens.tolist())


def test_another_intervention_in_map_and_lens():
    model, answer = plain_model(), PROMPTS.response_ids("Lima")[:-1]
    result = XTransplant(model, TOKENIZER)(
        SOURCE, TARGET, ["Lima"], max_new_tokens=NEW, intervention=Intervention("add", 3.0, positions=2)
    )
    source, target = map(torch.tensor, PROMPTS.prompts_ids([SOURCE, TARGET]))
    outputs, at = naive.source_outputs(model, source, "ffn", 2), slice(len(target) - 2, len(target))
    for pair in itertools.product(range(3), repeat=2):
        hooks = naive.changed(model, [pair], "ffn", lambda own, i: own + 3 * outputs[i], at)
        likely = float(naive.log_probability(model, target, answer, hooks))
        assert result.map()[pair] == pytest.approx(likely - result.original.log_probability, abs=1e-9)
        assert result.texts()[pair[0]][pair[1]].startswith(result.lens(*pair).transplanted.answer.strip())
    assert len({answer for row in result.texts() for answer in row}) > 1


def test_the_best_pairs_are_the_highest_of_the_map(result):
    changes = result.map("block")
    best = result.best(9, "block")
    assert sorted(best) == [*itertools.product(range(3), repeat=2)]
    assert [changes[pair] for pair in best] == sorted(changes.ravel(), reverse=True)
    assert np.array_equal(result.map(), result.map("ffn"))


def test_an_answer_that_goes_on_another_adds_nothing():
    probe = XTransplant(plain_model(), TOKENIZER)
    one, both = (
        probe(SOURCE, TARGET, answers, max_new_tokens=1).map()
        for answers in (["Nairobi"], ["Nairobi", "Nairobi ya Kenya"])
    )
    assert np.array_equal(one, both)


@pytest.mark.parametrize("template, texts", [("plain", ["Lima"]), ("raw", ["Lima", " Lima"])])
def test_an_answer_may_stand_behind_a_space_where_the_prompt_has_none(template, texts):
    tokenizer = tiny_tokenizer(template)
    probe = XTransplant(plain_model(), tokenizer, template=template)
    result = probe(SOURCE, TARGET, ["Lima"], max_new_tokens=1)
    prompts = PromptFormat(tokenizer)
    answers = [prompts.response_ids(text)[:-1] for text in texts]
    assert result.original.log_probability == pytest.approx(
        naive_likely(plain_model(), prompts, answers, [], "ffn"), abs=1e-9
    )


def test_right_is_what_has_an_answer_in_it():
    probe = XTransplant(plain_model(), TOKENIZER)
    written = probe(SOURCE, TARGET, ["?"], max_new_tokens=NEW)
    part = next(text for row in written.texts() for text in row if text)[:2].strip()
    judged = probe(SOURCE, TARGET, [part], max_new_tokens=NEW)
    expected = [[part.lower() in text.lower() for text in row] for row in judged.texts()]
    assert judged.correct().tolist() == expected and np.any(expected)


def test_the_model_and_the_tokenizer_stay_as_they_are():
    model, tokenizer = run_model(), tiny_tokenizer()
    tokenizer.chat_template = None
    rules = model.generation_config
    result = XTransplant(model, tokenizer)(SOURCE, TARGET, ANSWERS, max_new_tokens=NEW)
    assert model.connected and model.generation_config is rules and tokenizer.chat_template is None
    choose_template(tokenizer)
    plain = XTransplant(plain_model(), tokenizer)(SOURCE, TARGET, ANSWERS, max_new_tokens=NEW)
    assert np.array_equal(result.map(), plain.map())


def test_the_lens_is_of_the_pair_that_is_named(result):
    lens = result.lens(2, 0, "block")
    assert (lens.swaps, lens.sublayer) == (((2, 0),), "block")
    assert result.texts("block")[2][0].startswith(lens.transplanted.answer.strip())
    assert "srcdoc=" in lens._repr_html_()


def test_a_notebook_shows_texts_as_texts():
    result = XTransplant(plain_model(), TOKENIZER)(
        "<script>alert(1)</script>?", TARGET, ["<b>"], max_new_tokens=1
    )
    page = result._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page and "data:image/png;base64," in page


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"answers": "Nairobi"}, "answers='Nairobi'"),
        ({"answers": []}, "answers=[]"),
        ({"answers": [" "]}, "the answer ' ' is empty"),
        ({"answers": ["a</s>"]}, "</s>"),
        ({"source": "<s>"}, "source spells out <s>"),
        ({"sublayers": ["fnn"]}, "did you mean 'ffn'"),
        ({"sublayers": []}, "sublayers=[]"),
    ],
)
def test_what_cannot_be_asked_is_named(settings, said):
    given = {"source": SOURCE, "target": TARGET, "answers": ANSWERS, "sublayers": ["ffn"]} | settings
    with pytest.raises(ValueError) as error:
        XTransplant(plain_model(), TOKENIZER)(**given)
    assert said in str(error.value)


def test_a_sub_layer_that_was_not_asked_for_is_named(result):
    with pytest.raises(ValueError, match="did you mean 'block'"):
        result.map("blok")
