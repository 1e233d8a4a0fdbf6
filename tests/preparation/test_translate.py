"""`cctuning prepare translate`: what is translated, what is rejected, and that it goes on."""

import json

import pytest

from cctuning.data.rows import read_rows
from cctuning.preparation import translate
from cctuning.preparation.manifest import read_manifest
from tests.json_lines import write_lines

ROWS = [
    {"id": 1, "language": "sw", "instruction": "Mji mkuu wa Kenya ni upi?", "output": "Nairobi"},
    {"id": 2, "language": "en", "instruction": "What is the capital of Peru?", "output": "Lima"},
    {"id": 3, "language": "de", "instruction": "Was ist die Hauptstadt von Chile?", "output": "Santiago"},
    {
        "id": 4,
        "language": "de",
        "instruction": "Wie heißt die Hauptstadt von Kuba?",
        "instruction_en": "Which city is Cuba's capital?",
        "output": "Havanna",
    },
    {"id": 5, "language": "sw", "instruction": "Watoto wangapi wanacheza uwanjani leo?", "output": "Watatu"},
    {"id": 6, "language": "sw", "instruction": "Hakuna tafsiri ya sentensi hii ndefu.", "output": "Ndiyo"},
    {"id": 7, "language": "sw", "instruction": "", "output": "Ndiyo"},
]
PAIRS = {
    "Mji mkuu wa Kenya ni upi?": "What is the capital of Kenya?",
    "Was ist die Hauptstadt von Chile?": "What is the capital of Chile?",
    "Watoto wangapi wanacheza uwanjani leo?": "Watoto wangapi wanacheza uwanjani leo?",
}


@pytest.fixture
def run(tmp_path):
    """Calls the script on `rows` with a file of translations; the rows that were written, and the rejects."""

    def call(*arguments, rows=ROWS, pairs=PAIRS):
        data = write_lines(tmp_path / "data.jsonl", rows)
        existing = write_lines(
            tmp_path / "pairs.jsonl", [{"text": text, "translation": pairs[text]} for text in pairs]
        )
        output = tmp_path / "out" / "rows.jsonl"
        command = [str(data), "--output", str(output), "--translator", "file", "--model", str(existing)]
        assert translate.main([*command, *arguments]) == 0
        rejects = (tmp_path / "out" / "rows.rejects.jsonl").read_text(encoding="utf-8").splitlines()
        written = output.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in written], [json.loads(line) for line in rejects]

    return call


def test_rows_get_their_english_and_faulty_ones_are_rejected_with_reasons(run, tmp_path):
    rows, rejects = run()
    assert {row["id"]: row["instruction_en"] for row in rows} == {
        "1": "What is the capital of Kenya?",
        "2": "What is the capital of Peru?",  # an English row's parallel is itself
        "3": "What is the capital of Chile?",
        "4": "Which city is Cuba's capital?",  # it was there
    }
    assert {reject["number"]: reject["reasons"] for reject in rejects} == {
        5: ["instruction_en: is copied"],
        6: ["instruction_en: is not in pairs.jsonl"],
        7: ["instruction: is empty"],
    }
    assert len(read_rows([str(tmp_path / "out" / "rows.jsonl")])[0]) == 4
    [entry] = read_manifest(tmp_path / "out")
    assert entry["rows"] == {"all": 4, "de": 2, "en": 1, "sw": 1}
    assert entry["settings"]["translators"][0].startswith("file:pairs.jsonl@")
    assert entry["left_out"]["is copied"] == 1


def test_a_file_without_rows_is_listed(run):
    rows, rejects = run(rows=[])
    assert not rows
    assert [(reject["number"], reject["reasons"]) for reject in rejects] == [(0, ["holds no rows"])]


def test_faults_of_a_kind_are_counted_together(run, tmp_path):
    rows = [{**ROWS[0], "id": number, "instruction": f"Habari ya {number} asubuhi?"} for number in range(2)]
    long = {row["instruction"]: "How are you? " + "this and that day " * (9 + row["id"]) for row in rows}
    run(rows=rows, pairs=long)
    [entry] = read_manifest(tmp_path / "out")
    assert entry["left_out"] == {"repeats ...": 2, "is ... times as long as expected": 2}


def test_faulty_translations_can_be_kept_and_are_still_listed(run):
    rows, rejects = run("--on-fault", "keep")
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [reject["number"] for reject in rejects] == [7, 5, 6]


def test_languages_can_be_identified(run):
    rows = [{key: value for key, value in row.items() if key != "language"} for row in ROWS[:3]]
    written, _ = run("--from", "auto", rows=rows)
    assert [row["instruction_en"] for row in written] == [
        "What is the capital of Kenya?",
        "What is the capital of Peru?",
        "What is the capital of Chile?",
    ]


def words(folder, rows):
    """Arguments that translate these rows with a file of translations."""
    pairs = write_lines(folder / "pairs.jsonl", [{"text": "a", "translation": "b"}])
    data, output = write_lines(folder / "data.jsonl", rows), folder / "rows.jsonl"
    return [str(data), "--output", str(output), "--translator", "file", "--model", str(pairs)]


def test_a_row_without_a_language_is_named(tmp_path, capsys):
    assert translate.main(words(tmp_path, [{"instruction": "Habari?", "output": "Nzuri"}])) == 2
    assert "data.jsonl, row 1, language: is missing; say it with --language" in capsys.readouterr().err


@pytest.mark.parametrize("whose", [{}, {"language": "lld"}])
def test_a_row_without_a_known_language_is_rejected_and_the_others_go_on(run, whose):
    ladin = {"id": 8, "instruction": "Olá é pa la capitala?", "output": "Roma"} | whose
    translated = {**ladin, "id": 9, "instruction_en": "Where is the capital?"}
    rows, rejects = run(rows=[ladin, *ROWS[:3], translated])
    assert [row["id"] for row in rows] == ["1", "2", "3", "9"]
    [reject] = rejects
    expected = (
        "instruction_en: lld is no language of languages.tsv" if whose else "language: is missing; say it"
    )
    assert reject["number"] == 1 and reject["reasons"][0].startswith(expected)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["instruktion=prompt"], "columns.instruktion is no field of a row; did you mean 'instruction'?"),
        (["instruction=promt"], "no column 'promt'; did you mean 'prompt'?"),
        ([], "no column 'instruction'"),
        (["instruction=prompt", "language=lang"], "columns.language='lang': no source has this column"),
        (["instruction=prompt", "instruction_en=prompt_em"], "='prompt_em': no source has this column"),
    ],
)
def test_columns_that_are_not_there(tmp_path, columns, said, capsys):
    rows = [{"prompt": row["instruction"], "output": row["output"], "language": "sw"} for row in ROWS]
    data, pairs = (
        write_lines(tmp_path / "data.jsonl", rows),
        write_lines(tmp_path / "pairs.jsonl", [{"text": "a"}]),
    )
    output = tmp_path / "rows.jsonl"
    command = [str(data), "--output", str(output), "--translator", "file", "--model", str(pairs)]
    for column in columns:
        command += ["--column", column]
    assert translate.main(command) == 2
    assert said in capsys.readouterr().err
    assert not output.exists()


def test_renamed_columns_are_read(run):
    rows = [
        {"prompt": row["instruction"], "output": row["output"], "language": row["language"]}
        for row in ROWS[:3]
    ]
    written, _ = run("--column", "instruction=prompt", rows=rows)
    assert [row["instruction"] for row in written] == [row["prompt"] for row in rows]


def test_other_fields_and_directions(run):
    rows = [{**row, "instruction_en": "How?"} for row in ROWS[:1]]
    pairs = {"Nairobi": "Nairobi"}
    written, _ = run("--field", "output", "--to-field", "output_en", rows=rows, pairs=pairs)
    assert written[0]["output_en"] == "Nairobi"


def test_nothing_is_translated_twice_after_an_interruption(run, tmp_path, monkeypatch):
    asked = []
    whole = translate.load_translator

    def counting(*arguments, **options):
        translator = whole(*arguments, **options)
        ask = translator.translate

        def counted(texts, **languages):
            asked.extend(texts)
            if "Mji mkuu wa Kenya ni upi?" in texts and asked.count("Mji mkuu wa Kenya ni upi?") == 1:
                raise KeyboardInterrupt
            return ask(texts, **languages)

        translator.translate = counted
        return translator

    expected = run()
    (tmp_path / "out" / "rows.translations.jsonl").unlink()
    monkeypatch.setattr(translate, "load_translator", counting)
    with pytest.raises(AssertionError):
        run()  # ends with 130, after German, which comes first
    assert run() == expected
    assert asked.count("Was ist die Hauptstadt von Chile?") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "xx"], "'xx' is no language code"),
        (["--from", "swx"], "swx is no language"),
        (["--engine", "vllm"], "engine=vllm is for the translator self"),
        (["--engine", "vllm", "--retry-beam-size", "4"], "--retry-beam-size is not for --engine vllm"),
        (["--engine-argument", "max_model_len=9"], "--engine-argument is for --engine vllm"),
        (["--retry-beam-size", "4"], "--retry-beam-size is not for --translator file"),
        (["--model", "no.jsonl"], "no.jsonl"),
    ],
)
def test_arguments_that_cannot_be_used(tmp_path, arguments, said, capsys):
    assert translate.main([*words(tmp_path, ROWS), *arguments]) == 2
    assert said in capsys.readouterr().err
