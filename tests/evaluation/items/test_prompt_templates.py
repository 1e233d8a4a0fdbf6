"""Templates: fields in, prompts out, and with real benchmark files back again."""

import os
import re
from pathlib import Path

import pytest

from cctuning.evaluation.benchmarks import BENCHMARKS, find_benchmark
from cctuning.evaluation.items.files import available_languages, read_items
from cctuning.evaluation.items.prompt_templates import PromptTemplate, find_template, languages_of

FOLDER = os.environ.get("CCTUNING_BENCHMARKS")
PLACE = re.compile(r"\{(\w+)\}")


def test_fields_are_put_in_as_they_are():
    template = PromptTemplate(
        "{a} and {b}: {1}\n{kind}", {"1": "yes"}, {"kind": {"x": "It is x.", "y": "It is y."}}
    )
    fields = {"a": "{b}", "b": "100 % {} \\1", "kind": "y"}
    assert template.render(fields) == "{b} and 100 % {} \\1: yes\nIt is y."
    with pytest.raises(KeyError):
        template.render({"a": "x"})


def test_a_prompt_is_taken_apart_as_it_was_put_together():
    template = PromptTemplate("{a} - {b}\n{kind}\n(1) {b2}\n(B) {c}", {}, {"kind": {"x": "X?", "y": "Y?"}})
    fields = {"a": "one\n(1) no", "b": ".*", "b2": "", "c": "(B) two", "kind": "y"}
    assert template.fields_of(template.render(fields)) == fields
    assert template.options_of(template.render(fields)) == {"1": "", "B": "(B) two"}
    assert template.fields_of("Y?") is None and template.options_of("Y?") is None
    own = PromptTemplate("{a}: {1} or {2}", {"1": "yes", "2": "no"})
    assert own.options_of("x: yes or no") == {"1": "yes", "2": "no"}
    assert own.options_of("x: yes or yes") is None


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=lambda benchmark: benchmark.name)
def test_every_language_of_a_paper_has_a_frame_with_the_same_fields(benchmark):
    languages = ("en",) if benchmark.asked_in_english else benchmark.languages
    assert set(languages) <= set(languages_of(benchmark.name))
    places = {
        frozenset(PLACE.findall(find_template(benchmark.name, code).prompt))
        for code in languages_of(benchmark.name)
    }
    assert len(places) == 1


@pytest.mark.parametrize("name", ["xtransplant_xnli", "xtransplant_xquad"])
def test_wordings_of_the_other_paper_have_the_same_fields(name):
    english = find_template(name.removeprefix("xtransplant_"), "en")
    for language in languages_of(name):
        template = find_template(name, language)
        assert set(PLACE.findall(template.prompt)) == set(PLACE.findall(english.prompt))
        assert template.prompt != english.prompt


def test_sentences_of_a_story_stand_without_a_space():
    template = find_template("xstorycloze", "en")
    fields = {f"sentence{n}": f"S{n}." for n in (1, 2, 3, 4)} | {"ending1": "one", "ending2": "two"}
    assert template.render(fields).startswith("S1.S2.S3.S4.\n(1) one\n(2) two\n\nWhich of the two options")


def test_a_language_without_a_frame_is_named_with_those_that_have_one():
    with pytest.raises(ValueError, match="mkqa has no prompt in the language 'sw', only in ar, de"):
        find_template("mkqa", "sw")


# --- Real files ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(not FOLDER, reason="CCTUNING_BENCHMARKS names no folder")
@pytest.mark.parametrize("name", ["xnli", "xstorycloze", "mmmlu", "mkqa", "xquad", "xlsum"])
def test_the_authors_prompts_come_out_of_their_fields(name):
    benchmark = find_benchmark(name)
    for language in available_languages(FOLDER, benchmark):
        _check(read_items(FOLDER, benchmark, language), find_template(name, language), name)


@pytest.mark.skipif(
    not FOLDER or not (Path(FOLDER).parent / "pilot").is_dir(),
    reason="no folder pilot beside CCTUNING_BENCHMARKS",
)
@pytest.mark.parametrize("folder", ["pilot", "unseen"])
@pytest.mark.parametrize("name", ["xnli", "xquad", "globalopinionqa"])
def test_the_other_papers_prompts_too(folder, name):
    benchmark, templates = find_benchmark(name), f"xtransplant_{name}"
    for language in available_languages(Path(FOLDER).parent / folder, benchmark):
        items = read_items(Path(FOLDER).parent / folder, benchmark, language)
        template = find_template(*((name, "en") if benchmark.asked_in_english else (templates, language)))
        _check(items, template, name)


def _check(items, template, name):
    """Every prompt, taken apart and put together again, is the same, with the options of its item."""
    for item in items:
        prompt = item.prompt_en if name == "globalopinionqa" else item.prompt
        fields = template.fields_of(prompt)
        assert fields is not None, (item.language, item.id)
        assert template.render(fields) == prompt
        if item.options and name != "globalopinionqa":
            options = template.options_of(prompt)
            assert {label: text.strip() for label, text in options.items()} == item.options
