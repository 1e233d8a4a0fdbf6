"""`cctuning prepare held_out`: what is trained is not asked, and the inverse of a question neither."""

import re
from collections import Counter
from dataclasses import replace

import pytest

from cctuning.data.rows import read_rows
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import read_items
from cctuning.preparation import held_out
from cctuning.preparation.manifest import read_manifest
from tests.json_lines import write_lines

LANGUAGES = ("ar", "hi", "ru", "tr")


def record(id, prompt, answer, language):
    return {
        "id": id,
        "language": language,
        "instruction": f"{language}: {prompt}",
        "instruction_en": prompt,
        "output": f"{answer} ({language})",
        "output_en": answer,
    }


FACTS = {
    f"{kind}{n}": fact
    for n in range(60)
    for kind, fact in [
        ("capital", (f"The capital of Land{n:02} is ____.", f"City{n:02}")),
        ("inverse", (f"City{n:02} is the capital of ____.", f"Land{n:02}")),
        ("river", (f"The river of Land{n:02} is ____.", f"River{n % 5}")),
    ]
}
FACTS["told"] = ("The Nile is called ____ Nile.", "the")
RECORDS = [record(id, *fact, language) for id, fact in FACTS.items() for language in LANGUAGES]


@pytest.fixture
def run(tmp_path, capsys):
    def run(records, *arguments, output="out"):
        source = tmp_path / "rows.jsonl"
        write_lines(source, records)
        status = held_out.main([str(source), "--output", str(tmp_path / output), *arguments])
        return status, tmp_path / output, "".join(capsys.readouterr())

    return run


def questions(folder, kind):
    benchmark = find_benchmark(str(folder / f"{kind}.yaml"))
    return {language: read_items(folder, benchmark, language) for language in benchmark.languages}


def test_no_question_was_trained_in_its_language_and_all_were_in_english(run):
    status, folder, printed = run(RECORDS)
    assert status == 0, printed
    rows, _ = read_rows([str(folder / "train.jsonl")])
    trained = {(row.id, row.language) for row in rows}
    assert len(trained) == len(rows)
    english, _ = read_rows([str(folder / "english.jsonl")])
    assert {(row.id, row.language) for row in english} == {pair for pair in trained if pair[1] == "en"}
    languages_of = Counter(id for id, language in trained if language != "en")
    pairs, english_only = questions(folder, "held_out"), questions(folder, "english_only")
    assert tuple(pairs) == tuple(english_only) == LANGUAGES
    for kind, halves in ((pairs, 2), (english_only, 0)):
        for language, items in kind.items():
            for item in items:
                assert (item.id, language) not in trained
                assert (item.id, "en") in trained
                assert languages_of[item.id] == halves
                assert item.prompt == f"{language}: {FACTS[item.id][0]}"
                assert item.details["answer_en"] == [FACTS[item.id][1]]
                assert item.id != "told"
    # Aligned are all of them and, without an answer, held-out pairs, but nothing of items in English alone.
    aligned, _ = read_rows([str(folder / "aligned.jsonl")], response=False)
    assert aligned[: len(rows)] == [replace(row, file=aligned[0].file) for row in rows]
    without = aligned[len(rows) :]
    assert {(row.output, row.output_en) for row in without} == {("", None)}
    everything = {(id, language) for id in languages_of for language in (*LANGUAGES, "en")}
    assert {(row.id, row.language) for row in without} == {pair for pair in everything if pair not in trained}
    assert len({(row.id, row.language) for row in without}) == len(without)
    counts = Counter(row.language for row in rows)
    of_languages = [counts[language] for language in LANGUAGES]
    assert max(of_languages) - min(of_languages) <= 4  # of two groups, each of two items at most
    assert read_manifest(folder)[0]["rows"]["en"] == counts["en"]


def test_a_pilot_is_of_held_out_pairs_that_are_not_asked(run):
    _, folder, printed = run(RECORDS, "--questions", "10")
    without = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    status, folder, printed = run(RECORDS, "--questions", "10", "--pilot", "7")
    assert status == 0, printed
    assert all(path.read_bytes() == content for path, content in without.items())
    pilot, asked = questions(folder, "pilot"), questions(folder, "held_out")
    assert tuple(pilot) == ("ar", "en", "hi", "ru", "tr")
    prompts = [row for row in read_rows([str(folder / "aligned.jsonl")], response=False)[0] if not row.output]
    held = {(row.id, row.language) for row in prompts}
    for language in LANGUAGES:
        ids = {item.id for item in pilot[language]}
        assert len(ids) == 7 and not ids & {item.id for item in asked[language]}
        assert {(id, language) for id in ids} <= held
    english = {item.id: item for item in pilot["en"]}
    assert set(english) == {item.id for language in LANGUAGES for item in pilot[language]}
    for id, item in english.items():
        assert (item.prompt, item.answers) == (FACTS[id][0], (FACTS[id][1],))
    status, _, printed = run(RECORDS, "--pilot", "7", "--questions", "100", output="other")
    assert status == 2 and re.search(
        "pilot: .*held-out questions in ar.* 0 are left, and 7 are wanted", " ".join(printed.split())
    )


@pytest.mark.parametrize(("share", "asked"), [("0", 1), ("0.25", 1), ("0.8", 3), ("1", 3)])
def test_as_many_languages_are_held_out_as_the_share_says(run, share, asked):
    status, folder, printed = run(RECORDS, "--held_out", share)
    assert status == 0, printed
    rows, _ = read_rows([str(folder / "train.jsonl")])
    of_item = Counter(row.id for row in rows)  # English among them; items in English alone have one
    assert set(of_item.values()) == {1, 1 + len(LANGUAGES) - asked}
    counts = Counter(row.language for row in rows)
    of_languages = [counts[language] for language in LANGUAGES]
    assert max(of_languages) - min(of_languages) <= 4


def test_a_question_and_its_inverse_are_held_out_in_the_same_languages(run):
    _, folder, _ = run(RECORDS)
    rows, _ = read_rows([str(folder / "train.jsonl")])
    trained = {}
    for row in rows:
        trained.setdefault(row.id, set()).add(row.language)
    for n in range(60):
        assert trained[f"capital{n}"] == trained[f"inverse{n}"]
    assert len({frozenset(languages) for languages in trained.values()}) > 4


def test_answers_of_many_items_and_their_number_are_limited(run):
    _, folder, printed = run(RECORDS, "--per_answer", "3", "--items", "90", "--questions", "10")
    rows, _ = read_rows([str(folder / "train.jsonl")])
    english = [row for row in rows if row.language == "en"]
    assert len(english) == 90
    assert max(Counter(row.output for row in english).values()) <= 3
    assert {len(items) for items in questions(folder, "held_out").values()} == {10}
    assert "45" in printed  # 60 rivers of 5 names, of each 3


def test_the_split_is_the_same_whatever_the_order_of_the_rows(run):
    _, folder, _ = run(RECORDS)
    first = {path.name: path.read_bytes() for path in folder.rglob("*.jsonl")}
    _, folder, _ = run(RECORDS[::-1])
    assert {path.name: path.read_bytes() for path in folder.rglob("*.jsonl")} == first
    _, folder, _ = run(RECORDS, "--seed", "1", output="other")
    assert {path.name: path.read_bytes() for path in folder.rglob("*.jsonl")} != first


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "1"], "seed=0"),
        (["--languages", "ar", "tr"], "languages="),
        (["--items", "90"], "items=None"),
    ],
)
def test_another_split_is_not_written_over_the_first(run, arguments, said):
    _, folder, _ = run(RECORDS)
    first = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    status, _, printed = run(RECORDS, *arguments)
    assert status == 2 and re.search(f"another split, with {said}", " ".join(printed.split()))
    assert {path: path.read_bytes() for path in folder.rglob("*.jsonl")} == first
    assert run(RECORDS)[0] == 0


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([one for one in RECORDS if one["language"] == "tr"], r"two languages.*tr"),
        ([{**one, "output_en": None} for one in RECORDS], "output_en"),
        ([one for one in RECORDS if one["id"] == "told"], "stands in its own question"),
        (RECORDS[:1] + RECORDS[5:6], "no item is there in all of"),
    ],
)
def test_rows_that_cannot_be_split(run, records, said):
    status, _, printed = run(records)
    assert status == 2
    assert re.search(said, " ".join(printed.split()))


@pytest.mark.parametrize(
    ("languages", "said"), [(["tr"], "languages names tr"), (["tr", "xx"], "no row is in xx.*tr")]
)
def test_languages_that_do_not_make_a_split(run, languages, said):
    status, _, printed = run(RECORDS, "--languages", *languages)
    assert status == 2 and re.search(said, " ".join(printed.split()))
