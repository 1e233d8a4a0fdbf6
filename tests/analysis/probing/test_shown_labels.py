"""Prompts that do not show the labels their answers are judged by are named."""

from dataclasses import replace

import pytest

from cctuning.analysis.probing.shown_labels import unshown_labels
from tests.analysis.probing.test_cost import probes


def with_text(probe, side, change):
    """The probe with other texts of its asked or its source (parallel) prompts."""
    questions = [
        replace(one, **{side: getattr(one, side)._replace(text=change(getattr(one, side).text))})
        for one in probe.task.questions
    ]
    return replace(probe, task=replace(probe.task, questions=questions))


def test_nothing_is_said_where_prompts_show_their_labels():
    assert unshown_labels(probes()) == []


@pytest.mark.parametrize(("side", "said"), [("prompt", "asked"), ("parallel", "source")])
def test_the_language_and_the_side_are_named(side, said):
    (probe,) = probes()
    other = with_text(probe, side, lambda text: text.replace("1", "አ").replace("2", "ለ"))
    [warning] = unshown_labels([other, other])
    assert "XCOPA sw" in warning and f"no {said} prompt" in warning
    within_a_word = with_text(probe, side, lambda text: text.replace("1", "x1").replace("2", "x2"))
    assert len(unshown_labels([within_a_word])) == 1
