"""Questions of benchmarks in rows: against the containment of every pair."""

import random

import pytest

from cctuning.data.formats import DataError
from cctuning.data.rows import rows_from_records
from cctuning.preparation.overlap import overlaps, read_questions
from tests.json_lines import write_lines
from tests.preparation.texts import grams, row, story


def write(path, items):
    return str(write_lines(path, items))


@pytest.mark.parametrize("threshold", [0.4, 0.7, 1.0])
def test_rows_are_those_of_the_exact_containment(tmp_path, threshold):
    generator = random.Random(1)
    prompts = [story(generator, 12) for _ in range(9)]  # too few for a frame
    file = write(tmp_path / "q.jsonl", [{"id": n, "prompt": prompt} for n, prompt in enumerate(prompts)])
    records = [row(story(generator, 10), story(generator, 3)) for _ in range(80)]
    for record in records[::2]:
        words = generator.choice(prompts).split()
        record["instruction"] += " " + " ".join(words[generator.randrange(6) :])
        record["instruction_en"] = "English"
    for record in records[::5]:
        record["instruction_en"], record["output_en"] = story(generator, 4), generator.choice(prompts)
    rows, _ = rows_from_records(records)
    questions, short = read_questions([file])
    exact = {}
    for number, one in enumerate(rows):
        for of_row in (f"{one.instruction}\n{one.output}", f"{one.instruction_en}\n{one.output_en or ''}"):
            for prompt in prompts:
                held = len(grams(prompt, 5) & grams(of_row, 5)) / len(grams(prompt, 5))
                if held >= threshold:
                    exact[number] = max(held, exact.get(number, 0))
    found = {one.row.number - 1: one.containment for one in overlaps(rows, questions, threshold=threshold)}
    assert short == 0
    assert exact
    assert found == pytest.approx(exact)


def test_the_frame_of_a_file_does_not_count(tmp_path):
    lead, end = "Please answer the following question as well as you can.\n\n", "\n\nYour answer is this one:"
    generator = random.Random(2)
    asked = [story(generator, 6) + str(number) for number in range(40)]
    items = [{"id": number, "prompt": lead + one + end} for number, one in enumerate(asked)]
    questions, _ = read_questions([write(tmp_path / "q.jsonl", items)])
    rows, _ = rows_from_records([row(asked[7], "x"), row(lead + "who is who" + end, "y")])
    [found] = overlaps(rows, questions, threshold=0.8)
    assert (found.row, found.question.id, found.question.column) == (rows[0], "7", "prompt")
    assert found.containment == 1.0


def test_short_questions_are_counted_not_looked_for(tmp_path):
    items = [
        {"prompt": "Who won?", "prompt_en": "Who won?"},
        {"prompt": "Who won the silver cup?", "prompt_en": None},
    ]
    questions, short = read_questions([write(tmp_path / "q.jsonl", items)])
    assert ([question.text for question in questions], short) == (["Who won the silver cup?"], 1)
    assert questions[0].id == "2"  # its row, where it has no id


def test_the_question_that_a_row_holds_most_of_is_named(tmp_path):
    first, second = "the silver river behind the garden", "the silver river behind the market"
    items = [{"id": "a", "prompt": first}, {"id": "b", "prompt": second}]
    questions, _ = read_questions([write(tmp_path / "q.jsonl", items)])
    rows, _ = rows_from_records([row(f"Was it {second}?", "yes")])
    assert overlaps(rows, questions, threshold=0.5)[0].question.id == "b"


def test_english_prompts_beside_several_languages_count_once(tmp_path):
    english = story(random.Random(3), 12)
    prompts = {"sw": story(random.Random(4), 12), "ru": story(random.Random(5), 12)}
    for language, prompt in prompts.items():
        write(tmp_path / "Q" / f"{language}.jsonl", [{"id": 1, "prompt": prompt, "prompt_en": english}])
    questions, _ = read_questions([str(tmp_path)])
    assert sorted(question.text for question in questions) == sorted([*prompts.values(), english])


def test_without_rows_or_questions():
    rows, _ = rows_from_records([row("a", "b")])
    assert overlaps(rows, [], threshold=0.5) == []
    assert overlaps([], [], threshold=0.5) == []


def test_what_is_no_benchmark_file(tmp_path):
    with pytest.raises(DataError, match=r"rows\.jsonl is no benchmark file.*did you mean 'promt'"):
        read_questions([write(tmp_path / "rows.jsonl", [{"promt": "x"}])])
    with pytest.raises(DataError, match="does not exist"):
        read_questions([str(tmp_path / "none")])


@pytest.mark.parametrize(
    ("prompt", "found"), [("谁赢了杯子", 0), ("新西兰的总人口是多少", 1), ("Who is he to me", 0)]
)
def test_a_wide_script_needs_fewer_characters(tmp_path, prompt, found):
    assert len(read_questions([write(tmp_path / "q.jsonl", [{"prompt": prompt}])])[0]) == found
