import pytest

from cctuning.analysis.probing.control import control_tasks
from cctuning.analysis.probing.directions import DirectedSet
from cctuning.analysis.probing.tasks import make_probe_task
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import ItemSet
from tests.questions import PROMPTS


def task(english):
    items = [Item(number, "", f"Swali {number}?", text, ("x",)) for number, text in enumerate(english)]
    item_set = ItemSet(find_benchmark("mkqa"), "sw", items)
    directed = DirectedSet(item_set, items, items, "sw", "en")
    return make_probe_task(directed, PROMPTS, positions=None, new_tokens=5)


def sources(probe):
    return [question.parallel.text for question in probe.task.questions]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("english", [["a", "b"], list("abcdefgh"), ["a", "b", "a", "c", "a"]])
def test_every_question_gets_the_source_of_another(english, seed):
    probe = task(english)
    (control,) = control_tasks([probe], seed)
    pairs = list(zip(sources(probe), sources(control), strict=True))
    assert all(own != other for own, other in pairs)
    assert {other for _, other in pairs} == set(english)  # each is a stand-in
    for own, other in zip(probe.task.questions, control.task.questions, strict=True):
        assert (own.item, own.prompt, own.option_ids) == (other.item, other.prompt, other.option_ids)
    assert sources(control_tasks([probe], seed)[0]) == sources(control)


def test_the_seed_says_which():
    probe = task("abcdefgh")
    assert len({tuple(sources(control_tasks([probe], seed)[0])) for seed in range(5)}) > 1


def test_a_task_with_one_source_prompt_has_no_control():
    assert control_tasks([task(["a"]), task(["a", "a"])], 0) == []
