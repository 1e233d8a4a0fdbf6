"""Interventions in a sweep against plain hooks and `generate`."""

import dataclasses

import pytest
import torch

from cctuning.analysis.transplant import INTERVENTIONS, SUBLAYERS, Intervention, PromptPair, sweep
from cctuning.commands.schemas import ProbeRecipe
from tests.analysis import naive
from tests.models import ARCHITECTURES, build, random_ids

pytestmark = pytest.mark.usefixtures("no_float32")

SOURCE, TARGET = random_ids(7, seed=3), random_ids(9, seed=4)
CELLS = [(), ((0, 2),), ((2, 0),), ((1, 1),), ((2, 1), (0, 2)), ((2, 0), (2, 1), (2, 2))]
OPTIONS = ((5, 6, 7), (8,))

# By name what is put there: of the layer's own output, the source layer, and the outputs of both prompts.
CHANGES = {
    "replace": lambda own, i, source, target: 0.7 * source[i],
    "add": lambda own, i, source, target: own + 0.7 * source[i],
    "replace_mean": lambda own, i, source, target: 0.7 * sum(source[: i + 1]) / (i + 1),
    "add_mean": lambda own, i, source, target: own + 0.7 * source[: i + 1].mean(0),
    "add_difference": lambda own, i, source, target: own + 0.7 * (source[i] - target[i]),
}


def check(model, intervention, change, *, sublayer="ffn", cells=CELLS, new=4, questions=((SOURCE, TARGET),)):
    pairs = [PromptPair(source, target, OPTIONS) for source, target in questions]
    results = sweep(model, pairs, cells, sublayer=sublayer, max_new_tokens=new, intervention=intervention)
    positions = Intervention.of(intervention).positions
    for result, (source, target) in zip(results, questions, strict=True):
        outputs = [naive.source_outputs(model, ids, sublayer, positions) for ids in (source, target)]
        at = slice(len(target) - positions, len(target))
        for number, cell in enumerate(cells):

            def inside(cell=cell, outputs=outputs, at=at):
                return naive.changed(model, cell, sublayer, lambda own, i: change(own, i, *outputs), at)

            tokens = result.tokens[number, : int(result.new_tokens[number])]
            assert torch.equal(tokens, naive.answer(model, target, inside(), new))
            nats = torch.stack([naive.log_probability(model, target, ids, inside()) for ids in OPTIONS])
            torch.testing.assert_close(result.option_log_probabilities[number], nats, rtol=1e-9, atol=1e-9)


def test_every_name_has_a_naive_counterpart_and_a_recipe_takes_it():
    (keys,) = (field for field in dataclasses.fields(ProbeRecipe) if field.name == "intervention")
    assert keys.metadata["rule"].values == INTERVENTIONS == tuple(CHANGES)


@pytest.mark.parametrize("sublayer", SUBLAYERS)
@pytest.mark.parametrize("name", INTERVENTIONS)
def test_named_ones(name, sublayer):
    """Each name and each sub-layer with one position and with several."""
    positions = 1 + 2 * ((INTERVENTIONS.index(name) + SUBLAYERS.index(sublayer)) % 2)
    check(build("llama"), Intervention(name, 0.7, positions), CHANGES[name], sublayer=sublayer)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_several_positions_in_every_architecture(name):
    """Those with windows see less of the prefix from the first of them on; some hold copies of the prompt."""
    cells = [(), ((0, 2),), ((2, 1), (0, 2))]
    intervention = Intervention("add_difference", 0.7, 5)
    check(build(name), intervention, CHANGES["add_difference"], cells=cells, new=3)


LENGTHS = {"llama": [(4, 4), (4, 12), (12, 4)], "mistral_window": [(4, 12)], "bloom": [(12, 4)]}


@pytest.mark.parametrize("name", LENGTHS)
def test_prompts_that_are_no_longer_than_the_positions(name):
    for lengths in LENGTHS[name]:
        questions = [[random_ids(length, seed=length + own) for own in (0, 50)] for length in lengths]
        check(build(name), Intervention("add", 0.7, 4), CHANGES["add"], questions=questions)


def test_any_function_of_what_was_recorded():
    """Here the layer's own output is turned towards the mean of all the source's layers."""

    def turned(site):
        towards = site.sources.mean(1)[site.questions]
        return site.own.norm(dim=-1, keepdim=True) * torch.nn.functional.normalize(towards, dim=-1)

    def by_hand(own, i, source, target):
        towards = source.mean(0)
        return own.norm(dim=-1, keepdim=True) * towards / towards.norm(dim=-1, keepdim=True)

    questions = [(SOURCE, TARGET), (random_ids(5, seed=8), random_ids(3, seed=9))]
    for intervention in (turned, Intervention(turned, positions=2)):
        check(build("llama"), intervention, by_hand, questions=questions)


def test_replacement_is_the_default():
    model, question = build("llama"), [PromptPair(SOURCE, TARGET)]
    (plain,), (named,) = (sweep(model, question, CELLS, **more) for more in ({}, {"intervention": "replace"}))
    assert torch.equal(plain.log_probabilities, named.log_probabilities)
    assert plain.source_activations.shape == (3, model.config.hidden_size)


@pytest.mark.parametrize(
    "intervention, said",
    [
        ("ad", "did you mean 'add'"),
        (3, "intervention=3"),
        (lambda site: site.own[:, 0], "must give a tensor of the shape"),
        (lambda site: 1.0, "gave float"),
        (Intervention(positions=8), "questions[0].source_ids has 7 tokens, and positions=8"),
    ],
)
def test_what_cannot_be_done_is_named(intervention, said):
    with pytest.raises(ValueError) as error:
        list(sweep(build("llama"), [PromptPair(SOURCE, TARGET)], CELLS, intervention=intervention))
    assert said in str(error.value)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"scale": float("nan")}, "scale=nan"),
        ({"change": lambda site: site.own, "scale": 2.0}, "scale=2.0 is of named interventions"),
        ({"positions": 0}, "positions=0"),
        ({"positions": 1.5}, "positions=1.5"),
    ],
)
def test_wrong_settings_are_named(settings, said):
    with pytest.raises(ValueError) as error:
        Intervention(**settings)
    assert said in str(error.value)
