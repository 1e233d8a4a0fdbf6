"""Local files of questions: every suffix, and every kind of bad file and row."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from cctuning.data.formats import DataError
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import BadItemsError, available_languages, read_items

XNLI, MKQA, OPINIONS = map(find_benchmark, ("xnli", "mkqa", "globalopinionqa"))
CHOICE = {
    "id": 4,
    "language": "sw",
    "prompt": "Paka analala. Je, paka yuko macho?",
    "prompt_en": "The cat sleeps. Is the cat awake?",
    "answer": ["3"],
    "options": {"1": "Ndiyo", "2": "Labda", "3": "Hapana"},
    "option_texts": ["Ndiyo", "Labda", "Hapana"],
    "source_id": 17,
}
SHORT = {
    "id": "q1",
    "prompt": "Rangi ya majani?",
    "prompt_en": "The colour of leaves?",
    "answer": ["kijani", "3.0"],
}


@pytest.fixture
def folder(tmp_path):
    """Writes rows (text as it is) to TITLE/LANGUAGE.jsonl and returns the folder."""

    def write(rows, title="XNLI", name="sw.jsonl"):
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        (tmp_path / title).mkdir(exist_ok=True)
        (tmp_path / title / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path

    return write


def problems(folder, benchmark=XNLI, language="sw"):
    with pytest.raises(BadItemsError) as raised:
        read_items(folder, benchmark, language)
    return str(raised.value)


def test_a_row_becomes_an_item(folder):
    [item] = read_items(folder([CHOICE]), XNLI, "sw")
    assert (item.id, item.language, item.prompt, item.prompt_en) == (
        4,
        "sw",
        CHOICE["prompt"],
        CHOICE["prompt_en"],
    )
    assert (item.answers, item.options) == (("3",), CHOICE["options"])
    assert item.details == {"source_id": 17}
    assert (item.file.endswith("XNLI/sw.jsonl"), item.number) == (True, 1)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".json", ".json.gz", ".parquet"])
def test_every_suffix_holds_the_same(folder, tmp_path, suffix):
    folder([CHOICE, {**CHOICE, "id": 5}])
    expected = read_items(tmp_path, XNLI, "sw")
    text = (tmp_path / "XNLI" / "sw.jsonl").read_text(encoding="utf-8")
    (tmp_path / "XNLI" / "sw.jsonl").unlink()
    path, rows = tmp_path / "XNLI" / f"sw{suffix}", [json.loads(line) for line in text.splitlines()]
    if suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        written = (text if suffix.startswith(".jsonl") else json.dumps(rows)).encode()
        path.write_bytes(gzip.compress(written) if suffix.endswith(".gz") else written)
    found = read_items(tmp_path, XNLI, "sw")
    assert [(item.id, item.options, item.details) for item in found] == [
        (item.id, item.options, item.details) for item in expected
    ]


def test_parquet_fills_labels_with_null_and_they_are_no_options(tmp_path):
    rows = [
        {**CHOICE, "id": n, "answer": ["A"], "options": options}
        for n, options in enumerate([{"A": "yes", "B": "no"}, {"A": "yes", "B": "no", "C": "perhaps"}])
    ]
    for row in rows:
        del row["option_texts"]
    (tmp_path / "GlobalOpinionQA").mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "GlobalOpinionQA" / "sw.parquet")
    assert [list(item.options) for item in read_items(tmp_path, OPINIONS, "sw")] == [
        ["A", "B"],
        ["A", "B", "C"],
    ]


def test_answers_of_open_questions_are_the_strings_of_the_source(folder):
    [item] = read_items(folder([SHORT], "MKQA"), MKQA, "sw")
    assert (item.id, item.answers, item.options) == ("q1", ("kijani", "3.0"), None)


def test_the_parallel_text_may_be_missing_and_the_asked_one_may_not(folder):
    assert read_items(folder([{**CHOICE, "prompt_en": None}]), XNLI, "sw")[0].prompt_en == ""
    assert "row 1, prompt: is null, must be text" in problems(folder([{**CHOICE, "prompt": None}]))
    opinion = {
        **CHOICE,
        "prompt": None,
        "options": {"A": "yes", "B": "no"},
        "answer": ["B"],
        "option_texts": None,
    }
    assert read_items(folder([opinion], "GlobalOpinionQA"), OPINIONS, "sw")[0].prompt == ""
    opinion = {**opinion, "prompt": "Ndiyo?", "prompt_en": None}
    for language in ("sw", "en"):
        opinion["language"] = language
        place = folder([opinion], "GlobalOpinionQA", f"{language}.jsonl")
        assert "prompt_en: is null" in problems(place, OPINIONS, language)


BAD = {
    "is broken JSON at column": '{"id": 4',
    "is a list: rows are written one object a line": [CHOICE],
    "has the key 'id' twice": '{"id": 4, "id": 5}',
    "prompt_en: is missing; did you mean 'prompt-en'?": {
        "prompt-en": "x",
        **{k: v for k, v in CHOICE.items() if k != "prompt_en"},
    },
    "id: is missing": {k: v for k, v in CHOICE.items() if k != "id"},
    "id: is null, must be a whole number or text": {**CHOICE, "id": None},
    "id: is true or false": {**CHOICE, "id": True},
    "id: is a number, must be a whole number or text": {**CHOICE, "id": 1.5},
    "prompt: is empty": {**CHOICE, "prompt": " \n"},
    "prompt: is a number, must be text": {**CHOICE, "prompt": 7},
    "prompt_en: is empty": {**CHOICE, "prompt_en": ""},
    "half of a surrogate pair": json.dumps({**CHOICE, "prompt": "\ud800"}),
    "language: 'tr' is another than the file's, 'sw'": {**CHOICE, "language": "tr"},
    "answer: is text, must be a list of texts": {**CHOICE, "answer": "3"},
    "answer: is an empty list": {**CHOICE, "answer": []},
    "answer: holds what is a number, must be text": {**CHOICE, "answer": [3]},
    "answer: holds what is empty": {**CHOICE, "answer": [""]},
    "answer_en: is text, must be a list of texts": {**CHOICE, "answer_en": "3"},
    "answer_en: holds what is a number, must be text": {**CHOICE, "answer_en": ["a", 3]},
    "answer: '4' is no option: 1, 2, 3": {**CHOICE, "answer": ["4"]},
    "answer: holds 2 labels": {**CHOICE, "answer": ["1", "2"]},
    "options: is null, must be an object": {**CHOICE, "options": None},
    "options: is a list": {**CHOICE, "options": ["Ndiyo"]},
    "options: 2: is empty": {**CHOICE, "options": {"1": "Ndiyo", "2": "", "3": "Hapana"}},
    "options: are 1, 2, must be 1, 2, 3": {**CHOICE, "options": {"1": "Ndiyo", "2": "Hapana"}},
    "options: are 3, 2, 1, must be 1, 2, 3": {**CHOICE, "options": {"3": "c", "2": "b", "1": "a"}},
    "option_texts: are not the texts of options": {**CHOICE, "option_texts": ["Hapana", "Labda", "Ndiyo"]},
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_row_is_named_with_file_row_and_field(folder, message):
    found = problems(folder([{**CHOICE, "id": 99}, BAD[message]]))
    assert message in found
    assert "sw.jsonl, row 2" in found
    assert found.startswith("1 bad item:")


def test_an_id_that_is_there_twice_is_named_with_the_first_row(folder):
    assert "row 3, id: 4 is that of row 1 too" in problems(folder([CHOICE, {**CHOICE, "id": 5}, CHOICE]))


def test_options_of_an_open_question_are_refused(folder):
    bad = {**SHORT, "options": {"1": "x", "2": "y"}}
    assert "options: are there, and MKQA is no choice" in problems(folder([bad], "MKQA"), MKQA)


def test_a_choice_of_one_option_is_refused(folder):
    bad = {**CHOICE, "options": {"A": "x"}, "answer": ["A"], "option_texts": None}
    assert "options: has 1, and a choice needs two" in problems(folder([bad], "GlobalOpinionQA"), OPINIONS)


def test_only_the_first_of_many_problems_are_printed(folder):
    found = problems(folder([{**CHOICE, "answer": ["4"]}] * 25))
    assert "25 bad items" in found
    assert "and 5 more problems" in found


# --- Files --------------------------------------------------------------------------------------------------


def message(*arguments):
    with pytest.raises(DataError) as raised:
        read_items(*arguments)
    return str(raised.value)


def test_a_missing_folder_says_what_it_should_hold(tmp_path):
    assert "no such is no folder of benchmarks: it should hold XNLI/sw.jsonl" in message(
        tmp_path / "no such", XNLI, "sw"
    )


def test_a_missing_benchmark_names_those_that_are_there(folder):
    assert "has no folder MKQA, only XNLI" in message(folder([CHOICE]), MKQA, "sw")
    assert "only XNLI, mkqa; did you mean 'mkqa'?" in message(folder([SHORT], "mkqa"), MKQA, "sw")


def test_a_missing_language_names_those_that_are_there(folder):
    folder([CHOICE])
    found = message(folder([CHOICE], name="tr.jsonl.gz"), XNLI, "de")
    assert "no file of the language 'de', such as de.jsonl; its languages: sw, tr" in found


def test_two_files_of_a_language_are_refused(folder):
    folder([CHOICE])
    assert "holds sw.json and sw.jsonl" in message(folder([CHOICE], name="sw.json"), XNLI, "sw")


def test_an_empty_file_is_refused(folder):
    assert "holds no items" in message(folder([]), XNLI, "sw")


def test_what_is_named_gz_and_is_not_compressed_is_refused(folder):
    assert "is not compressed" in message(folder([CHOICE], name="sw.jsonl.gz"), XNLI, "sw")


def test_languages_are_those_with_a_file(folder):
    folder([CHOICE])
    folder([CHOICE], name="zh-CN.jsonl")
    folder([CHOICE], name="notes.txt")
    assert available_languages(folder([CHOICE], name="de.json.gz"), XNLI) == ["de", "sw", "zh-CN"]
    assert available_languages(folder([CHOICE]) / "nowhere", XNLI) == []


def test_texts_are_read_without_outer_blanks(tmp_path):
    """A gold text with one could occur in no response, whose ends are cut."""
    mkqa, xnli = find_benchmark("mkqa"), find_benchmark("xnli")
    row = {"id": 1.0, "prompt": " a?\n", "prompt_en": "\u3000b?", "answer": ["서울 ", "서울", "\n부산"]}
    choice = {**row, "answer": ["1 "], "options": {"1": "x ", "2": " y", "3": "z"}}
    for benchmark, own in ((mkqa, row), (xnli, choice)):
        path = tmp_path / benchmark.title / "ko.jsonl"
        path.parent.mkdir()
        path.write_text(json.dumps(own) + "\n")
    [item] = read_items(tmp_path, mkqa, "ko")
    assert (item.id, item.prompt, item.prompt_en, item.answers) == (1, "a?", "b?", ("서울", "부산"))
    assert mkqa.metrics[0].score("서울", item) == 1
    [item] = read_items(tmp_path, xnli, "ko")
    assert item.answers == ("1",)
    assert dict(item.options) == {"1": "x", "2": "y", "3": "z"}


def test_a_link_that_leads_nowhere_is_a_language_that_cannot_be_read(folder):
    place = folder([CHOICE])
    (place / "XNLI" / "de.jsonl").symlink_to("nowhere")
    assert available_languages(place, XNLI) == ["de", "sw"]  # not left out without a word
    with pytest.raises(DataError, match=r"de\.jsonl"):
        read_items(place, XNLI, "de")
