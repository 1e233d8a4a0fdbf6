"""Which items are asked: nothing that was asked for goes without a word."""

import pytest

from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import write_items
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import missing_warning, read_item_sets


def test_a_benchmark_without_the_languages_is_an_error(tmp_path):
    xnli, mkqa = find_benchmark("xnli"), find_benchmark("mkqa")
    options = {"1": "a", "2": "b", "3": "c"}
    write_items(tmp_path / "XNLI/sw.jsonl", [Item(0, "sw", "?", "?", ("1",), options)])
    write_items(tmp_path / "MKQA/tr.jsonl", [Item(0, "tr", "?", "?", ("a",))])
    with pytest.raises(ValueError, match=r"mkqa.*sw.*only tr.*benchmarks"):
        read_item_sets([xnli, mkqa], str(tmp_path), languages=["sw"])
    found = read_item_sets([xnli, mkqa], str(tmp_path), languages=["sw", "tr"])
    assert [(one.benchmark.name, one.language) for one in found] == [("xnli", "sw"), ("mkqa", "tr")]
    assert "XNLI has no tr; MKQA has no sw in here" in missing_warning(found, ["sw", "tr"], "here")
    assert missing_warning(found[:1], ["sw"], "here") == ""


def test_of_a_test_set_of_ones_own_its_own_folder_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("kind: short_answer\n")
    write_items(tmp_path / "mine/sw.jsonl", [Item(0, "sw", "?", "?", ("a",))])
    mine = find_benchmark(str(tmp_path / "mine.yaml"))
    with pytest.raises(ValueError, match=rf"no 'tr' for mine in {tmp_path}, only sw"):
        read_item_sets([mine], "elsewhere", languages=["tr"])
    found = read_item_sets([mine], "elsewhere", languages=["sw"])
    assert f"mine has no tr in {tmp_path}: not asked" == missing_warning(found, ["sw", "tr"], "elsewhere")
