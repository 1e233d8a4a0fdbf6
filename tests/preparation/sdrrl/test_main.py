"""`cctuning prepare sdrrl` from base rows to a file that trains beside them."""

import contextlib
import io
import json
import sys
from collections import Counter

import pytest

from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import read_rows
from cctuning.preparation.manifest import changed_files, read_manifest
from cctuning.preparation.sdrrl.__main__ import main
from cctuning.preparation.sdrrl.draw import SHARES
from cctuning.preparation.sdrrl.parallel import FEWEST_TEXTS
from cctuning.pretrained.identity import model_name
from tests.json_lines import read_lines, write_lines
from tests.preparation.sdrrl.test_parallel import texts
from tests.scripts import write_base
from tests.tiny import tiny_tokenizer

pytestmark = pytest.mark.slow

COUNT = FEWEST_TEXTS + 40


def base_rows() -> list[dict]:
    """A language with enough rows to align, one with too few, and English.

    The first is the made-up one; it goes as Hausa, which the language identification does not know.
    """
    rows = []
    for number, text in enumerate(texts(COUNT, seed=3)):
        prompt_en, prompt = f"Number {number}. {text.english}", f"Nambari {number}. {text.other}"
        rows.append({"id": number, "language": "ha", "instruction": prompt, "instruction_en": prompt_en})
    for number in range(20):
        prompt = f"ข้อที่ {number} เมืองหลวงของญี่ปุ่นคือเมืองอะไร บอกหน่อย"
        english = f"Question {number}: what is the capital of Japan, please?"
        rows.append({"id": 2000 + number, "language": "th", "instruction": prompt, "instruction_en": english})
    for number in range(25):
        rows.append({"id": 3000 + number, "language": "en", "instruction": f"Say {number} in words."})
    return [{"output": "Sawa.", **row} for row in rows]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base"))


def make_world(folder, base):
    """Writes base rows, the model's answers as an earlier run has left them, and their translations."""
    rows = base_rows()
    write_lines(folder / "rows.jsonl", rows)
    pairs, answers = {}, []
    template = PromptFormat(tiny_tokenizer("plain")).template_hash
    for place, row in enumerate(rows):
        text = texts(1, seed=place)[0]
        pairs[text.english] = text.other
        answers.append(
            {
                "model": model_name(str(base)),
                "dtype": "float32",
                "template": template,
                "max_new_tokens": 12,
                "question": row.get("instruction_en", row["instruction"]),
                "answer": "" if place % 10 == 0 else text.english,
                "stopped": place % 10 != 1,
            }
        )
    (folder / "out").mkdir()
    write_lines(folder / "out" / "sdrrl.answers.jsonl", answers)
    write_lines(folder / "translations.jsonl", [{"text": text, "translation": pairs[text]} for text in pairs])
    return folder


@pytest.fixture
def world(tmp_path, base):
    return make_world(tmp_path, base)


def run(world, base, *arguments, output="sdrrl.jsonl"):
    return main(
        [
            *(str(world / "rows.jsonl"), "--write", str(world / "out" / output), "--model", str(base)),
            *("--translator", "file", "--translator-model", str(world / "translations.jsonl")),
            *("--max-new-tokens", "12", "--use-cpu", *arguments),
        ]
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, base):
    """The folder of a finished run, and what it printed."""
    folder = make_world(tmp_path_factory.mktemp("finished"), base)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run(folder, base) == 0
    return folder, printed.getvalue()


def test_the_rows_train_beside_the_base_rows(finished):
    world, printed = finished
    rows, _ = read_rows([str(world / "rows.jsonl"), str(world / "out" / "sdrrl.jsonl")])
    base = len(base_rows())
    assert 1.2 <= len(rows) / base <= 1.6
    lines = read_lines(world / "out" / "sdrrl.jsonl")
    kinds = Counter(line["kind"] for line in lines)
    assert kinds.keys() == SHARES.keys() and len(lines) == len(rows) - base
    assert f"{len(lines)} rows ->" in printed
    english = {row["instruction_en"] for row in base_rows() if "instruction_en" in row}
    for line in lines:
        if line["kind"] == "switched_prompt":
            assert line["instruction"] != line["instruction_en"] and line["instruction_en"] in english
        if line["language"] == "th":
            assert not line["kind"].startswith("switched")


def test_what_is_lost_is_listed_and_counted(finished):
    world, printed = finished
    rejects = read_lines(world / "out" / "sdrrl.rejects.jsonl")
    reasons = Counter(reason.split(") ")[-1] for reject in rejects for reason in reject["reasons"])
    assert {"is empty", "does not end within the limit"} <= reasons.keys()
    [entry] = read_manifest(world / "out")
    assert sum(entry["left_out"].values()) == len(rejects)
    assert f"left out: {len(rejects)}" in printed
    assert "th: 20 parallel texts are too few to align words" in printed
    assert "th, switched_prompt: 0 of 1 rows" in printed


def test_the_manifest_says_how_it_was_made(finished):
    world, _ = finished
    [entry] = read_manifest(world / "out")
    assert entry["command"].startswith("cctuning prepare sdrrl ")
    assert (entry["seed"], entry["settings"]["base_rows"]) == (666, len(base_rows()))
    assert (entry["settings"]["template"], entry["settings"]["dtype"]) == ("auto", "auto")
    assert {"sil-thot", "icu4py"} <= entry["versions"].keys()
    assert changed_files(world / "out") == []
    words = (world / "out" / "sdrrl.words.tsv").read_text(encoding="utf-8").splitlines()
    assert words[0].split("\t") == ["language", "english", "word", "links"]
    assert "ha" in {line.split("\t")[0] for line in words[1:]}


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(finished, world, base):
    first = (finished[0] / "out" / "sdrrl.jsonl").read_bytes()
    assert run(world, base) == 0
    assert (world / "out" / "sdrrl.jsonl").read_bytes() == first
    shares = [f"--share={kind}=0" for kind in SHARES if kind != "completion"]
    assert run(world, base, "--seed", "1", *shares) == 0
    lines = (world / "out" / "sdrrl.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"completion"}
    assert not {json.loads(line)["id"] for line in lines} <= {
        json.loads(line)["id"] for line in first.splitlines()
    }


def test_a_lexicon_stands_in_for_an_alignment(world, base):
    (world / "th.txt").write_text("Question\tข้อ\nJapan\tญี่ปุ่น\n", encoding="utf-8")
    shares = [f"--share={kind}=0" for kind in SHARES if kind != "switched_prompt"]
    write_lines(world / "rows.jsonl", [row for row in base_rows() if row["language"] == "th"])
    run(world, base, *shares, "--share=switched_prompt=1", f"--lexicon=th={world / 'th.txt'}", "--switched=1")
    lines = read_lines(world / "out" / "sdrrl.jsonl")
    thai = [line["instruction"] for line in lines if line["language"] == "th"]
    english = [line["instruction"] for line in lines if line["language"] == "en"]
    assert english and all("ข้อ" in text and "ญี่ปุ่น" in text and "Japan" not in text for text in english)
    assert all("Japan" in text and "ญี่ปุ่น" not in text for text in thai)


def test_a_model_that_says_nothing_of_use_leaves_the_rows_without_answers(world, base, capsys):
    """A random model: its answers do not end, and the rows from parallel texts are all there is."""
    (world / "out" / "sdrrl.answers.jsonl").unlink()
    shares = [
        "--share=english=0.02",
        *(f"--share={kind}=0" for kind in ("target", "cross", "switched_prompt")),
    ]
    assert run(world, base, *shares, "--share=switched_response=0", "--translator=self") == 0
    kinds = Counter(line["kind"] for line in read_lines(world / "out" / "sdrrl.jsonl"))
    assert {"partial_translation", "completion"} <= kinds.keys()
    assert "answers of no use" in capsys.readouterr().out
    assert len(read_lines(world / "out" / "sdrrl.answers.jsonl")) == round(0.02 * COUNT)


def test_rows_of_no_known_language_are_left_out_and_counted(world, base, capsys):
    """As aya_parallel leaves them; the others become the rows that they become without them."""
    shares = [f"--share={kind}=0" for kind in SHARES if kind != "completion"]
    assert run(world, base, *shares) == 0
    alone = (world / "out" / "sdrrl.jsonl").read_bytes()
    with (world / "rows.jsonl").open("a", encoding="utf-8") as file:
        for number, language in enumerate([None, None, "qaa"]):
            row = {"id": f"x{number}", "language": language, "instruction": "a", "instruction_en": "b"}
            file.write(json.dumps({**row, "output": "c"}) + "\n")
    capsys.readouterr()
    assert run(world, base, *shares) == 0
    assert (world / "out" / "sdrrl.jsonl").read_bytes() == alone
    rejects = read_lines(world / "out" / "sdrrl.rejects.jsonl")
    assert [reject["row"]["id"] for reject in rejects] == ["x0", "x1", "x2"]
    printed = capsys.readouterr().out
    assert "left out: 3 (language is unknown 2, language qaa is no language of languages.tsv" in printed
    [entry] = read_manifest(world / "out")
    assert sorted(entry["left_out"].values()) == [1, 2]
    assert entry["settings"]["base_rows"] == len(base_rows()) + 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"instruction": "a", "instruction_en": "b", "output": "c"}],
            "rows.jsonl, row 1, language: is unknown: add a column language",
        ),
        ([{"instruction": "a", "language": "en", "output": "c"}], "all rows are English"),
        (
            [
                {"instruction": "a", "language": "en", "output": "c"},
                {"instruction": "a", "instruction_en": "b", "output": "c"},
            ],
            "all rows are English but 1 of no known language",
        ),
        (
            [{"instruction": "a", "instruction_en": "", "language": "sw", "output": "c"}],
            "instruction_en: is empty",
        ),
        (
            [{"instruction": "a", "instruction_en": "b", "language": "qaa", "output": "c"}],
            "qaa is no language",
        ),
    ],
)
def test_base_rows_that_do_not_do(tmp_path, base, capsys, rows, message):
    write_lines(tmp_path / "rows.jsonl", rows)
    output = tmp_path / "out.jsonl"
    assert main([str(tmp_path / "rows.jsonl"), "--write", str(output), "--model", str(base)]) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--share=targets=0.1", "'targets' is no kind; did you mean 'target'?"),
        ("--share=target", "is not KIND=NUMBER"),
        ("--share=target=2", "is not between 0 and 1"),
        ("--share=target=nan", "is not between 0 and 1"),
        ("--switched=x", "is not between 0 and 1"),
        ("--lexicon=words.txt", "is not LANGUAGE=FILE"),
        ("--lexicon=no language=words.txt", "'no language' is no language code"),
    ],
)
def test_arguments_that_are_none(capsys, argument, message):
    with pytest.raises(SystemExit) as ended:
        main(["rows.jsonl", "--write", "out.jsonl", "--model", "base", argument])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_missing_package_is_named_with_its_extra(world, base, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "thot.alignment", None)
    assert run(world, base) == 2
    error = capsys.readouterr().err
    assert "thot" in error and "cctuning[preparation]" in error
