"""A file of translations as a translator."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from cctuning.data.sources import DataError
from cctuning.translation import TranslationError, Untranslated, load_translator
from cctuning.translation.existing import ExistingTranslations
from tests.json_lines import write_lines

PAIRS = {"Habari?": "What news?", "Asante": "Thank you", "说「\t好」": 'Say "good"'}


def write(path, columns=("text", "translation")):
    rows = [dict(zip(columns, pair, strict=True)) for pair in PAIRS.items()]
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix in (".tsv", ".csv"):
        sign = "\t" if path.suffix == ".tsv" else ","
        quoted = [f'"{pair[0]}"{sign}"{pair[1].replace(chr(34), chr(34) * 2)}"\n' for pair in PAIRS.items()]
        path.write_text(sign.join(columns) + "\n" + "".join(quoted), encoding="utf-8")
    else:
        write_lines(path, rows)
    return path


def look_up(translator, *texts, source="sw", target="en"):
    return translator.translate(texts, source=source, target=target)


def existing(path, *rows, **options):
    write_lines(path, rows)
    return ExistingTranslations(path, **options)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".tsv", ".csv"])
@pytest.mark.parametrize(
    "columns", [("text", "translation"), ("instruction", "instruction_en"), ("prompt", "prompt_en")]
)
def test_every_format_and_its_columns(tmp_path, suffix, columns):
    translator = load_translator("file", model=str(write(tmp_path / f"pairs{suffix}", columns)))
    assert look_up(translator, *PAIRS) == list(PAIRS.values())
    assert look_up(translator, " Asante\n", "Kwaheri") == [
        "Thank you",
        Untranslated(f"is not in pairs{suffix}"),
    ]


def test_other_columns_are_named(tmp_path):
    path = write(tmp_path / "pairs.jsonl", ("output_en", "output"))
    translator = ExistingTranslations(path, columns=("output_en", "output"))
    assert look_up(translator, "Asante", target="fr") == ["Thank you"]
    with pytest.raises(TranslationError, match=r"row 1: it must have the columns text and translation, or"):
        ExistingTranslations(path)


def test_the_name_changes_with_the_content(tmp_path):
    path = write(tmp_path / "pairs.jsonl")
    before = ExistingTranslations(path).name
    assert ExistingTranslations(path).name == before
    path.write_text('{"text": "a", "translation": "b"}\n')
    assert ExistingTranslations(path).name != before


def test_the_first_of_two_translations_counts_and_blanks_do_not(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [
        ("Habari?", None),
        ("Habari?", " "),
        ("Habari?", "News?"),
        ("Habari?", "How are you?"),
        (None, "x"),
    ]
    path.write_text("".join(json.dumps({"text": text, "translation": found}) + "\n" for text, found in rows))
    assert look_up(ExistingTranslations(path), "Habari?") == ["News?"]


MISSING = Untranslated("is not in pairs.jsonl")


@pytest.mark.parametrize("column", ["language", "source"])
def test_a_row_that_says_its_language_serves_no_other(tmp_path, column):
    translator = existing(
        tmp_path / "pairs.jsonl",
        {"text": "Rat", "translation": "advice", column: "de"},
        {"text": "Rat", "translation": "rat", column: "fr"},
        {"text": "Gift", "translation": "poison", column: "deu"},
        {"text": "Taxi", "translation": "cab", column: None},
        {"text": "Taxi", "translation": "taxi", column: "de-AT"},
        {"text": "Café", "translation": "coffee house", column: "und"},
    )
    texts = ("Rat", "Gift", "Taxi", "Café")
    assert look_up(translator, *texts, source="de") == ["advice", "poison", "taxi", "coffee house"]
    assert look_up(translator, *texts, source="fr") == ["rat", MISSING, "cab", "coffee house"]
    assert look_up(translator, *texts, source="sw") == [MISSING, MISSING, "cab", "coffee house"]


def test_rows_and_benchmark_files_say_the_language_of_the_text_that_is_not_english(tmp_path):
    rows = [
        {"instruction": "Rat", "instruction_en": "advice", "language": "de"},
        {"instruction": "Rat", "instruction_en": "rat", "language": "fr"},
        {"instruction": "Poison", "instruction_en": "rat", "language": "fr", "source": "somebody"},
    ]
    into = existing(tmp_path / "pairs.jsonl", *rows)
    assert look_up(into, "Rat", source="fr") == ["rat"]
    assert look_up(into, "Rat", source="de") == ["advice"]
    out_of = existing(tmp_path / "pairs.jsonl", *rows, columns=("instruction_en", "instruction"))
    assert look_up(out_of, "rat", source="en", target="fr") == ["Rat"]
    assert look_up(out_of, "rat", source="en", target="de") == [MISSING]


def test_a_row_that_says_its_target_serves_no_other(tmp_path):
    translator = existing(
        tmp_path / "pairs.jsonl",
        {"text": "yes", "translation": "ndiyo", "source": "en", "target": "sw"},
        {"text": "yes", "translation": "ja", "target": "de"},
    )
    assert look_up(translator, "yes", source="en", target="sw") == ["ndiyo"]
    assert look_up(translator, "yes", source="en", target="de") == ["ja"]
    assert look_up(translator, "yes", source="en", target="fr") == [MISSING]


def test_english_columns_serve_no_other_target(tmp_path):
    translator = ExistingTranslations(write(tmp_path / "pairs.jsonl", ("prompt", "prompt_en")))
    with pytest.raises(TranslationError, match="'prompt_en' holds English, and fr was asked for"):
        look_up(translator, "Asante", target="fr")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.jsonl",
            '{"text": "a", "translation": 3}\n',
            r"a\.jsonl, row 1, translation: is a number, must be text",
        ),
        ("a.jsonl", '{"text": "a"}\n', r"a\.jsonl, row 1: it must have the columns .*, and has text"),
        ("a.jsonl", "[1]\n", r"a\.jsonl, row 1: is a number, must be an object"),
        ("a.jsonl", "{\n}\n{\n", "over several lines"),
        ("a.jsonl", '{"text": "a", "translation": "b"}\n{"text": \n', r"a\.jsonl, row 2: is broken JSON"),
        ("a.jsonl", "", "holds no rows"),
        (
            "a.jsonl",
            '{"text": "a", "translation": "b", "language": "German!"}\n',
            r"a\.jsonl, row 1, language: 'German!' is no language code",
        ),
        (
            "a.jsonl",
            '{"text": "a", "translation": "b", "target": 3}\n',
            r"a\.jsonl, row 1, target: is a number, must be",
        ),
        ("a.tsv", "text\ttranslation\na\n", r"a\.tsv, row 2: has 1 cells, and the line of names has 2"),
        ("a.tsv", "text\ttranslation\na\tb\tc\n", r"a\.tsv, row 2: has 3 cells"),
        ("a.tsv", b"text\ttranslation\n\xff\tb\n", "no UTF-8 text"),
        ("a.tsv", 'text\ttranslation\n"a\tb\n', r"a\.tsv, line 2: .* quote"),
    ],
)
def test_broken_files(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=said):
        ExistingTranslations(path)


@pytest.mark.parametrize("name", ["no.jsonl", "no.tsv", "folder", "pairs.txt"])
def test_no_file(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "pairs.txt").write_text("")
    with pytest.raises((DataError, OSError), match=name):
        ExistingTranslations(tmp_path / name)
