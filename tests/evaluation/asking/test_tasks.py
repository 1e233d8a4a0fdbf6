"""Tasks: which parallel prompts a mode takes, and what is said where there is none."""

import pytest

from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.tasks import make_task, split_faulty
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import ItemSet
from tests.tiny import tiny_tokenizer

XLSUM, OPINIONS = find_benchmark("xlsum"), find_benchmark("globalopinionqa")


def item_set(benchmark, *pairs):
    items = [
        Item(number, "sw", prompt, prompt_en, ("x",), file="sw.jsonl", number=number + 1)
        for number, (prompt, prompt_en) in enumerate(pairs)
    ]
    return ItemSet(benchmark, "sw", items)


def texts(task):
    return [
        (question.prompt.text, question.parallel and question.parallel.text) for question in task.questions
    ]


def test_bilingual_takes_the_parallel_prompts_and_other_modes_none():
    prompts = PromptFormat(tiny_tokenizer())
    found = item_set(XLSUM, ("Habari moja", "One story"))
    assert texts(make_task(found, prompts, mode="bilingual")) == [("Habari moja", "One story")]
    assert texts(make_task(found, prompts, mode="none")) == [("Habari moja", None)]
    opinions = item_set(OPINIONS, ("Swali?", "Question?"))
    assert texts(make_task(opinions, prompts, mode="bilingual")) == [("Question?", "Swali?")]


def test_a_missing_parallel_prompt_is_named_where_it_is_needed_or_left_out():
    prompts = PromptFormat(tiny_tokenizer())
    found = item_set(XLSUM, ("Habari moja", "One story"), ("Habari mbili", ""))
    limits = {"positions": None, "new_tokens": 40}
    alone = make_task(found, prompts, mode="monolingual")
    assert split_faulty(alone, found, prompts, **limits, leave_out=False) == (alone, found)
    bilingual = make_task(found, prompts, mode="bilingual")
    with pytest.raises(ValueError, match=r"sw\.jsonl, row 2, id 1: it has no parallel prompt"):
        split_faulty(bilingual, found, prompts, **limits, leave_out=False)
    task, kept = split_faulty(bilingual, found, prompts, **limits, leave_out=True)
    assert [question.item.id for question in task.questions] == [0]
    assert ([item.id for item in kept.items], kept.left_out) == ([0], {"no parallel prompt": [1]})
