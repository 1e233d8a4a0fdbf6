"""`cctuning prepare benchmarks --from authors`, against a server with files like theirs."""

import functools
import json
import shutil

import pytest

from cctuning.evaluation.benchmarks import BENCHMARKS
from cctuning.evaluation.items.files import read_items
from cctuning.preparation import authors, benchmarks, fetch
from cctuning.preparation.authors_benchmarks import AUTHORS_BENCHMARKS
from cctuning.preparation.download import download
from cctuning.preparation.manifest import changed_files, read_manifest
from tests.evaluation.clones import EXAMPLES
from tests.json_lines import read_lines
from tests.preparation.server import serving

WHOLE = ("xquad", "xstorycloze")


def lines(values):
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def examples(title, language):
    path = EXAMPLES / "benchmarks" / title / f"{language}.jsonl"
    return read_lines(path)


def published():
    """The examples of the six benchmarks as the authors publish theirs: path -> content."""
    files = {}
    for name in AUTHORS_BENCHMARKS:
        benchmark = BENCHMARKS[name]
        sample = "" if name in WHOLE else "_sample"
        place = f"/Inference/data/{benchmark.title}"
        for language in benchmark.languages:
            rows = examples(benchmark.title, language)
            golds = [row["answer"] if name == "mkqa" else row["answer"][0] for row in rows]
            prompts = [{"instruction": row["prompt"]} for row in rows]
            files[f"{place}/split{sample}/{language}.json"] = lines(prompts)
            files[f"{place}/ans{sample}/{language}.json"] = lines(golds)
            if name == "xlsum":
                english = [{"instruction": row["prompt_en"]} for row in rows]
                files[f"{place}/split_sample_en/{language}.json"] = lines(english)
    return files


@pytest.fixture
def server(monkeypatch):
    quick = functools.partial(fetch.fetch, download=functools.partial(download, wait=0.001))
    monkeypatch.setattr(authors, "fetch", quick)
    with serving() as answers:
        answers.paths = published()
        yield answers


@pytest.fixture
def prepare(server, tmp_path, capsys):
    """Runs the command; exit status and what was printed."""

    def run(*arguments):
        root = server.url.removesuffix("/folder/rows.json")
        status = benchmarks.main(
            [*arguments, "--from", "authors", "--url", root, "--output", str(run.folder)]
        )
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    run.folder = tmp_path / "out"
    return run


def test_all_six_come_out_as_they_were_published(prepare):
    status, printed = prepare(*AUTHORS_BENCHMARKS)
    assert status == 0, printed
    for name in AUTHORS_BENCHMARKS:
        benchmark = BENCHMARKS[name]
        for language in benchmark.languages:
            found = read_items(prepare.folder, benchmark, language)
            rows = examples(benchmark.title, language)
            assert [item.prompt for item in found] == [row["prompt"] for row in rows]
            assert [item.prompt_en for item in found] == [row["prompt_en"] for row in rows]
            assert [list(item.answers) for item in found] == [row["answer"] for row in rows]
            assert [item.options for item in found] == [row["options"] for row in rows]
            assert [item.id for item in found] == list(range(len(rows)))
    assert changed_files(prepare.folder) == []
    assert "faults" in printed


def test_gold_texts_and_prompts_are_read_without_outer_blanks_and_by_line_feeds_alone(prepare, server):
    place = "/Inference/data/MKQA"
    server.paths[f"{place}/split_sample/en.json"] = lines([{"instruction": "Who?\u2028You? "}])
    server.paths[f"{place}/ans_sample/en.json"] = lines([[" \u0085A ", "A", "B\u2028"]])
    assert prepare("mkqa", "--languages", "en")[0] == 0
    [item] = read_items(prepare.folder, BENCHMARKS["mkqa"], "en")
    assert (item.prompt, item.answers) == ("Who?\u2028You?", ("A", "B"))


def test_what_is_there_is_neither_downloaded_nor_made_again(prepare, server):
    assert prepare("xlsum", "--languages", "sw", "ur")[0] == 0
    asked = len(server.asked)
    assert asked == 6  # prompts, gold texts and English of two languages
    (prepare.folder / "XLSum/ur.jsonl").unlink()
    status, printed = prepare("xlsum", "--languages", "sw", "ur")
    assert (status, len(server.asked)) == (0, asked)
    assert "sw.jsonl is there" in printed and "ur.jsonl: " in printed


def test_a_download_that_is_cut_off_goes_on_where_it_was(prepare, server):
    place = "/Inference/data/MKQA"
    prompts = [{"instruction": f"Question {number}?"} for number in range(1000)]
    server.paths[f"{place}/split_sample/en.json"] = lines(prompts)
    server.paths[f"{place}/ans_sample/en.json"] = lines([[str(number)] for number in range(1000)])
    server.cuts = [20_000]
    assert prepare("mkqa", "--languages", "en")[0] == 0
    ranges = [request.get("Range") for request in server.asked]
    assert len(ranges) == 3 and 8192 <= int(ranges[1].removeprefix("bytes=")[:-1]) <= 20_000
    items = read_items(prepare.folder, BENCHMARKS["mkqa"], "en")
    assert [item.prompt for item in items] == [prompt["instruction"] for prompt in prompts]


def test_a_later_download_that_differs_is_refused_by_name(prepare, server):
    name = "/Inference/data/XNLI/ans_sample/sw.json"
    assert prepare("xnli", "--languages", "sw")[0] == 0
    [entry] = read_manifest(prepare.folder)
    pinned = {one["name"]: one["sha256"] for one in entry["inputs"] if "name" in one}
    assert len(pinned) == 3 and all(len(checksum) == 64 for checksum in pinned.values())
    [url] = [one for one in pinned if one.endswith(name)]
    shutil.rmtree(prepare.folder / authors.DOWNLOADS)
    (prepare.folder / "XNLI/sw.jsonl").unlink()
    server.paths[name] = server.paths[name][::-1]
    status, printed = prepare("xnli", "--languages", "sw")
    assert status == 2
    for part in (url, pinned[url], "manifest.json"):
        assert part in printed
    assert not (prepare.folder / "XNLI/sw.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("split_sample/sw", lines([{"question": "x"}] * 4), "row 1 has no text in instruction"),
        ("split_sample/sw", lines([{"instruction": "Nini?"}] * 4), "row 1 is not in the words of XNLI"),
        ("split_sample/sw", b"<html>\n", "holds no JSON lines"),
        ("split_sample/en", lines([{"instruction": "x"}] * 3), "en.json holds 3 rows"),
        ("ans_sample/sw", lines(["1", "2"]), "sw.json holds 2 rows"),
        ("ans_sample/sw", lines(["1", "2", [], "3"]), "row 3 holds no gold text"),
        ("ans_sample/sw", lines(["1", "2", "7", "3"]), "'7' is no option"),
    ],
)
def test_another_file_is_named_with_what_is_wrong_with_it(prepare, server, name, content, said):
    server.paths[f"/Inference/data/XNLI/{name}.json"] = content
    status, printed = prepare("xnli", "--languages", "sw")
    assert status == 2
    assert said in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["xcopa"], "no xcopa"),
        (["xnli", "--set", "pilot"], "--set"),
        (["xnli", "--seed", "1"], "--seed"),
        (["xlsum", "--translator", "file", "--translator-model", "x"], "--translator"),
        (["xnli", "--root", "x"], "--root"),
        (["mkqa", "--languages", "sw"], "MKQA has no language 'sw'"),
    ],
)
def test_what_the_authors_have_not_published_is_refused(prepare, server, arguments, said):
    status, printed = prepare(*arguments)
    assert status == 2
    assert printed.startswith("error: ") and said in printed
    assert not server.asked


def test_what_belongs_to_the_authors_is_refused_of_the_hub(tmp_path, capsys):
    assert benchmarks.main(["xnli", "--url", "http://127.0.0.1/", "--output", str(tmp_path / "out")]) == 2
    assert "--url is of --from authors" in capsys.readouterr().err
