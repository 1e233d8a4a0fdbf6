"""The site of the documentation is built without a warning, and its notebooks run."""

import contextlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from cctuning.commands.registry import COMMANDS
from cctuning.preparation.scripts import SCRIPTS
from cctuning.settings.keys import keys_of
from cctuning.settings.recipe_files import recipe_files

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site. Strict: a link or an anchor that leads nowhere is an error."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


class Page(HTMLParser):
    """The text of a page, what is in its `code`, and what it would fetch."""

    def __init__(self, path):
        super().__init__()
        self.texts, self.code, self.fetched, self._tags = [], set(), [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self._tags.append(tag)
        if tag in ("script", "img", "iframe"):
            self.fetched.append(values.get("src", ""))
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preconnect"):
            self.fetched.append(values["href"])

    def handle_endtag(self, tag):
        while self._tags and self._tags.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append(data)
        if "code" in self._tags:
            self.code.add(data)


def test_each_command_has_a_page_with_all_of_its_keys(site):
    for name, command in COMMANDS.items():
        page = Page(site / "commands" / f"{name}.html")
        keys = keys_of(command.schema)
        assert set(keys) <= page.code
        text = " ".join("".join(page.texts).split())
        for key in keys.values():
            assert key.help[1:].partition("`")[0] in text


def test_the_scripts_that_prepare_data_are_shown_with_their_options(site):
    text = "".join(Page(site / "commands" / "prepare.html").texts)
    for script in SCRIPTS:
        assert f"usage: cctuning prepare {script}" in text


def test_every_recipe_is_listed(site):
    listed = {name.rpartition("/")[2] for name in Page(site / "recipes.html").code}
    for command in COMMANDS.values():
        names = recipe_files(command.schema, command.recipes)
        assert {name.rpartition("/")[2] for name in names} <= listed, command.name


def test_nothing_is_fetched_from_elsewhere(site):
    for path in site.rglob("*.html"):
        assert [url for url in Page(path).fetched if re.match(r"(https?:)?//", url)] == [], path.name


def run_notebook(name):
    """What the notebook's cells leave, by name."""
    cells = json.loads((ROOT / "docs" / "notebooks" / name).read_text("utf-8"))["cells"]
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), name, "exec"), names)
    return names


def test_a_transplant_brings_the_answer_that_the_model_knows_in_english():
    names = run_notebook("xtransplant.ipynb")
    assert names["result"].in_source.correct and not names["result"].original.correct
    i, j = names["result"].best(1, "attention")[0]
    assert names["result"].correct("attention")[i, j] and names["result"].map("attention")[i, j] > 3
    right = sum(result.correct().astype(int) for result in names["results"])
    assert right[i, j] >= 5 > sum(result.original.correct for result in names["results"])


def test_the_notebook_shows_that_the_connection_carries_the_answer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_notebook("tour.ipynb")
    plain, monolingual, bilingual = (
        result.report["results"]["mkqa_sw"]["accuracy,paper"] for result in names["results"]
    )
    assert bilingual > 0.9
    assert max(plain, monolingual) < 0.5
