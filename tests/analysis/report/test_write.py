"""The file: whole or not there, the same each time, of a bearable size, and closed to the outside."""

import base64
import hashlib
import html
import re
from urllib.parse import urljoin

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from cctuning.analysis.report import write_report
from cctuning.analysis.report.blocks import block
from cctuning.analysis.report.islands import packed, packed_json
from cctuning.analysis.report.page import own_script
from tests.analysis.made import made_grid
from tests.analysis.report.studies import made_questions, made_study


@pytest.fixture(scope="module")
def study():
    return made_study()


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    path = write_report(tmp_path_factory.mktemp("report"), *study, title="A & B", notes=["<i>note</i>"])
    return path.read_text(encoding="utf-8")


def test_the_same_study_gives_the_same_bytes(study, page, tmp_path):
    again = write_report(tmp_path, *study, title="A & B", notes=["<i>note</i>"])
    assert again.read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_an_old_report_stays_when_the_new_one_fails(study, tmp_path):
    (tmp_path / "report.html").write_text("old")
    grids, summary, questions, _ = study
    with pytest.raises(ValueError, match="texts of 5 questions are missing"):
        write_report(tmp_path, grids, summary, {**questions, ("xnli", "ur"): []})
    with pytest.raises(ValueError, match="at least one grid"):
        write_report(tmp_path, [], summary, questions)
    assert (tmp_path / "report.html").read_text() == "old"


def test_the_policy_names_the_scripts_that_are_there_and_no_address(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in (own_script(), get_plotlyjs())
    ]
    assert rules["script-src"].split() == hashes
    assert rules["default-src"] == "'none'"
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    assert re.findall(r"<script>(.*?)</script>", page, re.DOTALL) == [own_script()]
    outside = re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search(r"https?:|//|\son\w+=", outside)


def test_title_and_notes_are_text(page):
    assert "<title>A &amp; B</title>" in page
    assert "<li>&lt;i&gt;note&lt;/i&gt;</li>" in page


def test_a_pilot_study_of_a_large_model_is_a_file_of_a_few_megabytes():
    """14 languages, each with 40 questions, 1,024 pairs, and 40 distinct answers of 12 words a question."""
    rng = np.random.default_rng(0)
    words = [f"{rng.integers(10**6):x}" for _ in range(5000)]
    texts = tuple(tuple(" ".join(rng.choice(words, 12)) for _ in range(40)) for _ in range(40))
    grid = made_grid(rng, layers=32, questions=40, distinct=40, texts=texts)
    library = packed(get_plotlyjs())
    one = packed_json(block(grid, made_questions(grid)))
    assert len(library) + 14 * len(one) < 6e6


def test_the_texts_of_options_may_be_missing(study, tmp_path):
    """XQuAD has none."""
    grids, summary, questions, _ = study
    without = {key: [{**question, "options": None} for question in own] for key, own in questions.items()}
    assert write_report(tmp_path, grids, summary, without).is_file()


def test_links_lead_to_pages_that_are_there(study, tmp_path):
    """Their texts and paths are never read as HTML, nor as a script or another place's address."""
    names = ["figures/lens a/lens.html", "javascript:alert(1)", 'a"b?c#d.html']
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    links = [(f"<b>{number}</b>", name) for number, name in enumerate([*names, "figures/none.html"])]
    page = write_report(tmp_path, *study, links=links).read_text(encoding="utf-8")
    found = re.findall(r'<li><a href="([^#"]+)">([^<]*)</a></li>', page)
    assert [html.unescape(text) for _, text in found] == ["<b>0</b>", "<b>1</b>", "<b>2</b>"]
    here = (tmp_path / "report.html").as_uri()
    assert [urljoin(here, html.unescape(address)) for address, _ in found] == [
        (tmp_path / name).as_uri() for name in names
    ]
    with pytest.raises(ValueError, match="The link 'away' must be a path relative to the report"):
        write_report(tmp_path, *study, links=[("away", "//example.org/x.html")])
