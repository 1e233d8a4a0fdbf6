"""Rivals of transplants are asked in the language that the study asks in."""

import pytest

from cctuning.analysis.probing.load_tasks import read_probe_tasks
from cctuning.analysis.probing.prompting import prompted_tasks
from cctuning.evaluation.benchmarks import find_benchmark
from tests.analysis.probing.test_directions import EXAMPLES, prompts


def asked(name, direction, prompting, centre="en"):
    """The first question that is asked in German."""
    own = prompts()
    probes = read_probe_tasks(
        [find_benchmark(name)],
        str(EXAMPLES / "benchmarks"),
        own,
        direction=direction,
        centre=centre,
        languages=["de"],
    )
    (task,) = prompted_tasks(probes, own, prompting, positions=None, new_tokens=5)
    return probes[0].task.questions[0], task.questions[0]


@pytest.mark.parametrize(
    ("name", "direction", "line"),
    [
        ("xnli", "to_language", "Denken wir Schritt für Schritt"),
        ("xnli", "to_centre", "Let's think step by step"),
        ("globalopinionqa", "to_language", "Denken wir Schritt für Schritt"),
        ("globalopinionqa", "to_centre", "Let's think step by step"),
    ],
)
def test_a_chain_of_thought_begins_in_the_language_of_its_question(name, direction, line):
    plain, thought = asked(name, direction, "cot")
    assert thought.prompt.text.startswith(plain.prompt.text)
    assert line in thought.prompt.text[len(plain.prompt.text) :]
    assert thought.item == plain.item


@pytest.mark.parametrize("name", ["xnli", "globalopinionqa"])
@pytest.mark.parametrize("direction", ["to_language", "to_centre"])
def test_prompts_of_both_languages_hold_the_source_and_then_what_is_asked(name, direction):
    plain, both = asked(name, direction, "pim")
    assert both.prompt.text == f"{plain.parallel.text}\n\n{plain.prompt.text}"
