"""The page in a real browser."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from cctuning.analysis.lens import draw
from cctuning.analysis.lens.figure import COLOUR_MAP, ink
from tests.analysis.lens.made import LENS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lens")
    draw(folder, LENS)
    return folder / "lens.html"


@pytest.fixture
def page(chromium, path):
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    page.said, page.asked = [], []
    page.on("console", lambda said: page.said.append(said.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert page.said == []
    assert page.asked == [path.as_uri()]
    page.close()


def said(guesses, layer):
    return f"layer {layer}: " + ", ".join(f"{guess.text} {guess.probability:.1%}" for guess in guesses)


def test_a_click_says_a_cells_likeliest_tokens(page):
    cells = page.locator("td")
    assert cells.count() == 4 * 3 + 4 * 2
    cells.nth(3 * 2 + 1).click()
    assert page.locator("#said").text_content() == said(LENS.plain.guesses[2][1], 2)
    page.keyboard.press("Tab")
    assert page.locator("#said").text_content() == said(LENS.plain.guesses[2][2], 2)


def test_texts_of_tokens_and_prompts_are_texts(page):
    assert page.locator("script").count() == 1
    assert page.locator("pre").all_text_contents() == [LENS.target_prompt, LENS.source_prompt]
    assert LENS.plain.answer in page.locator("caption").first.text_content()


def test_a_script_that_the_page_does_not_know_does_not_run(chromium, path):
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.hacked = 1";
      const holder = document.createElement("div");
      holder.innerHTML = "<img src=x onerror='window.hacked = 1'>";
      document.body.append(script, holder);
    }""")
    assert page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    assert page.evaluate("window.hacked") is None
    page.close()


def test_the_page_is_no_wider_than_a_phone(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_every_probability_can_be_read_on_its_colour():
    def light(colour):
        parts = np.array(to_rgb(colour))
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    for probability in np.linspace(0, 1, 101):
        low, high = sorted([light(ink(probability)), light(colormaps[COLOUR_MAP](probability)[:3])])
        assert (high + 0.05) / (low + 0.05) >= 4.5
