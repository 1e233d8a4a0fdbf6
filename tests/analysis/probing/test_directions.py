"""Which prompt is asked, which one activations come from, and who judges the answer to either."""

import functools
import itertools
from pathlib import Path

import pytest

from cctuning.analysis.probing.directions import TO_CENTRE, TO_LANGUAGE, Direction, direct
from cctuning.analysis.probing.load_tasks import read_probe_tasks
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.evaluation.asking.prompting import prompts_of
from cctuning.evaluation.asking.shots import NO_SHOTS, draw_shots
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import ItemSet
from tests.tiny import tiny_tokenizer

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
XNLI, CULTURE, XLSUM = (find_benchmark(name) for name in ("xnli", "globalopinionqa", "xlsum"))


def item(language, number, **more):
    return Item(number, language, f"{language} {number}", f"en {number}", (f"gold {language}",), **more)


def item_set(benchmark, language, numbers=(1, 2)):
    return ItemSet(benchmark, language, [item(language, number) for number in numbers])


def prompts_and_judges(directed):
    """Of the first item: the asked prompt, the source prompt, and the gold answers that judge each."""
    asked = directed.item_set.items[0]
    return *prompts_of(asked, directed.item_set.benchmark), asked.answers[0], directed.sources[0].answers[0]


@pytest.mark.parametrize(
    ("name", "centre", "expected", "asked_in", "sources_of"),
    [
        (TO_LANGUAGE, "en", ("sw 1", "en 1", "gold sw", "gold en"), "sw", "en"),
        (TO_LANGUAGE, "zh", ("sw 1", "zh 1", "gold sw", "gold zh"), "sw", "zh"),
        (TO_CENTRE, "en", ("en 1", "sw 1", "gold en", "gold sw"), "en", "sw"),
        (TO_CENTRE, "zh", ("zh 1", "sw 1", "gold zh", "gold sw"), "zh", "sw"),
    ],
)
def test_parallel_benchmarks(name, centre, expected, asked_in, sources_of):
    others = {number: item(centre, number) for number in (2, 1, 3)}
    directed = direct(item_set(XNLI, "sw"), Direction(name, centre), others)
    assert prompts_and_judges(directed) == expected
    assert (directed.asked_in, directed.sources_of) == (asked_in, sources_of)
    assert [one.id for one in directed.sources] == [1, 2]


@pytest.mark.parametrize(
    ("name", "asked", "source", "asked_in"),
    [(TO_CENTRE, "en 1", "sw 1", "en"), (TO_LANGUAGE, "sw 1", "en 1", "sw")],
)
def test_culture_is_asked_in_english_by_default(name, asked, source, asked_in):
    directed = direct(item_set(CULTURE, "sw"), Direction(name), None)
    assert prompts_and_judges(directed) == (asked, source, "gold sw", "gold sw")
    assert (directed.asked_in, directed.sources_of) == (asked_in, "sw")


def test_the_papers_directions():
    assert Direction.of("auto", "en", XNLI).name == TO_LANGUAGE
    assert Direction.of("auto", "en", CULTURE).name == TO_CENTRE
    assert Direction.of(TO_LANGUAGE, "en", CULTURE).name == TO_LANGUAGE


def test_an_item_without_a_parallel_is_named_or_left_out():
    others = {1: item("zh", 1)}
    with pytest.raises(ValueError, match=r"XNLI, row 0, id 2: has no parallel in 'zh'.*on_bad_prompt"):
        direct(item_set(XNLI, "sw"), Direction(TO_LANGUAGE, "zh"), others)
    directed = direct(item_set(XNLI, "sw"), Direction(TO_LANGUAGE, "zh"), others, leave_out=True)
    assert [one.id for one in directed.item_set.items] == [1]
    assert directed.item_set.left_out == {"no parallel in zh": [2]}


def test_languages_with_questions_of_their_own_have_no_other_centre():
    with pytest.raises(ValueError, match="centre=zh: the languages of GlobalOpinionQA hold different"):
        direct(item_set(CULTURE, "sw"), Direction(TO_CENTRE, "zh"), None)


def prompts():
    tokenizer = tiny_tokenizer()
    choose_template(tokenizer, "plain")
    return PromptFormat(tokenizer)


def test_the_examples_of_this_repository_are_read_with_their_parallels():
    found = read_probe_tasks(
        [XNLI, CULTURE], str(EXAMPLES / "benchmarks"), prompts(), direction="auto", centre="en"
    )
    by_language = {(one.benchmark, one.language): one for one in found}
    swahili = by_language["xnli", "sw"]
    english = by_language["xnli", "en"]
    for own, other in zip(swahili.task.questions, english.task.questions, strict=True):
        assert own.parallel.text == other.prompt.text
    assert [source.language for source in swahili.sources] == ["en"] * len(swahili.ids)
    culture = by_language["globalopinionqa", "de"]
    assert culture.asked_in == "en"
    assert culture.task.questions[0].prompt.text.startswith("Human: How would someone from Germany")
    assert culture.task.questions[0].parallel.text.startswith("Mensch:")


def test_summaries_are_neither_right_nor_wrong():
    with pytest.raises(ValueError, match="an answer to XLSum has a degree"):
        read_probe_tasks([XLSUM], str(EXAMPLES / "benchmarks"), prompts(), direction="auto", centre="en")


def test_an_unknown_centre_is_an_error_with_a_near_match():
    with pytest.raises(ValueError, match=r"no 'swa'.*sw"):
        read_probe_tasks([XNLI], str(EXAMPLES / "benchmarks"), prompts(), direction="auto", centre="swa")


def test_shots_are_the_same_questions_before_both_prompts():
    data = str(EXAMPLES / "benchmarks")
    more = {"direction": "auto", "centre": "en", "languages": ["de", "sw"]}
    draw = functools.partial(draw_shots, data=data, count=2, seed=1)
    every = {one.language: one for one in read_probe_tasks([XNLI], data, prompts(), **more)}
    orders = set()
    for one in read_probe_tasks([XNLI], data, prompts(), limit=2, draw=draw, **more):
        known = every[one.language].task.questions
        for question, plain in zip(one.task.questions, known, strict=False):
            (order,) = [
                order
                for order in itertools.permutations(known[2:])
                if question.prompt.text
                == "".join(f"{shot.prompt.text}\n({shot.item.answers[0]})\n\n" for shot in order)
                + plain.prompt.text
            ]
            assert question.parallel.text.endswith(plain.parallel.text)
            assert all(shot.parallel.text in question.parallel.text for shot in order)
            orders.add(tuple(shot.item.id for shot in order))
    assert len(orders) == 1


@pytest.mark.parametrize("change", [{"direction": "to_centre"}, {"centre": "sw"}])
def test_shots_stand_before_prompts_in_the_language_and_in_english(change):
    more = {"direction": "to_language", "centre": "en", "languages": ["de"]} | change
    with pytest.raises(ValueError, match="shots: XNLI is asked in"):
        read_probe_tasks(
            [XNLI], str(EXAMPLES / "benchmarks"), prompts(), draw=lambda sets: [NO_SHOTS] * len(sets), **more
        )
