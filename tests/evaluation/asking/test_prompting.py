"""What is asked under each prompting, and the parallel text that goes with it."""

import pytest

from cctuning.evaluation.asking.prompting import prompts_of
from cctuning.evaluation.benchmarks import BENCHMARKS, find_benchmark
from cctuning.evaluation.items.item import Item

XNLI, OPINIONS = find_benchmark("xnli"), find_benchmark("globalopinionqa")
ITEM = Item(0, "sw", "Swali?", "Question?", ("1",))


def test_multilingual_questions_are_asked_in_the_language_and_culture_in_english():
    assert prompts_of(ITEM, XNLI) == ("Swali?", "Question?")
    assert prompts_of(ITEM, OPINIONS) == ("Question?", "Swali?")


def test_cot_adds_a_line_in_the_language_of_each_text():
    asked, parallel = prompts_of(ITEM, XNLI, prompting="cot")
    assert asked == "Swali?\nHebu tufikirie hatua kwa hatua."
    assert parallel == "Question?\nLet's think step by step."
    assert prompts_of(ITEM, OPINIONS, prompting="cot") == (parallel, asked)


def test_cot_has_a_line_for_every_language_of_every_benchmark():
    for benchmark in BENCHMARKS.values():
        for language in benchmark.languages:
            item = Item(0, language, "x", "y", ("1",))
            assert prompts_of(item, benchmark, prompting="cot")[0] != prompts_of(item, benchmark)[0]


def test_cot_in_another_language_is_refused():
    with pytest.raises(ValueError, match="no line in the language 'xx', only in am, ar"):
        prompts_of(Item(0, "xx", "x", "y", ("1",)), XNLI, prompting="cot")


def test_pim_asks_both_texts_in_one_prompt():
    assert prompts_of(ITEM, XNLI, prompting="pim") == ("Question?\n\nSwali?", "Question?")
    assert prompts_of(ITEM, OPINIONS, prompting="pim") == ("Swali?\n\nQuestion?", "Swali?")
    english = Item(0, "en", "Question?", "Question?", ("1",))
    assert prompts_of(english, XNLI, prompting="pim") == ("Question?", "Question?")


def test_a_missing_parallel_text_stays_missing_and_pim_has_nothing_to_ask():
    item = Item(7, "sw", "Swali?", "", ("1",))
    assert prompts_of(item, XNLI) == ("Swali?", "")
    assert prompts_of(item, XNLI, prompting="cot")[1] == ""
    assert prompts_of(item, XNLI, prompting="pim") == ("", "")


def test_another_prompting_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'original'"):
        prompts_of(ITEM, XNLI, prompting="orignal")
