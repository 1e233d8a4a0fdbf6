"""`cctuning prepare settings`: the rows of +EN and +MT, and what they leave out."""

import json

import pytest
import torch

from cctuning.data.rows import read_rows
from cctuning.preparation import settings
from cctuning.preparation.manifest import read_manifest
from cctuning.translation.language_model import LanguageModelTranslator
from tests.json_lines import read_lines, write_lines

SWAHILI = {
    "id": "q1",
    "language": "sw",
    "instruction": "Mji mkuu wa Chile ni upi?",
    "instruction_en": "What is the capital of Chile?",
    "output": "Ni Santiago.",
    "output_en": "It is Santiago.",
}
RUSSIAN = {**SWAHILI, "language": "ru", "instruction": "Столица Чили?", "output": "Сантьяго."}
CHINESE = {
    **SWAHILI,
    "id": "q2",
    "language": "zh-Hans",
    "instruction": "智利的首都是哪里？",
    "output": "圣地亚哥。",
}
ENGLISH = {"id": "q3", "language": "en", "instruction": "Who wrote Dune?", "output": "Frank Herbert."}


@pytest.fixture
def add(tmp_path):
    def run(setting, records, *arguments):
        source = tmp_path / "base.jsonl"
        write_lines(source, records)
        run.base = str(source)
        assert settings.main([setting, run.base, "--write", str(run.target), *arguments]) == 0
        return read_lines(run.target)

    run.target = tmp_path / "data" / "added.jsonl"
    return run


def left_out(add):
    return read_manifest(add.target)[0]["left_out"]


def test_english_rows_keep_the_id(add):
    assert add("en", [SWAHILI, CHINESE]) == [
        {
            "id": one["id"],
            "language": "en",
            "instruction": SWAHILI["instruction_en"],
            "instruction_en": SWAHILI["instruction_en"],
            "output": SWAHILI["output_en"],
            "output_en": SWAHILI["output_en"],
        }
        for one in (SWAHILI, CHINESE)
    ]


def test_an_english_item_is_added_once(add):
    assert [
        row["id"] for row in add("en", [SWAHILI, RUSSIAN, CHINESE, ENGLISH, {**SWAHILI, "id": "q3"}])
    ] == ["q1", "q2"]
    assert left_out(add) == {"the same id in English is there": 2, "English already": 1}


def test_a_row_without_an_english_response_is_counted(add):
    assert len(add("en", [SWAHILI, {**CHINESE, "output_en": None}])) == 1
    assert left_out(add) == {"no English response": 1}


FROM = {  # into Swahili as in the paper, a line break and a blank behind the full stop
    "id": "q1:mt-sw",
    "instruction": "Translate the following sentence from English to Swahili.\n "
    "What is the capital of Chile?",
    "output": SWAHILI["instruction"],
}
INTO = {
    "id": "q1:mt-sw-en",
    "instruction": f"Translate the following sentence from Swahili to English.\n {SWAHILI['instruction']}",
    "output": "What is the capital of Chile?",
}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), [FROM]),
        (("--direction", "from_english"), [FROM]),
        (("--direction", "into_english"), [INTO]),
        (("--direction", "both"), [FROM, INTO]),
    ],
)
def test_translation_rows_are_worded_alike_in_both_directions(add, arguments, wanted):
    rows = add("mt", [SWAHILI], *arguments)
    [manifest] = read_manifest(add.target)
    assert rows == [{**row, "language": "en", "instruction_en": row["instruction"]} for row in wanted]
    assert manifest["rows"] == {"all": len(wanted), "sw": len(wanted)}
    assert manifest["settings"]["direction"] == (arguments[1] if arguments else "from_english")


@pytest.mark.parametrize("language", ["sw", "zh-TW"])
def test_a_model_is_asked_to_translate_in_the_words_of_a_training_row(add, language):
    class Asked(Exception):
        pass

    class Prompts:
        template_hash = "x"

        def prompts_ids(self, texts):
            raise Asked(*texts)

    [row] = add("mt", [{**SWAHILI, "language": language}], "--direction", "into_english")
    model = torch.nn.Module()
    model.dtype = "float32"
    translator = LanguageModelTranslator(model, Prompts(), model_name="x")
    with pytest.raises(Asked) as asked:
        translator.translate([SWAHILI["instruction"]], source=language, target="en")
    assert asked.value.args == (row["instruction"],)


def test_the_direction_of_translations_is_of_their_setting_alone(tmp_path, capsys):
    (tmp_path / "base.jsonl").write_text(json.dumps(SWAHILI), encoding="utf-8")
    target = tmp_path / "x.jsonl"
    arguments = ["en", str(tmp_path / "base.jsonl"), "--direction", "both", "--write", str(target)]
    assert settings.main(arguments) == 2
    assert "--direction" in capsys.readouterr().err
    assert not target.exists()


def test_each_language_has_its_translation_rows(add):
    _, russian, chinese = add("mt", [SWAHILI, RUSSIAN, CHINESE])
    assert "to Russian." in russian["instruction"]
    assert (chinese["id"], chinese["output"]) == ("q2:mt-zh-Hans", CHINESE["instruction"])
    assert "to Chinese" in chinese["instruction"]
    assert read_manifest(add.target)[0]["rows"] == {"all": 3, "ru": 1, "sw": 1, "zh-Hans": 1}


def test_what_has_no_translation_is_counted(add):
    same = {**SWAHILI, "id": "q4", "instruction": "What is the  capital of Chile?\n"}
    unknown, nameless = {**RUSSIAN, "language": None}, {**RUSSIAN, "id": "q5", "language": "qaa"}
    assert len(add("mt", [SWAHILI, ENGLISH, same, unknown, nameless])) == 1
    assert left_out(add) == {
        "English: nothing to translate": 1,
        "the prompt is its own English": 1,
        "the language is unknown": 1,
        "no English name of qaa is known": 1,
    }
    assert len(add("mt", [SWAHILI, unknown], "--language", "ru")) == 2


@pytest.mark.parametrize("setting", ["en", "mt"])
def test_base_and_added_rows_are_read_together(add, setting):
    base = [{**one, "id": f"{number}"} for number, one in enumerate([SWAHILI, RUSSIAN, CHINESE])]
    add(setting, [*base, ENGLISH])
    rows, problems = read_rows([add.base, str(add.target)])
    assert not problems
    assert len(rows) == 2 * len(base) + 1  # an English row adds none


@pytest.mark.parametrize(("setting", "said"), [("en", "output_en"), ("mt", "--language")])
def test_nothing_to_add_is_an_error(tmp_path, setting, said, capsys):
    (tmp_path / "base.jsonl").write_text(json.dumps(ENGLISH), encoding="utf-8")
    target = tmp_path / "x.jsonl"
    assert settings.main([setting, str(tmp_path / "base.jsonl"), "--write", str(target)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: there is nothing to add: English")
    assert said in error
    assert not target.exists()


def test_a_setting_that_does_not_exist(capsys):
    with pytest.raises(SystemExit):
        settings.main(["+en", "x.jsonl", "--write", "y.jsonl"])
    assert "invalid choice: '+en'" in capsys.readouterr().err
