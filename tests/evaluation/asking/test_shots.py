"""Shots are the same questions in all languages, answered, and never those that are asked."""

from dataclasses import replace

import pytest

from cctuning.evaluation.asking.shots import draw_shots
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import write_items
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import ItemSet

MKQA, XLSUM, OPINIONS = map(find_benchmark, ("mkqa", "xlsum", "globalopinionqa"))


def items(language, ids, **more):
    return [
        Item(n, language, f"{language} {n}?", f"en {n}?", (f"{language} answer {n}",), **more) for n in ids
    ]


def written(folder, benchmark, ids=range(10), languages=("en", "sw"), **more):
    for language in languages:
        write_items(folder / benchmark.title / f"{language}.jsonl", items(language, ids, **more))
    return str(folder)


def sets(benchmark, ids=(), languages=("sw", "en")):
    return [ItemSet(benchmark, language, items(language, ids)) for language in languages]


def test_the_same_questions_with_answers_of_each_language(tmp_path):
    data = written(tmp_path, MKQA)
    swahili, english = draw_shots(sets(MKQA), data, 3, seed=1)
    asked = [block.split("\n") for block in swahili.text.split("\n\n")[:-1]]
    ids = [question.removeprefix("sw ").rstrip("?") for question, _ in asked]
    assert len(set(ids)) == 3
    assert swahili.text == "".join(f"sw {n}?\nsw answer {n}\n\n" for n in ids)
    assert swahili.parallel == english.text == "".join(f"en {n}?\nen answer {n}\n\n" for n in ids)


def test_english_answers_stand_before_the_parallel_where_english_is_not_asked(tmp_path):
    [shots] = draw_shots(sets(MKQA, languages=["sw"]), written(tmp_path, MKQA), 1, 0)
    assert (
        shots.text.startswith("sw ") and "en answer" in shots.parallel and "sw answer" not in shots.parallel
    )


def test_the_seed_decides(tmp_path):
    data = written(tmp_path, MKQA, range(50))
    texts = [draw_shots(sets(MKQA), data, 3, seed)[0].text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_what_is_asked_is_not_shown_in_any_language(tmp_path):
    data = written(tmp_path, MKQA)
    asked = [*sets(MKQA, range(5), ["sw"]), *sets(MKQA, range(5, 8), ["en"])]
    for seed in range(5):
        for shots in draw_shots(asked, data, 2, seed):
            assert {block[3:4] for block in shots.text.split("\n\n")[:-1]} == {"8", "9"}
    with pytest.raises(ValueError, match="holds 2 questions of MKQA in sw, en that are not asked"):
        draw_shots(asked, data, 3, 0)


def test_of_a_choice_the_label_and_the_side_that_is_asked(tmp_path):
    choice = {"options": {"A": "x", "B": "y"}}
    for language in ("en", "sw"):
        made = [replace(one, answers=("B",)) for one in items(language, range(3), **choice)]
        write_items(tmp_path / OPINIONS.title / f"{language}.jsonl", made)
    [shots] = draw_shots(sets(OPINIONS, languages=["sw"]), str(tmp_path), 1, 0)
    assert shots.text.startswith("en ") and shots.text.endswith("?\n(B)\n\n")
    assert shots.parallel == shots.text.replace("en ", "sw ")


def test_without_parallels_there_are_none_before_them(tmp_path):
    made = [replace(one, prompt_en="") for one in items("sw", range(3))]
    write_items(tmp_path / XLSUM.title / "sw.jsonl", made)
    [shots] = draw_shots(sets(XLSUM, languages=["sw"]), str(tmp_path), 2, 0)
    assert shots.parallel == "" and shots.text.count("sw answer") == 2
