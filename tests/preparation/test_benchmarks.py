"""cctuning.preparation.benchmarks as a command, on clones of the hub's sets."""

import json
import re
import shutil

import pytest

from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import available_languages, read_items
from cctuning.evaluation.items.known_issues import read_known_issues, without_known_issues
from cctuning.preparation import benchmark_sources, benchmarks
from cctuning.preparation.manifest import changed_files, read_manifest
from tests.evaluation.clones import EXAMPLES, WITH_EXAMPLES, write_clones, write_translations
from tests.json_lines import read_lines, write_lines


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_clones(tmp_path_factory.mktemp("clones"))


@pytest.fixture
def made(root, tmp_path, capsys):
    """Runs the command and returns exit status, output folder and what was printed."""

    def run(*arguments):
        status = benchmarks.main([*arguments, "--root", str(root), "--output", str(tmp_path / "out")])
        captured = capsys.readouterr()
        return status, tmp_path / "out", captured.out + captured.err

    return run


def test_all_benchmarks_come_out_as_the_examples(made, tmp_path):
    file = write_translations(tmp_path / "translations.jsonl")
    status, folder, printed = made(*WITH_EXAMPLES, "--translator", "file", "--translator-model", str(file))
    assert status == 0, printed
    for benchmark in WITH_EXAMPLES.values():
        assert available_languages(folder, benchmark) == sorted(benchmark.languages)
        for language in benchmark.languages:
            name = f"{benchmark.title}/{language}.jsonl"
            assert (folder / name).read_bytes() == (EXAMPLES / "benchmarks" / name).read_bytes()
    assert read_known_issues(folder) == {}
    assert changed_files(folder) == []
    entries = {entry["outputs"][0]["file"]: entry for entry in read_manifest(folder)}
    swahili = entries["XNLI/sw.jsonl"]
    assert swahili["inputs"] == [{"name": "facebook/xnli:en:test"}, {"name": "facebook/xnli:sw:test"}]
    assert (swahili["rows"], swahili["seed"]) == ({"all": 4, "sw": 4}, 666)


def test_the_other_papers_sets_have_their_own_words_and_languages(made):
    status, folder, printed = made("xquad", "xnli", "--set", "pilot", "--languages", "en", "es")
    assert status == 0, printed
    for title in ("xquad", "xnli"):
        items = read_items(folder, find_benchmark(title), "es")
        assert items[0].prompt.startswith("Humano: ")
        assert items[0].prompt_en.startswith("Human: ")


def test_files_that_are_there_are_kept_and_what_is_missing_is_made(made, monkeypatch):
    _, folder, _ = made("xnli", "--languages", "en", "sw", "tr")
    whole = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    (folder / "XNLI/sw.jsonl").unlink()
    (folder / "XNLI/tr.jsonl").write_bytes(whole[folder / "XNLI/tr.jsonl"][:-50])  # damaged
    status, _, printed = made("xnli", "--languages", "en", "sw", "tr")
    assert status == 0
    assert re.search(r"en\.jsonl is there", printed)
    assert re.search(r"sw\.jsonl: 4 items", printed)
    assert re.search(r"tr\.jsonl: 4 items", printed)
    assert {path: path.read_bytes() for path in folder.rglob("*.jsonl")} == whole


def test_files_of_other_settings_are_made_anew(made):
    made("xquad", "--languages", "en")
    _, _, printed = made("xquad", "--set", "unseen", "--languages", "en")
    assert "is there" not in printed


def test_files_of_another_seed_are_made_anew(made):
    made("xquad", "--set", "pilot", "--languages", "en")
    status, folder, printed = made("xquad", "--set", "pilot", "--languages", "en", "--seed", "1")
    assert (status, "is there" in printed) == (0, False)
    assert [entry["seed"] for entry in read_manifest(folder)] == [1]


def test_files_of_translations_that_have_changed_are_made_anew(made, tmp_path):
    file = write_translations(tmp_path / "translations.jsonl")
    arguments = ("xlsum", "--languages", "sw", "--translator", "file", "--translator-model", str(file))
    _, folder, _ = made(*arguments)
    assert "is there" in made(*arguments)[2]
    before = read_items(folder, find_benchmark("xlsum"), "sw")
    file.write_text(file.read_text(encoding="utf-8").replace("library", "bookshop"), encoding="utf-8")
    assert "is there" not in made(*arguments)[2]
    after = read_items(folder, find_benchmark("xlsum"), "sw")
    assert [item.prompt_en.replace("library", "bookshop") for item in before] == [
        item.prompt_en for item in after
    ]
    assert [item.prompt_en for item in before] != [item.prompt_en for item in after]


def test_a_language_whose_questions_are_all_in_the_pilot_set_is_said_and_left_out(made):
    status, folder, printed = made("globalopinionqa", "--set", "unseen", "--languages", "sw", "sv")
    assert (status, printed.count("the set leaves no question")) == (0, 2)
    assert available_languages(folder, find_benchmark("globalopinionqa")) == []


def test_an_interruption_leaves_whole_files_and_is_said(made, monkeypatch):
    def interrupted(benchmark, language, **options):
        if language == "sw":
            raise KeyboardInterrupt
        return load_items(benchmark, language, **options)

    load_items = benchmark_sources.load_items
    with monkeypatch.context() as patched:
        patched.setattr(benchmark_sources, "load_items", interrupted)
        status, folder, printed = made("xnli", "--languages", "en", "sw")
    assert status == 130
    assert "the same command goes on" in printed
    assert available_languages(folder, find_benchmark("xnli")) == ["en"]
    status, _, printed = made("xnli", "--languages", "en", "sw")
    assert (status, "en.jsonl is there" in printed) == (0, True)


def test_faults_that_can_be_seen_are_listed_and_left_out(root, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(root, broken)
    path = broken / "openai/MMMLU/test/mmlu_KO_KR.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].replace(",C,astronomy", ",D,astronomy")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = ["mmmlu", "--languages", "en", "ko", "sw", "--root", str(broken)]
    assert benchmarks.main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert "answer_differs_from_en 1" in capsys.readouterr().out
    faults = read_known_issues(tmp_path / "out")
    assert faults == {"MMMLU": {"ko": {"answer_differs_from_en": [1]}}}
    mmmlu = find_benchmark("mmmlu")
    kept, _ = without_known_issues(read_items(tmp_path / "out", mmmlu, "ko"), faults, mmmlu)
    assert [item.id for item in kept] == [0, 2, 3]


def test_texts_without_a_translation_are_faults_only_where_one_was_asked_for(made, tmp_path):
    file = write_translations(tmp_path / "some.jsonl")
    lines = file.read_text(encoding="utf-8").splitlines()
    swahili = [line for line in lines if "Maktaba mpya" not in line]
    file.write_text("\n".join(swahili) + "\n", encoding="utf-8")
    _, folder, _ = made("xlsum", "--languages", "sw", "--translator", "file", "--translator-model", str(file))
    assert read_known_issues(folder) == {"XLSum": {"sw": {"no_parallel": [0]}}}
    rows = (folder / "XLSum/sw.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[0])["prompt_en"] is None
    status, _, _ = made("xlsum", "--languages", "sw")
    assert (status, read_known_issues(folder)) == (0, {})


def test_translations_that_look_faulty_are_listed_also_when_nothing_is_made_anew(made, tmp_path):
    file = write_translations(tmp_path / "translations.jsonl")
    rows = read_lines(file)
    for row in rows:
        if "Maktaba mpya" in row["text"]:
            row["translation"] = row["text"]  # copied
    write_lines(file, rows)
    for _ in range(2):
        status, folder, printed = made(
            "xlsum", "--languages", "sw", "--translator", "file", "--translator-model", str(file)
        )
        assert (status, "faulty_parallel 1" in printed) == (0, True)
        assert read_known_issues(folder) == {"XLSum": {"sw": {"faulty_parallel": [0]}}}
    [first, *others] = (folder / "XLSum/sw.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(first)["parallel_faults"] == ["is copied"]
    assert not any("parallel_faults" in json.loads(line) for line in others)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["xnly"], "benchmark 'xnly' is not one of"),
        (["mkqa", "--languages", "sw"], "MKQA has no language 'sw' in the set 'benchmarks'"),
        (["mkqa", "--set", "unseen"], "mkqa has no set 'unseen'"),
        (["xlsum", "--translator", "file"], "--translator file needs --translator-model"),
    ],
)
def test_what_cannot_be_made_is_one_line(made, arguments, message):
    status, folder, printed = made(*arguments)
    assert status == 2
    assert printed.startswith("error: ")
    assert message in printed
    assert not folder.exists()
