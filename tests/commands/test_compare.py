import json
import os

import pytest

from cctuning.commands import compare_results as compare
from cctuning.tools.locks import only_run_in
from tests.samples import samples, write_evaluation
from tests.scripts import call


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for number, name in enumerate(("sft", "cc")):
        made = samples("xnli", count=20, seed=number, level=0.4 + number / 5)
        write_evaluation(folder / name, made, model=f"outputs/{name}")
    return folder


def compared(folders, *arguments, names=("sft", "cc")):
    results = ",".join(str(folders / name) for name in names)
    return call(
        compare, f"results=[{results}]", f"output_dir={folders / 'out'}", "resamples=1000", *arguments
    )


def test_tables_and_a_figure_are_written_and_shown(folders):
    ended = compared(folders)
    assert ended.status == 0, ended.err
    written = {path.name for path in (folders / "out").iterdir()}
    assert written == {f"comparison.{kind}" for kind in ("md", "csv", "json", "png", "svg")}
    content = json.loads((folders / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert (content["names"], content["warnings"]) == (["sft", "cc"], [])
    mean = next(s for s in content["scores"] if s["name"] == "cc" and s["language"] is None and s["is_main"])
    assert f"{100 * mean['difference']['value']:+.1f}" in ended.out
    assert "XNLI" in ended.out and "warning" not in ended.out


def test_the_same_command_gives_the_same_files(folders):
    compared(folders)
    before = {path.name: path.read_bytes() for path in (folders / "out").glob("comparison.[mcj]*")}
    compared(folders)
    assert {path.name: path.read_bytes() for path in (folders / "out").glob("comparison.[mcj]*")} == before
    compared(folders, "seed=1")
    assert (folders / "out" / "comparison.csv").read_bytes() != before["comparison.csv"]


def test_one_comparison_at_a_time_and_its_mark_comes_last(folders, monkeypatch):
    compared(folders)
    with only_run_in(folders / "out"):
        ended = compared(folders)
    assert ended.status == 1 and f"({os.getpid()}) works in {folders / 'out'}" in ended.err

    def stopped(*given, **options):
        raise KeyboardInterrupt

    assert (folders / "out/comparison.json").is_file()
    monkeypatch.setattr(compare, "plot_comparison", stopped)
    assert compared(folders, "names=[a]").status == 1  # nothing has begun
    assert (folders / "out/comparison.json").is_file()
    assert compared(folders).status == 130
    assert not (folders / "out/comparison.json").exists()


def test_names_and_the_metric_are_the_users(folders):
    ended = compared(folders, "names=[before,after]", "metric=strict")
    assert ended.status == 0, ended.err
    assert "before" in ended.out and "XNLI f1" in ended.out
    assert "f1,strict" in (folders / "out" / "comparison.md").read_text(encoding="utf-8")


def test_warnings_are_printed(folders):
    made = samples("xnli", count=20, seed=4)
    write_evaluation(folders / "short", made, model="outputs/short", max_new_tokens=5)
    ended = compared(folders, names=("sft", "short"))
    assert "warning: max_new_tokens is 5 in short, and 40 in sft" in ended.out


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        (("sft",), [], "a comparison needs two result folders or more, not 1"),
        (("sft", "c"), [], "c does not exist"),
        (("sft", "cc"), ["names=[a]"], "names has 1 names, and results 2 folders"),
        (("sft", "cc"), ["metric=rouge"], "metric=rouge is none of the scores accuracy,paper; f1,strict"),
    ],
)
def test_what_cannot_be_compared_is_one_line(folders, names, arguments, message):
    ended = compared(folders, *arguments, names=names)
    assert ended.status == 1
    assert ended.err.startswith("error: ") and message in ended.err and ended.err.count("\n") == 1


def test_results_must_be_given():
    ended = call(compare)
    assert (ended.status, ended.err.startswith("error: results must be set")) == (2, True)
