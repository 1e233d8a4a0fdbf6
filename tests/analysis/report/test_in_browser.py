"""The report in a real browser: what is clicked, typed and read, on screens of all kinds."""

import pytest

from cctuning.analysis.report import write_report
from tests.analysis.report.studies import hostile_study, made_study

pytestmark = pytest.mark.slow

# Text and what is behind it: the ratio of their luminances, as WCAG 2 defines it.
CONTRASTS = """() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const holder = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !holder.getClientRects().length) continue;
    const style = getComputedStyle(holder);
    let behind = holder, ground = [0, 0, 0, 0];
    for (; behind && (ground.length === 4 && ground[3] === 0); behind = behind.parentElement)
      ground = parts(getComputedStyle(behind).backgroundColor);
    const text = parts(holder.closest("svg") ? style.fill : style.color);
    const [low, high] = [light(text), light(ground)].sort((one, other) => one - other);
    found.push([(high + 0.05) / (low + 0.05), walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def study():
    return made_study()


@pytest.fixture(scope="module")
def path(study, tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("report"), *study, title="A study")


@pytest.fixture(scope="module")
def shown(opened, path):
    return opened(path)


@pytest.fixture
def page(shown):
    """The page with the first grid's best pair, as it opens."""
    shown.page.goto(f"{shown.url}#xnli/de/ffn/0/0")
    shown.page.get_by_label("all (").check()
    shown.page.get_by_label("change against the original").check()
    yield shown.page
    assert shown.errors == []
    assert {url.partition("#")[0] for url in shown.requests} == {shown.url}


def wait_until(page, expression):
    """Playwright's own `wait_for_function` would evaluate a text in the page, which the policy forbids."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def find(grids, benchmark, language, sublayer="ffn"):
    wanted = (benchmark, language, sublayer)
    return next(grid for grid in grids if (grid.benchmark, grid.language, grid.sublayer) == wanted)


def click_cell(page, grid, source, target):
    """Clicks on the middle of a cell; source layers go up, target layers to the right."""
    area = page.locator("#map .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    right = box["x"] + box["width"] * (target + 0.5) / grid.layers
    down = box["y"] + box["height"] * (1 - (source + 0.5) / grid.layers)
    page.mouse.move(right, down)
    page.mouse.click(right, down)
    wait_until(page, f"location.hash.endsWith('/{source}/{target}')")


def read_cards(page):
    """By question id: name of the line -> (verdict, text)."""
    wait_until(page, "!document.getElementById('cards').matches(':empty')")
    cards = page.locator(".card").evaluate_all(
        """cards => cards.map(card => [card.dataset.question, [...card.querySelectorAll("dt")].map(dt => [
             dt.textContent,
             dt.nextElementSibling.querySelector(".verdict")?.textContent ?? "",
             dt.nextElementSibling.querySelector(".text")?.textContent ?? "",
           ])])"""
    )
    return {name: {line: (verdict, text) for line, verdict, text in lines} for name, lines in cards}


def expected(grid, place, answers, at=()):
    index = (place, *at)
    return ("✓ right" if answers.correct[index] else "✗ wrong"), grid.texts[place][answers.text[index]]


def check_cards(page, grid, source, target):
    cards = read_cards(page)
    assert list(cards) == list(grid.questions)
    for place, name in enumerate(grid.questions):
        assert cards[name]["This pair's answer"] == expected(grid, place, grid.cells, (source, target))
        assert cards[name]["Original answer"] == expected(grid, place, grid.target)
        assert cards[name]["Source-language answer"] == expected(grid, place, grid.source)
        assert cards[name]["Right answer"] == ("", f"(1) yes to {name}")


def test_a_click_on_any_cell_shows_what_was_answered_there(page, study):
    grid = find(study[0], "xnli", "de")
    for source, target in [(0, 0), (3, 1), (1, 3), (2, 2)]:
        click_cell(page, grid, source, target)
        check_cards(page, grid, source, target)
        right = int(grid.cells.correct[:, source, target].sum())
        assert f"{right} of 5 right" in page.locator("#cell").inner_text()
        assert page.get_by_label("Source layer", exact=True).input_value() == str(source)


def test_another_language_benchmark_and_sublayer(page, study):
    page.get_by_label("Language", exact=True).select_option(label="Arabic (ar)")
    page.get_by_label("Sub-layer", exact=True).select_option("attention")
    wait_until(page, "location.hash.startsWith('#xnli/ar/attention')")
    click_cell(page, find(study[0], "xnli", "ar", "attention"), 1, 2)
    check_cards(page, find(study[0], "xnli", "ar", "attention"), 1, 2)
    page.get_by_label("Benchmark", exact=True).select_option("globalopinionqa")
    wait_until(page, "location.hash.startsWith('#globalopinionqa/am/ffn')")
    wait_until(page, "document.querySelectorAll('.card').length === 3")
    check_cards(page, find(study[0], "globalopinionqa", "am"), 1, 2)
    assert page.locator(".card .text").first.get_attribute("lang") == "en"


def test_the_picture_holds_the_grid(page, study):
    grid = find(study[0], "xnli", "de")
    accuracy = 100 * grid.cells.correct.mean(0)
    change = accuracy - 100 * grid.target.correct.mean()
    for view, wanted in [("change against the original", change), ("accuracy", accuracy)]:
        page.get_by_label(view, exact=True).check()
        drawn = page.evaluate("document.getElementById('map').data[0]")
        assert abs(wanted - drawn["z"]).max() < 1e-9
        if view != "accuracy":
            assert drawn["zmin"] == -drawn["zmax"] <= change.min()
    likelihood = grid.cells.right_log_probability - grid.target.right_log_probability[:, None, None]
    page.get_by_label("log-probability of the right answers", exact=True).check()
    drawn = page.evaluate("document.getElementById('map').data[0]")
    assert abs(likelihood.mean(0) - drawn["z"]).max() < 1e-4
    assert drawn["zmin"] == -drawn["zmax"] and drawn["zmax"] >= max(map(max, drawn["z"]))
    page.get_by_label("one question, log-probability").check()
    page.get_by_label("Question", exact=True).select_option("1")
    wait_until(page, "document.getElementById('cell').textContent.includes('Question 7')")
    drawn = page.evaluate("document.getElementById('map').data[0].z")
    assert abs(likelihood[1] - drawn).max() < 0.006
    page.get_by_label("one question, right or wrong").check()
    page.get_by_label("Question", exact=True).select_option("2")
    wait_until(page, "document.getElementById('map').data[0].zmax === 3.5")
    z = page.evaluate("document.getElementById('map').data[0].z")
    assert [[verdict >= 2 for verdict in row] for row in z] == grid.cells.correct[2].tolist()
    same = grid.cells.text[2] == grid.target.text[2]
    assert [[verdict in (0, 3) for verdict in row] for row in z] == same.tolist()


def test_filters_show_what_they_say(page, study):
    grid = find(study[0], "xnli", "de")
    click_cell(page, grid, 2, 1)
    right, original = grid.cells.correct[:, 2, 1], grid.target.correct
    wanted = {
        "changed": grid.cells.text[:, 2, 1] != grid.target.text,
        "wins": right & ~original,
        "losses": ~right & original,
    }
    for name, matters in wanted.items():
        page.get_by_label(f"{name} ({matters.sum()})").check()
        names = page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.question)")
        assert names == [name for name, matter in zip(grid.questions, matters, strict=True) if matter]


def test_keys_alone_reach_every_cell_and_its_answers(page, study):
    grid = find(study[0], "xnli", "de")
    page.locator("#map").focus()
    for key in ["ArrowUp", "ArrowUp", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowLeft"]:
        page.keyboard.press(key)
    wait_until(page, "location.hash.endsWith('/1/1')")
    check_cards(page, grid, 1, 1)
    for _ in range(9):
        page.keyboard.press("ArrowDown")
    wait_until(page, "location.hash.endsWith('/0/1')")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "answers-title"
    page.get_by_label("Source layer", exact=True).fill("3")
    page.get_by_label("Target layer", exact=True).fill("2")
    page.keyboard.press("Enter")
    wait_until(page, "location.hash.endsWith('/3/2')")
    check_cards(page, grid, 3, 2)
    page.get_by_label("Target layer", exact=True).fill("77")
    page.keyboard.press("Tab")
    wait_until(page, "location.hash.endsWith('/3/3')")


def column_of(table, name):
    """A column's texts, and its heading."""
    names = table.locator("thead th").all_inner_texts()
    place = next(place for place, text in enumerate(names) if text.startswith(name))
    texts = table.locator("tbody tr").evaluate_all(f"rows => rows.map(row => row.cells[{place}].textContent)")
    return texts, table.locator("thead th").nth(place)


def test_tables_sort_by_click_and_by_key(page, study):
    table = page.get_by_role("region", name="Upper bounds", exact=True).locator("table")
    texts, heading = column_of(table, "original")
    original = {
        (grid.benchmark, grid.language, grid.sublayer): f"{100 * grid.target.correct.mean():.1f}"
        for grid in study[0]
    }
    places = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].slice(0, 3).map(cell => cell.textContent))"
    )
    known = dict(zip(map(tuple, places), texts, strict=True))
    assert {place: known[place].split()[0] for place in original} == original
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    numbers = [float(text.split()[0]) for text in column_of(table, "original")[0]]
    assert numbers == sorted(numbers) and len(set(numbers)) > 2
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text.split()[0]) for text in column_of(table, "original")[0]] == numbers[::-1]
    column_of(table, "language")[1].get_by_role("button").press("Space")
    assert heading.get_attribute("aria-sort") is None
    languages = column_of(table, "language")[0]
    assert languages == sorted(languages)


def test_cells_without_a_value_come_last(page):
    table = page.get_by_role("region", name="Which pair for this question?").locator("table")
    _, heading = column_of(table, "over original")
    for _ in range(2):
        heading.get_by_role("button").click()
        empty = [text == "–" for text in column_of(table, "over original")[0]]
        assert empty == sorted(empty) and any(empty)


def test_rows_can_be_filtered(page, path):
    page.get_by_label("Only rows with").fill("xnli AR")
    shown = "rows => rows.filter(row => row.offsetParent).map(row => row.cells[1].textContent)"
    rows = page.locator("tbody tr").evaluate_all(shown)
    assert rows and set(rows) == {"ar"}
    page.get_by_label("Only rows with").fill("")
    assert len(page.locator("tbody tr").evaluate_all(shown)) == page.locator("tbody tr").count()


@pytest.fixture(scope="module")
def hostile(opened, tmp_path_factory):
    grids, summary, questions = hostile_study()
    title = "</title><script>window.hacked = 1</script>\0\ud83d"
    path = write_report(
        tmp_path_factory.mktemp("hostile"), grids, summary, questions, title=title, notes=[title]
    )
    return grids[0], opened(path, viewport={"width": 375, "height": 800})


def test_hostile_texts_are_shown_and_nothing_else(hostile):
    grid, report = hostile
    page = report.page
    page.get_by_label("open all prompts").check()
    for number in range(3):
        page.get_by_label("Target layer", exact=True).fill(str(number))
        page.keyboard.press("Tab")
    page.locator("#map").hover()
    cards = read_cards(page)
    assert len(cards) == len(grid.questions)
    for place, lines in enumerate(cards.values()):
        (_, text), (_, wanted) = lines["This pair's answer"], expected(grid, place, grid.cells, (0, 2))
        pictures = {"\0": "␀", "\a": "␇", "\x1b": "␛", "\x7f": "␡", "\ud83d": "\ufffd"}
        assert text.replace("\ud83d", "\ufffd") == wanted.translate(str.maketrans(pictures))
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, .card script").count() == 0
    assert page.locator("tbody tr").count() == len(grid.questions)
    assert report.errors == []
    assert len(report.requests) == 1


def test_hostile_texts_do_not_widen_a_phone(hostile):
    assert hostile[1].page.evaluate("document.documentElement.scrollWidth") <= 375


def test_a_phone_has_no_horizontal_scrolling(opened, path):
    page = opened(path, viewport={"width": 375, "height": 700}, is_mobile=True, has_touch=True).page
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        assert page.locator("#map .nsewdrag").first.bounding_box()["width"] > 200
        page.get_by_label("open all prompts").check()
    wide = page.get_by_role("region", name="Who answers rightly")
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(page, scheme):
    page.emulate_media(color_scheme=scheme)
    wait_until(
        page,
        "document.getElementById('languages').layout.font.color"
        " === getComputedStyle(document.documentElement).getPropertyValue('--text')",
    )
    page.get_by_label("open all prompts").check()
    found = page.evaluate(CONTRASTS)
    assert len(found) > 150
    assert [entry for entry in found if entry[0] < 4.5] == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, ground[4:-1].split(","))) < 60) == (scheme == "dark")
    page.emulate_media(color_scheme="light")


def test_paper_is_light_and_complete(page):
    page.emulate_media(media="print", color_scheme="dark")
    wait_until(page, "getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'")
    wait_until(page, "document.getElementById('map').layout.font.color === '#1b1f24'")
    assert not page.locator("nav").is_visible()
    for box in page.locator(".scroll").all():
        assert box.evaluate("box => box.scrollHeight <= box.clientHeight + 1")
    page.emulate_media(media="screen", color_scheme="light")


def test_links_within_the_page_keep_what_is_chosen(page, study):
    grid = find(study[0], "xnli", "ur")
    page.get_by_label("Language", exact=True).select_option("ur")
    wait_until(page, "location.hash.startsWith('#xnli/ur')")
    page.get_by_role("link", name="Tables", exact=True).click()
    wait_until(page, "location.hash === '#tables'")
    assert page.get_by_label("Language", exact=True).input_value() == "ur"
    check_cards(page, grid, 0, 0)


def test_a_browser_that_cannot_unpack_says_so_and_keeps_the_tables(chromium, path):
    page = chromium.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(path.as_uri())
    assert "DecompressionStream" in page.locator("#too-old").inner_text()
    table = page.get_by_role("region", name="Chosen pairs", exact=True).locator("table")
    _, heading = column_of(table, "source layer")
    heading.get_by_role("button").click()
    layers = [int(text) for text in column_of(table, "source layer")[0]]
    assert layers == sorted(layers)
    page.close()


def test_scripts_that_the_page_does_not_know_do_not_run(hostile):
    """The policy, tried: neither a script nor a picture nor a request from within gets through."""
    _, report = hostile
    report.page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.hacked = 1";
      const picture = document.createElement("img");
      picture.src = "https://example.org/a.png";
      const holder = document.createElement("div");
      holder.innerHTML = "<img src=x onerror='window.hacked = 1'>";
      document.body.append(script, picture, holder);
    }""")
    said = report.page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')")
    assert said == "refused"
    assert report.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in error for error in report.errors)


def test_bounds_stand_beside_chance(opened, study, tmp_path):
    grids, summary, questions, _ = study
    chance = {grid.language: {"value": 0.35, "low": None, "high": None, "questions": 5} for grid in grids}
    bounds = {
        sublayer: {
            benchmark: found | ({"chance_bound": chance} if sublayer == "ffn" else {})
            for benchmark, found in own.items()
        }
        for sublayer, own in summary["bounds"].items()
    }
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "lens.html").write_text("<title>lens</title>")
    shown = opened(
        write_report(
            tmp_path, grids, summary | {"bounds": bounds}, questions, links=[("Lens", "figures/lens.html")]
        )
    )
    for sublayer, wanted in (("ffn", [35, 35]), ("attention", None)):
        shown.page.goto(f"{shown.url}#xnli/de/{sublayer}/0/0")
        wait_until(shown.page, f"document.querySelector('#sublayer').value === '{sublayer}'")
        for side in ("source", "target"):
            wait_until(
                shown.page, f"document.getElementById('{side}-bounds').data.length === {5 if wanted else 4}"
            )
            lines = shown.page.evaluate(
                f"document.getElementById('{side}-bounds').data.map((one) => [one.name, one.y])"
            )
            found = dict(lines).get("upper bound by chance")
            assert found is None if wanted is None else found == pytest.approx(wanted)
    shown.page.get_by_role("link", name="Lens").click()
    assert shown.page.title() == "lens"
    assert shown.errors == []
