"""The commands of docs/data_prep.md on this repository's own rows, as they stand there, in a fresh folder."""

import re
import shlex
from pathlib import Path

import pytest

from cctuning.__main__ import main
from tests.json_lines import read_lines

ROOT = Path(__file__).parents[2]
HEADING = "## On this repository's own rows"


def documented():
    section = (ROOT / "docs/data_prep.md").read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    return re.search(r"```bash\n(.*?)```", section, re.DOTALL)[1].splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all the commands were run, one after another."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "examples").symlink_to(ROOT / "examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in documented():
            program, *arguments = shlex.split(command)
            assert program == "cctuning"
            with pytest.raises(SystemExit) as ended:
                main(None, arguments)
            assert ended.value.code == 0, command
    return folder / "data/examples"


def test_every_english_version_is_found(folder):
    rows = read_lines(folder / "id.jsonl")
    assert len(rows) == 6 and all(row["output_en"] for row in rows)
    assert not read_lines(folder / "id.rejects.jsonl")


def test_the_settings_add_what_the_page_says(folder):
    english = [row["id"] for row in read_lines(folder / "train_en.jsonl")]
    assert sorted(english) == list("0123456")  # each item once; 6 is the near duplicate
    translations = read_lines(folder / "train_mt.jsonl")
    assert len(translations) == 43 and {row["language"] for row in translations} == {"en"}


def test_the_two_rows_that_are_there_for_it_are_removed(folder):
    removed = {(row["reason"], row["id"]) for row in read_lines(folder / "train_clean.removed.jsonl")}
    assert removed == {("near duplicate", "6"), ("benchmark question", "15")}
    assert len(read_lines(folder / "train_clean.jsonl")) == 47


def test_rows_to_complete_are_made_without_a_model(folder):
    rows = read_lines(folder / "train_sdrrl.jsonl")
    assert {row["kind"] for row in rows} == {"completion", "partial_translation"}
