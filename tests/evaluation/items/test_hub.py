"""Hub sets: loaded from clones in the layout and columns of the real ones, by the real `datasets`."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from cctuning.data.formats import DataError
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import read_items
from cctuning.evaluation.items.hub import Reader, load_items
from cctuning.translation import Translation
from tests.evaluation.clones import (
    EXAMPLES,
    MORE,
    WITH_EXAMPLES,
    by_language,
    translate,
    write_clones,
    write_examples,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_clones(tmp_path_factory.mktemp("clones"))


def load(root, name, language, **options):
    return load_items(find_benchmark(name), language, read=Reader(root), **options)


def test_the_examples_are_what_comes_out_of_their_sources(root, tmp_path):
    write_examples(tmp_path, root)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    folder = EXAMPLES / "benchmarks"
    kept = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.jsonl")}
    assert made == kept, "run python -m tests.evaluation.clones"


@pytest.mark.parametrize("benchmark", WITH_EXAMPLES.values(), ids=lambda benchmark: benchmark.name)
def test_examples_are_good_items_in_every_language_and_parallel_by_id(benchmark):
    languages = (*benchmark.languages, *MORE.get(benchmark.name, ()))
    items = {language: read_items(EXAMPLES / "benchmarks", benchmark, language) for language in languages}
    for of_language in items.values():
        assert [item.id for item in of_language] == [item.id for item in items["en"]]
        if benchmark.parallel:
            assert [item.prompt_en for item in of_language] == [item.prompt_en for item in items["en"]]
        if benchmark.parallel and benchmark.kind == "choice":
            assert [item.answers for item in of_language] == [item.answers for item in items["en"]]
    assert all(item.prompt == item.prompt_en for item in items["en"])


def test_fields_go_into_the_frame_of_the_language_and_its_options_come_out(root):
    item = load(root, "xnli", "en")[0]
    (premise, hypothesis), *_ = by_language("xnli")["en"]
    assert item.prompt.startswith(f"Premise: {premise}\nHypothesis: {hypothesis}\n\nWhat do you think")
    assert "\n(1) Entail \n(2) Neutral\n" in item.prompt  # the authors' blank
    assert item.options == {"1": "Entail", "2": "Neutral", "3": "Contradict"}
    assert item.answers == ("3",)


def test_answers_keep_the_strings_of_the_source_and_questions_without_one_are_left_out(root):
    items = load(root, "mkqa", "zh")
    assert [item.answers for item in items] == [
        ("巴黎",),
        ("7.0",),
        ("威廉·莎士比亚", "莎士比亚"),
        ("太平洋",),
    ]
    english = load(root, "mkqa", "en")
    assert [item.details["answer_en"] for item in items] == [list(item.answers) for item in english]
    assert not any("answer_en" in item.details for item in english)


def test_english_copa_has_the_labels_of_its_translations_and_they_its_questions(root):
    assert [item.answers for item in load(root, "xcopa", "en")] == [("1",), ("2",), ("1",), ("2",)]
    thai = load(root, "xcopa", "th")  # its own field says effect everywhere
    assert [item.details["question"] for item in thai] == ["effect", "cause", "cause", "effect"]
    assert "สาเหตุ" in thai[1].prompt


def test_mmlu_and_its_translations_have_one_shape(root):
    english, korean = load(root, "mmmlu", "en")[2], load(root, "mmmlu", "ko")[2]
    assert (english.answers, english.details) == (korean.answers, korean.details)
    assert english.options == korean.options == {"A": "6", "B": "8", "C": "10", "D": "12"}


def test_opinions_are_those_on_which_most_people_of_the_countries_agree(root):
    items = load(root, "globalopinionqa", "sv", translate=translate)
    assert [(item.details["country"], item.answers) for item in items] == [
        ("Sweden", ("B",)),
        ("Sweden", ("B",)),
    ]
    assert "from Sweden answer" in items[0].prompt_en
    assert items[0].prompt.startswith("Människa: Hur skulle någon från Sverige")
    assert items[0].details["label_probs"] == [0.1, 0.9]


def test_without_a_translator_there_is_no_parallel_of_what_the_hub_does_not_have(root):
    assert {item.prompt_en for item in load(root, "xlsum", "sw")} == {""}
    assert {item.prompt for item in load(root, "globalopinionqa", "sw")} == {""}
    assert all(item.prompt == item.prompt_en for item in load(root, "xlsum", "en"))


def test_a_text_that_could_not_be_translated_leaves_its_item_without_a_parallel(root):
    def failing(texts, source, target):
        return [
            Translation("", ("is empty",), "") if number == 1 else other
            for number, other in enumerate(translate(texts, source, target))
        ]

    items = load(root, "xlsum", "sw", translate=failing)
    assert [bool(item.prompt_en) for item in items] == [False, True, True, True]


def test_positions_choose_items_and_count_them_anew(root):
    items = load(root, "xquad", "de", positions=lambda total: [1, total - 1])
    assert [(item.id, item.details["source_id"]) for item in items] == [(0, "0-1"), (1, "1-1")]
    assert [item.prompt_en for item in items] == [
        item.prompt for item in load(root, "xquad", "en", positions=lambda total: [1, total - 1])
    ]


def test_other_wordings_may_be_asked_for(root):
    items = load(root, "xquad", "ro", templates="xtransplant_xquad")
    assert items[0].prompt.startswith("Om: Vă rugăm")
    assert items[0].prompt_en.startswith("Human: Please answer")


def test_the_paper_s_sample_is_taken_of_a_longer_set(tmp_path):
    rows = [{"id": str(n), "url": "", "title": "t", "text": str(n), "summary": "s"} for n in range(300)]
    path = tmp_path / "csebuetnlp/xlsum/english/test/0000.parquet"
    path.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    taken = [int(item.details["source_id"]) for item in load(tmp_path, "xlsum", "en")]
    assert len(taken) == 100
    assert taken == sorted(set(taken))
    assert taken != list(range(100))


# --- What cannot be loaded ----------------------------------------------------------------------------------


def message(*arguments, error=DataError, **options):
    with pytest.raises(error) as raised:
        load(*arguments, **options)
    return str(raised.value)


def test_the_hub_is_asked_for_the_set_and_the_error_names_it():
    assert "facebook/xnli:sw:test cannot be loaded from the hub" in message(None, "xnli", "sw")
    assert "juletxara/xstory_cloze:eval:refs/convert/parquet" in message(None, "xstorycloze", "sw")


def test_a_missing_clone_a_missing_language_and_another_column_are_named(root, tmp_path):
    assert "it should hold a clone of google/xquad" in message(tmp_path, "xquad", "de")
    assert "no prompt in the language 'xx'" in message(root, "xnli", "xx", error=ValueError)
    assert "has no countries of the language 'xx'" in message(root, "globalopinionqa", "xx", error=ValueError)
    path = tmp_path / "csebuetnlp/xlsum/english/test/0000.parquet"
    path.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table({"headline": ["x"]}), path)
    assert "XLSum en: its set on the hub has other columns" in message(tmp_path, "xlsum", "en")


def test_each_set_is_read_once(root, monkeypatch):
    read = Reader(root)
    for language in ("ar", "en", "sw"):
        load_items(find_benchmark("xnli"), language, read=read)
    assert len(read.found) == 3
    rows = read(next(iter(read.found)))
    assert rows is read(next(iter(read.found)))


def test_what_is_written_is_plain_json_lines():
    line = (EXAMPLES / "benchmarks/XNLI/sw.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert list(json.loads(line))[:7] == [
        *("id", "language", "prompt", "prompt_en", "answer", "options", "option_texts")
    ]
