"""Answers of the engine become rows: each put into words, scored and weighed, whatever its layers were."""

import math
from dataclasses import replace

import pytest
import torch

from cctuning.analysis.probing.judging import cell_rows
from cctuning.analysis.probing.tasks import ProbeQuestion
from cctuning.analysis.transplant import Sweep
from cctuning.evaluation.asking.questions import Prompt
from cctuning.evaluation.items.benchmark import Metric
from cctuning.evaluation.items.item import Item
from tests.questions import PROMPTS

ITEM = Item(7, "sw", "Mji?", "City?", ("Nairobi",))
METRIC = Metric("accuracy", "paper", lambda text, item: 1.0 if text in item.answers else 0.25)


def tokens(text):
    return PROMPTS.response_ids(text)  # with the end token


def swept(*answers):
    longest = max(map(len, answers))
    return Sweep(
        tokens=torch.tensor([[*one, *[0] * (longest - len(one))] for one in answers]),
        new_tokens=torch.tensor([len(one) for one in answers]),
        log_probabilities=-torch.arange(1.0, 1 + len(answers), dtype=torch.float64),
        option_log_probabilities=torch.arange(2.0 * len(answers)).view(-1, 2).double(),
        source_activations=torch.zeros(1, 1),
        target_activations=torch.zeros(1, 1),
        token_forwards=0,
    )


def rows(asked, cells, found, plain=None, **how):
    return cell_rows(asked, "sw", cells, found, PROMPTS, METRIC, plain, **how)


def test_a_row_for_each_cell():
    cells = [(), ((0, 2),), ((1, 0),)]
    choice = replace(ITEM, options={"Mombasa": "a", "Nairobi": "b"})
    asked = ProbeQuestion(choice, Prompt("Mji?", [1]), Prompt("City?", [2]), ((3,), (4, 5)))
    found = rows(asked, cells, swept(tokens("Mombasa"), tokens("Nairobi"), tokens("Nairobi")))
    assert [row["kind"] for row in found] == ["target", "transplant", "transplant"]
    assert [(row["source_layer"], row["target_layer"]) for row in found] == [(None, None), (0, 2), (1, 0)]
    assert [row["text"] for row in found] == ["Mombasa", "Nairobi", "Nairobi"]
    assert [row["tokens"] for row in found] == [tokens("Mombasa"), tokens("Nairobi"), tokens("Nairobi")]
    assert [(row["score"], row["correct"]) for row in found] == [(0.25, False), (1.0, True), (1.0, True)]
    assert [row["log_probability"] for row in found] == [-1.0, -2.0, -3.0]
    assert [row["option_log_probabilities"] for row in found] == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert {row["question"] for row in found} == {"7"}


def test_right_is_the_right_option_of_a_choice_and_any_of_the_right_answers_else():
    options = {"1": "Mombasa", "2": "Nairobi"}
    choice = Item(7, "sw", "Mji?", "City?", ("2",), options)
    found = swept(tokens("Mombasa"), tokens("Nairobi"))
    prompts = Prompt("Mji?", [1]), Prompt("City?", [2])
    assert [
        row["right_log_probability"]
        for row in rows(ProbeQuestion(choice, *prompts, ((3,), (4, 5))), [(), ((0, 2),)], found)
    ] == [1.0, 3.0]
    short = rows(ProbeQuestion(ITEM, *prompts), [(), ((0, 2),)], found)
    assert [row["right_log_probability"] for row in short] == pytest.approx(
        [math.log(1 + math.e), math.log(math.e**2 + math.e**3)]
    )
    nothing = replace(found, option_log_probabilities=torch.zeros(2, 0))
    assert {
        row["right_log_probability"] for row in rows(ProbeQuestion(ITEM, *prompts), [(), ((0, 2),)], nothing)
    } == {None}


def test_by_log_likelihood_the_answer_is_the_likeliest_option():
    choice = Item(7, "sw", "Mji?", "City?", ("(2)",), {"1": "Mombasa", "2": "Nairobi"})
    options = tuple(tuple(tokens(label)[:-1]) for label in ("(1)", "(2)"))
    asked = ProbeQuestion(replace(choice, answers=("2",)), Prompt("Mji?", [1]), Prompt("City?", [2]), options)
    found = replace(
        swept(tokens("Nairobi"), tokens("Nairobi"), tokens("Nairobi")),
        option_log_probabilities=torch.tensor(
            [[-1.0, -3.0], [-4.0, -2.0], [-5.0, -5.0]], dtype=torch.float64
        ),
    )
    cells = [(), ((0, 2),), ((1, 0),)]
    likeliest = rows(asked, cells, found, plain=lambda answers: None, log_likelihood=True)
    assert [row["text"] for row in likeliest] == ["(1)", "(2)", "(1)"]
    assert [row["tokens"] for row in likeliest] == [list(options[place]) for place in (0, 1, 0)]
    assert [row["log_probability"] for row in likeliest] == [-1.0, -2.0, -5.0]
    assert [row["plain_log_probability"] for row in likeliest] == [-1.0, -3.0, -1.0]
    assert [row["right_log_probability"] for row in likeliest] == [-3.0, -2.0, -5.0]
    assert {row["plain_log_probability"] for row in rows(asked, cells, found, log_likelihood=True)} == {None}


def test_every_distinct_answer_is_weighed_once_and_an_answer_that_was_cut_is_another():
    asked = ProbeQuestion(ITEM, Prompt("Mji?", [1]), Prompt("City?", [2]))
    ended, cut = tokens("Nairobi"), tokens("Nairobi")[:-1]
    given = []

    def plain(answers):
        given.append(list(answers))
        return torch.tensor([-10.0 - len(answer) for answer in answers])

    cells = [(), ((0, 0),), ((0, 1),)]
    found = rows(asked, cells, swept(ended, cut, ended), plain)
    assert given == [[tuple(ended), tuple(cut)]]
    assert [row["plain_log_probability"] for row in found] == [
        -10.0 - len(one) for one in (ended, cut, ended)
    ]


def test_a_prompt_that_is_asked_as_it_is_is_a_source():
    found = rows(ProbeQuestion(ITEM, Prompt("City?", [2])), [()], swept(tokens("Nairobi")))
    assert [row["kind"] for row in found] == ["source"]
    assert found[0]["plain_log_probability"] is None and found[0]["option_log_probabilities"] is None
