"""The demo's world: parallel, in the scripts it claims, and without a leak from the held-out pairs."""

import unicodedata
from collections import Counter, defaultdict

import pytest

from cctuning.data.rows import read_rows as read_training_rows
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import available_languages, read_items
from cctuning.translation.prompt import translation_prompt
from demo.words import ANSWERS, ENGLISH, LANGUAGES, QUESTIONS
from demo.world import BENCHMARK, BUNDLED, DATA, PEOPLE, TRAINED_SHARE, benchmark_items, make_world, read_rows

SCRIPT = {"sw": "LATIN", "tr": "LATIN", "ru": "CYRILLIC", "el": "GREEK", "hi": "DEVANAGARI", "ar": "ARABIC"}
WORLD = make_world()
ALL_PAIRS = WORLD.pairs + WORLD.held_out


def texts(rows):
    return {row["instruction"] for row in rows}


@pytest.mark.parametrize("part", BUNDLED)
def test_the_bundled_files_are_what_the_generator_makes(part):
    assert read_rows(DATA / f"{part}.jsonl") == getattr(WORLD, part)


def test_the_held_out_pairs_are_there_as_questions_of_a_benchmark():
    mkqa = find_benchmark("mkqa")
    assert BENCHMARK.name == mkqa.title
    assert set(available_languages(BENCHMARK.parent, mkqa)) == {ENGLISH, *LANGUAGES}
    asked = set()
    for language in LANGUAGES:
        assert read_rows(BENCHMARK / f"{language}.jsonl") == benchmark_items(WORLD.held_out, language)
        items = read_items(BENCHMARK.parent, mkqa, language)
        asked |= {(item.language, item.prompt, item.prompt_en, *item.answers) for item in items}
    fields = ("language", "instruction", "instruction_en", "output")
    assert asked == {tuple(row[field] for field in fields) for row in WORLD.held_out}
    english = {item.id: item.prompt for item in read_items(BENCHMARK.parent, mkqa, ENGLISH)}
    assert english == {row["id"]: row["instruction_en"] for row in ALL_PAIRS}


def test_the_bundled_files_are_small():
    assert sum(path.stat().st_size for path in DATA.rglob("*.jsonl")) < 1e6


def test_the_same_seed_gives_the_same_world_and_another_one_does_not():
    assert make_world(seed=3, people=5) == make_world(seed=3, people=5) != make_world(seed=4, people=5)


def test_every_fact_is_asked_in_every_language_and_answered_alike():
    facts = defaultdict(dict)
    for row in ALL_PAIRS:
        assert row["language"] not in facts[row["id"]]
        facts[row["id"]][row["language"]] = row
    assert len(facts) == PEOPLE * len(QUESTIONS)
    for name, rows in facts.items():
        answers = ANSWERS[name.partition("-")[0]]
        assert set(rows) == set(LANGUAGES)
        assert len({row["instruction_en"] for row in rows.values()}) == 1
        places = {answers[language].index(row["output"]) for language, row in rows.items()}
        places |= {answers[ENGLISH].index(row["output_en"]) for row in rows.values()}
        assert len(places) == 1


def test_every_language_has_the_same_share_of_trained_pairs():
    counts = Counter(row["language"] for row in WORLD.pairs)
    assert set(counts.values()) == {round(TRAINED_SHARE * PEOPLE * len(QUESTIONS))}


def test_held_out_questions_are_in_no_training_text_but_the_base_models_translations():
    held_out = texts(WORLD.held_out)
    assert held_out.isdisjoint(texts(WORLD.pairs) | texts(WORLD.mixture))
    assert texts(map(as_translation, WORLD.held_out)).isdisjoint(texts(WORLD.mixture))
    assert texts(map(as_translation, WORLD.held_out)) <= texts(WORLD.questions)


def test_the_base_model_sees_no_question_in_another_language_answered():
    shown = texts(WORLD.facts + WORLD.vocabulary + WORLD.questions)
    assert shown.isdisjoint(texts(ALL_PAIRS))
    asked = {row["instruction"]: row["output"] for row in WORLD.questions}
    assert all(
        asked[translation_prompt(row["instruction"], source=row["language"], target=ENGLISH)]
        == row["instruction_en"]
        for row in ALL_PAIRS
    )


def test_the_base_model_learns_every_fact_in_english():
    facts = {row["instruction"]: row["output"] for row in WORLD.facts}
    assert all(facts[row["instruction_en"]] == row["output_en"] for row in ALL_PAIRS)
    assert {row["language"] for row in WORLD.facts} == {ENGLISH}


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_and_answers_are_in_the_languages_own_script(language):
    letters = {
        letter
        for row in ALL_PAIRS
        if row["language"] == language
        for letter in row["instruction"] + row["output"]
        if letter.isalpha()
    }
    assert {unicodedata.name(letter).partition(" ")[0] for letter in letters} == {SCRIPT[language]}


@pytest.mark.parametrize("language", [ENGLISH, *LANGUAGES])
def test_no_two_answers_are_the_same_word(language):
    words = [word for answers in ANSWERS.values() for word in answers[language]]
    assert len(set(words)) == len(words)
    assert all(" " not in word for word in words)


def test_names_are_told_apart_in_every_language():
    for language in LANGUAGES:
        questions = [row["instruction"] for row in ALL_PAIRS if row["language"] == language]
        assert len(set(questions)) == len(questions) == PEOPLE * len(QUESTIONS)


def test_the_training_files_are_rows_without_a_problem():
    rows, problems = read_training_rows([str(DATA / "pairs.jsonl"), str(DATA / "mixture.jsonl")])
    assert not problems
    assert len(rows) == len(WORLD.pairs) + len(WORLD.mixture)


def as_translation(row):
    return {"instruction": translation_prompt(row["instruction"], source=row["language"], target=ENGLISH)}
