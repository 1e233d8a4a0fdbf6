"""The pictures hold every cell, in any script, whether or not this machine has a font for it."""

import html.parser
import json
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from matplotlib import image

from cctuning.analysis.lens import draw, glyphs
from tests.analysis.lens.made import LENS, WORDS

pytestmark = pytest.mark.renders

TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.fixture(params=["fonts", "no fonts"], scope="module")
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "lens"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "no fonts":
            patch.setattr(glyphs, "_text_fonts", lambda: [])
        draw(folder, LENS)
    return folder


class Cells(html.parser.HTMLParser):
    """The cells of a page: attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "td":
            self.cells.append((dict(attrs), ""))
        self.inside = self.inside or tag == "td"

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "td"

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] = (self.cells[-1][0], self.cells[-1][1] + data)


def test_all_files_hold_the_same(folder):
    assert {path.name for path in folder.iterdir()} == {
        f"lens.{kind}" for kind in ("html", "json", "png", "svg")
    }
    numbers = json.loads((folder / "lens.json").read_text(encoding="utf-8"))
    assert numbers == json.loads(json.dumps(LENS.as_json()))
    guesses = [place for one in (LENS.plain, LENS.transplanted) for layer in one.guesses for place in layer]
    text = (folder / "lens.html").read_text(encoding="utf-8")
    cells = Cells(text).cells
    assert [shown for _, shown in cells] == [place[0].text for place in guesses]
    assert [attributes["data-said"].partition(": ")[2] for attributes, _ in cells] == [
        ", ".join(f"{guess.text} {guess.probability:.1%}" for guess in place) for place in guesses
    ]
    assert not re.search(r"(src|href|url)\W*(http|//)", text)  # nothing from the network


def test_the_place_of_the_transplant_and_the_written_tokens_are_marked(folder):
    cells = Cells((folder / "lens.html").read_text(encoding="utf-8")).cells
    moved = [number for number, (attributes, _) in enumerate(cells) if "moved" in attributes["class"]]
    assert moved == [3 * 4 + 2 * 1]  # behind the first panel: layer 1, the first place
    written = [*LENS.plain.written * 4, *LENS.transplanted.written * 4]
    same = ["same" in attributes["class"] for attributes, _ in cells]
    assert same == [text == wanted for (_, text), wanted in zip(cells, written, strict=True)]
    assert any(same) and not all(same)


def test_the_svg_holds_text_as_text(folder):
    texts = {element.text for element in ElementTree.parse(folder / "lens.svg").iter() if element.tag == TEXT}
    assert {"โตเกียว", "人工智能", "ሰላም", "سلام", "<script>", "$x$"} <= texts


def test_the_png_is_a_picture(folder):
    height, width, _ = image.imread(folder / "lens.png").shape
    assert width > 800 and height > 300


def test_a_character_without_a_font_becomes_its_code_point(monkeypatch):
    monkeypatch.setattr(glyphs, "_text_fonts", lambda: [])
    assert glyphs.families(WORDS) == [glyphs.BASE]
    assert glyphs.drawable("ab ሰ", [glyphs.BASE]) == r"ab \u1230"
    assert glyphs.drawable("◌\u0e34", [glyphs.BASE]) == r"\u0e34"
    assert glyphs.drawable("Ωж", [glyphs.BASE]) == "Ωж"


def test_a_font_of_the_machine_that_has_the_character_is_taken(monkeypatch):
    entries = [SimpleNamespace(name=name, fname=name) for name in ("None", "Thai", "Thai Too")]
    has = {glyphs._path(glyphs.BASE): "a", "None": "", "Thai": "ท", "Thai Too": "ทไ"}
    monkeypatch.setattr(glyphs, "_text_fonts", lambda: entries)
    monkeypatch.setattr(glyphs, "_path", lambda family: has_path(family))
    monkeypatch.setattr(glyphs, "_has", lambda path, character: character in has[path])
    base = next(iter(has))

    def has_path(family):
        return base if family == glyphs.BASE else family

    assert glyphs.families(["aท"]) == [glyphs.BASE, "Thai"]
    assert glyphs.families(["aทไ"]) == [glyphs.BASE, "Thai", "Thai Too"]
    assert glyphs.drawable("aไ", [glyphs.BASE, "Thai"]) == r"a\u0e44"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("人工智能人工智能", ["人工智能人", "工智能"]),
        (r"abcdefgh\u0e44\u0e21", ["abcdefgh", r"\u0e44…"]),
        ("x" * 30, ["x" * 10, "x" * 10 + "…"]),
    ],
)
def test_text_fits_into_its_cell(text, lines):
    assert glyphs.fit(text, 10).splitlines() == lines
