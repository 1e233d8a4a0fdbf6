"""Figures show the summary's numbers, all of them inside their edges, in the same bytes each time."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text

from cctuning.analysis.figures import draw_figures
from cctuning.analysis.figures.bars import draw_categories, draw_outcomes
from cctuning.analysis.figures.heatmaps import draw_heatmaps, draw_layer_gains, draw_likelihood, draw_question
from cctuning.analysis.figures.layers import draw_bounds, draw_gains
from cctuning.analysis.figures.methods import draw_selectors, draw_unseen
from cctuning.analysis.figures.perplexities import draw_perplexities, perplexity_ticks
from cctuning.analysis.figures.tries import draw_tries
from cctuning.analysis.measures.categories import CATEGORIES
from cctuning.analysis.measures.strategies import choose
from cctuning.analysis.measures.summary import summarise
from cctuning.analysis.selectors import judge_pilot
from cctuning.reporting import plots
from tests.analysis.made import made_applied, made_grid
from tests.figures import covering_legends

pytestmark = [pytest.mark.slow, pytest.mark.renders]

TITLE = "XNLI, ffn, pilot questions"
SIDES = ("source", "target")
LANGUAGES = ("ar", "de", "en", "sw", "th", "ur", "zh")


@pytest.fixture(scope="module")
def grids():
    rng = np.random.default_rng(5)
    return [
        made_grid(rng, layers=6, questions=12, language=language, sublayer=sublayer, distinct=8)
        for sublayer in ("ffn", "attention")
        for language in LANGUAGES
    ]


@pytest.fixture(scope="module")
def summary(grids):
    rng = np.random.default_rng(6)
    applied = [made_applied(rng, grid, choose(grid)) for grid in grids[: len(LANGUAGES)]]
    return summarise(grids, applied, resamples=30)


@pytest.fixture(scope="module")
def judgement(grids):
    return judge_pilot({grid.language: grid for grid in grids[: len(LANGUAGES)]}, resamples=30)


@pytest.fixture
def style():
    with plots.style():
        yield


def of(summary, measure, sublayer="ffn"):
    return summary[measure][sublayer]["xnli"]


@pytest.fixture(scope="module")
def figures(summary, judgement):
    axes = summary["about"]["axes"]
    outcomes = of(summary, "outcomes")
    with plots.style():
        return {
            "heatmaps": draw_heatmaps(outcomes["gain_by_pair"], of(summary, "pairs"), TITLE),
            "layer_gains": draw_layer_gains(outcomes, TITLE),
            "likelihood": draw_likelihood(
                of(summary, "likelihood")["right_log_probability_change_by_pair"], of(summary, "pairs"), TITLE
            ),
            "bounds": draw_bounds(of(summary, "bounds"), TITLE),
            "gains": draw_gains({name: own["xnli"] for name, own in summary["outcomes"].items()}, TITLE),
            "tries": draw_tries(of(summary, "bounds"), axes["tries"], TITLE),
            "outcomes": draw_outcomes(outcomes, TITLE),
            "categories": draw_categories(of(summary, "categories"), TITLE),
            "perplexities": draw_perplexities(of(summary, "perplexity"), axes["bin"], TITLE),
            "unseen": draw_unseen(summary["unseen"]["ffn"]["scores"], TITLE),
            "selectors": draw_selectors(judgement, TITLE),
        }


def test_nothing_is_cut_off_and_all_fits_a_page(style, figures):
    for name, figure in figures.items():
        figure.draw_without_rendering()
        width, height = figure.get_size_inches()
        assert width <= 7.1 and height <= 9, name
        drawn = figure.get_tightbbox()  # of all that is drawn, inches
        assert drawn.x0 > -0.01 and drawn.y0 > -0.01, name
        assert drawn.x1 < width + 0.01 and drawn.y1 < height + 0.01, name
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
        assert len(texts) > 8, name
        assert min(text.get_fontsize() for text in texts) >= 6, name
        assert not covering_legends(figure), name


def test_every_axis_says_what_it_is(figures):
    for name, figure in figures.items():
        said = " ".join(text.get_text() for text in figure.findobj(Text))
        assert any(unit in said for unit in ("%", "points", "nats")), name
        assert TITLE in said, name
        if name in ("heatmaps", "likelihood", "layer_gains", "bounds", "gains"):
            assert "source layer, from 0" in said and "target layer, from 0" in said, name


def test_log_probabilities_are_those_of_each_language(figures, grids):
    maps = {axes.get_title(): axes.images[0] for axes in figures["likelihood"].axes if axes.get_title()}
    assert list(maps) == [*LANGUAGES, "mean"]
    for grid in grids[: len(LANGUAGES)]:
        change = grid.cells.right_log_probability - grid.target.right_log_probability[:, None, None]
        assert np.allclose(maps[grid.language].get_array(), change.mean(0))


@pytest.mark.parametrize(
    "changes, limit, extend",
    [
        ([[0.5, -9.0], [-8.0, -7.0]], 7.5, "min"),
        ([[4.0, -1.0], [0.0, -3.0]], 4, "neither"),
        ([[0.0]], 1, "neither"),
    ],
)
def test_gains_are_seen_beside_larger_losses(style, changes, limit, extend):
    figure = draw_question({"ffn": np.array(changes), "block": np.array(changes)}, -9.08)
    maps = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert [axes.get_title() for axes in maps] == ["ffn", "block"]
    for axes in maps:
        [image] = axes.images
        assert image.get_clim() == (-limit, limit) and image.origin == "lower"
        assert image.get_array().tolist() == changes
        target, source = (int(axes.lines[0].get_data()[side][0]) for side in (0, 1))
        assert changes[source][target] == np.max(changes)
    assert maps[-1].images[0].colorbar.extend == extend
    assert "-9.08 nats" in figure.legends[0].get_title().get_text()


def test_heatmaps_are_the_gains_on_one_scale(style, summary, grids):
    figure = draw_heatmaps(of(summary, "outcomes")["gain_by_pair"], of(summary, "pairs"), TITLE)
    images = {axes.get_title(): axes.images[0] for axes in figure.axes if axes.images and axes.get_title()}
    assert list(images) == [*LANGUAGES, "mean"]
    gains = {
        grid.language: 100 * (grid.cells.correct.mean(0) - grid.target.correct.mean())
        for grid in grids[: len(LANGUAGES)]
    }
    gains["mean"] = np.mean(list(gains.values()), axis=0)
    limit = max(abs(values).max() for values in gains.values())
    for language, image in images.items():
        assert np.allclose(image.get_array(), gains[language])
        assert np.allclose(image.get_clim(), (-limit, limit))
        assert image.origin == "lower"
    [axes] = [axes for axes in figure.axes if axes.get_title() == "sw"]
    marks = {(line.get_marker(), int(line.get_ydata()[0]), int(line.get_xdata()[0])) for line in axes.lines}
    pairs = of(summary, "pairs")["sw"]
    assert marks == {
        (marker, *pairs[name])
        for name, marker in [("overall", "*"), ("source_last", "s"), ("target_first", "D")]
        if name in pairs  # where all pairs tie, none has a sign
    }


def test_curves_over_layers(style, summary, grids):
    own = grids[: len(LANGUAGES)]
    bounds = draw_bounds(of(summary, "bounds"), TITLE)
    for axes, across in zip(bounds.axes, (2, 1), strict=True):
        lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}
        mean = np.mean([grid.cells.correct.any(across).mean(0) for grid in own], axis=0)
        assert np.allclose(lines["bound, mean"], 100 * mean)
        level = np.mean([grid.cells.correct.any((1, 2)).mean() for grid in own])
        assert np.allclose(lines["instance-aware upper bound"], 100 * level)
        assert np.allclose(lines["original"], 100 * np.mean([grid.target.correct.mean() for grid in own]))
        assert np.allclose(
            lines["asked in the source language"], 100 * np.mean([grid.source.correct.mean() for grid in own])
        )
        assert "upper bound by chance" not in lines  # it is not in this summary
        assert sum(line.get_color() == "0.75" for line in axes.lines) == len(LANGUAGES)
        assert len([one for one in axes.collections if isinstance(one, FillBetweenPolyCollection)]) == 1
    chance = {"chance_bound": {"mean": {"value": 0.25}}}
    for axes in draw_bounds(of(summary, "bounds") | chance, TITLE).axes:
        [line] = [line for line in axes.lines if line.get_label() == "upper bound by chance"]
        assert line.get_ydata()[0] == 25
    gains = draw_gains({name: found["xnli"] for name, found in summary["outcomes"].items()}, TITLE)
    for axes, across in zip(gains.axes, (2, 1), strict=True):
        lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}
        for number, sublayer in enumerate(("ffn", "attention")):
            of_sublayer = grids[number * len(LANGUAGES) :][: len(LANGUAGES)]
            mean = np.mean(
                [grid.cells.correct.mean((0, across)) - grid.target.correct.mean() for grid in of_sublayer],
                axis=0,
            )
            assert np.allclose(lines[f"{sublayer}, mean"], 100 * mean)


def test_intervals_without_neighbours_are_seen(style, summary):
    outcomes = of(summary, "outcomes")
    mean = {
        "value": [0.0] * 6,
        "low": [None, -0.1, None, -0.2, -0.2, None],
        "high": [None, 0.1, None, 0, 0, None],
    }
    alike = {f"gain_by_{side}_layer": outcomes[f"gain_by_{side}_layer"] | {"mean": mean} for side in SIDES}
    for axes in draw_gains({"ffn": outcomes | alike}, TITLE).axes:
        [line] = [one for one in axes.collections if isinstance(one, LineCollection)]
        assert [segment.tolist() for segment in line.get_segments()] == [[[1, -10], [1, 10]]]
        [band] = [one for one in axes.collections if isinstance(one, FillBetweenPolyCollection)]
        assert {x for path in band.get_paths() for x in path.vertices[:, 0] if x != 1} == {3, 4}


@pytest.mark.parametrize("kind", ["outcomes", "categories"])
def test_bars_are_whole(style, summary, kind):
    names = ["win", "tie", "lose"] if kind == "outcomes" else list(CATEGORIES.values())
    figure = (draw_outcomes if kind == "outcomes" else draw_categories)(of(summary, kind), TITLE)
    [axes] = figure.axes
    places = [label.get_text() for label in axes.get_yticklabels()]
    assert places == [*LANGUAGES, "mean"]
    for place, language in enumerate(places):
        bars = [bar for bar in axes.patches if abs(bar.get_y() + 0.4 - place) < 1e-6]
        shares = [of(summary, kind)[name][language]["value"] for name in names]
        assert np.allclose([bar.get_width() for bar in bars], 100 * np.array(shares))
        assert abs(sum(shares) - 1) < 1e-9
    looks = {(bar.get_facecolor(), bar.get_hatch()) for bar in axes.patches}
    assert len(looks) == len(names)  # each part has its own


def test_tries_end_at_the_upper_bound(style, summary):
    axes = draw_tries(of(summary, "bounds"), summary["about"]["axes"]["tries"], TITLE).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    curve = lines["any pair, mean"]
    assert list(curve.get_xdata()) == [1, 2, 4, 8, 16, 32, 36]
    assert abs(curve.get_ydata()[-1] - 100 * of(summary, "bounds")["upper_bound"]["mean"]["value"]) < 1e-9
    assert "all pairs, by chance" not in lines
    chance = {"mean": {"value": 0.25}}
    with_chance = draw_tries(
        of(summary, "bounds") | {"chance_bound": chance}, [1, 2, 4, 8, 16, 32, 36], TITLE
    )
    [mark] = [line for line in with_chance.axes[0].lines if line.get_label() == "all pairs, by chance"]
    assert mark.get_ydata()[0] == 25


def test_perplexities_are_medians_and_shares(style, summary):
    perplexity, edges = of(summary, "perplexity"), summary["about"]["axes"]["bin"]
    left, right = draw_perplexities(perplexity, edges, TITLE).axes
    medians = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    assert medians == [perplexity["quantiles_by_level"][language]["value"][2] for language in LANGUAGES]
    steps = {patch.get_label(): patch.get_data() for patch in left.patches}
    pooled = perplexity["histogram_by_bin"]["pooled"]["value"]
    assert np.allclose(steps["under transplants"].values, 100 * np.array(pooled))
    assert abs(sum(pooled) - 1) < 1e-9


def test_perplexities_of_short_answers_alone_are_no_figure(style, summary):
    nothing = {"pooled": {"value": [None] * 41}}
    assert draw_perplexities({"histogram_by_bin": nothing}, summary["about"]["axes"]["bin"], TITLE) is None


def test_a_language_without_long_answers_says_so(style, summary):
    perplexity = of(summary, "perplexity")
    without = {
        name: languages | {"sw": languages["sw"] | {"value": [None] * 5}}
        if "quantiles" in name
        else languages
        for name, languages in perplexity.items()
    }
    _, right = draw_perplexities(without, summary["about"]["axes"]["bin"], TITLE).axes
    [note] = [text for text in right.texts if text.get_text() == "no answer over 5 tokens"]
    assert note.get_position()[1] == LANGUAGES.index("sw")
    assert not draw_perplexities(perplexity, summary["about"]["axes"]["bin"], TITLE).axes[1].texts


@pytest.mark.parametrize(
    "low, high",
    [(1, 12.6), (0.9, 300), (40, 90), (1.02, 1.3), (1, 12_600), (500, 3e9), (9, 2e17), (1.0001, 1.0003)],
)
def test_perplexities_have_numbers_on_their_axis(style, low, high):
    ticks = perplexity_ticks(low, high)
    assert 2 <= len(ticks) <= 7 and ticks == sorted(set(ticks))
    assert low <= ticks[0] and ticks[-1] <= high
    # They reach over most of the axis.
    assert math.log(ticks[-1] / ticks[0]) > 0.4 * math.log(high / low)


def test_numbers_are_written_at_the_axes_of_perplexities(style, summary):
    figure = draw_perplexities(of(summary, "perplexity"), summary["about"]["axes"]["bin"], TITLE)
    figure.draw_without_rendering()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.xaxis.get_ticklabels(which="both") if tick.get_text()]
        assert len([tick for tick in ticks if low <= tick.get_position()[0] <= high]) >= 2


def shown_map(figure):
    [axes] = [axes for axes in figure.axes if axes.findobj(AxesImage) and axes.get_title()]
    return axes.images[0].get_array().filled(np.nan), [text.get_text() for text in axes.get_xticklabels()]


def test_unseen_methods_beside_the_original(style, summary):
    scores = summary["unseen"]["ffn"]["scores"]
    names = list(dict.fromkeys(score["name"] for score in scores))
    figure = draw_unseen(scores, TITLE)
    values, languages = shown_map(figure)
    assert languages == list(LANGUAGES)
    for score in scores:
        if score["language"] and score["benchmark"] == "xnli":
            found = values[names.index(score["name"]), languages.index(score["language"])]
            change = score["difference"]
            assert np.isnan(found) if change is None else abs(found - 100 * change["value"]) < 1e-9
    means = {
        int(line.get_ydata()[0]): line.get_xdata()[0]
        for line in figure.axes[0].lines
        if line.get_marker() != "None"
    }
    for score in scores:
        if score["language"] is None and score["benchmark"] == "xnli":
            assert abs(means[names.index(score["name"])] - 100 * score["score"]) < 1e-9


def legend_of(figure):
    [legend] = figure.legends
    return {
        text.get_text(): (line.get_color(), line.get_marker())
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }


def signs_of(figure, names):
    """(colour, marker) of the sign of each row."""
    marks = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
    return {names[int(line.get_ydata()[0])]: (line.get_color(), line.get_marker()) for line in marks}


def test_legends_say_what_is_compared_with_what(style, summary, judgement):
    figure = draw_selectors(judgement, TITLE)
    signs, legend = signs_of(figure, [verdict.name for verdict in judgement.mean]), legend_of(figure)
    assert signs["vote"] == legend["selector"] != signs["upper_bound"]
    assert signs["upper_bound"] == signs["random_pair"] == legend["what they are compared with"]
    assert "fixed pair" in legend
    scores = summary["unseen"]["ffn"]["scores"]
    figure = draw_unseen(scores, TITLE)
    names = list(dict.fromkeys(score["name"] for score in scores))
    signs, legend = signs_of(figure, names), legend_of(figure)
    assert signs["overall"] == legend["strategy or other method"] != signs["original"]
    assert signs["original"] == signs["source"] == legend["no transplant"]


def test_selectors_say_among_how_many_pairs(style, judgement):
    few = replace(judgement, candidates={"de": 2, "sw": 3})
    assert "chosen among 36 pairs" in draw_selectors(judgement, TITLE).legends[0].get_title().get_text()
    assert "chosen among 2 to 3 pairs" in draw_selectors(few, TITLE).legends[0].get_title().get_text()


def test_selectors_beside_the_upper_bound(style, judgement):
    figure = draw_selectors(judgement, TITLE)
    values, languages = shown_map(figure)
    assert languages == list(LANGUAGES)
    marks = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
    assert np.allclose(
        [line.get_xdata()[0] for line in marks], [100 * verdict.accuracy.value for verdict in judgement.mean]
    )
    for row, verdict in enumerate(judgement.languages["sw"]):
        wanted = verdict.over_fixed_pair
        found = values[row, languages.index("sw")]
        assert np.isnan(found) if wanted is None else abs(found - 100 * wanted.value) < 1e-9


def test_gains_by_layer_have_a_row_a_language(figures, grids):
    source, target, *_ = figures["layer_gains"].axes
    assert [label.get_text() for label in source.get_yticklabels()] == [*LANGUAGES, "mean"]
    for row, language in enumerate(LANGUAGES):
        grid = next(grid for grid in grids if (grid.language, grid.sublayer) == (language, "ffn"))
        change = grid.cells.correct.astype(float) - grid.target.correct[:, None, None]
        assert np.allclose(source.images[0].get_array()[row], 100 * change.mean((0, 2)))
        assert np.allclose(target.images[0].get_array()[row], 100 * change.mean((0, 1)))


def test_files_have_their_names_and_the_same_bytes_each_time(grids, judgement, tmp_path, monkeypatch):
    """SVG speaks for PNG, of which `reporting/test_plots.py` says the same: rendering takes long."""
    savefig = Figure.savefig

    def save_svg(figure, path, **options):
        savefig(figure, path, **options) if path.suffix == ".svg" else path.touch()

    monkeypatch.setattr(Figure, "savefig", save_svg)
    rng = np.random.default_rng(6)
    small = summarise(grids[:2], [made_applied(rng, grid, choose(grid)) for grid in grids[:2]], resamples=30)
    paths = draw_figures(tmp_path / "one", small, [judgement])
    kinds = ["bounds", "categories", "heatmaps", "layer_gains", "likelihood", "outcomes", "perplexities"]
    kinds += ["tries", "unseen"]
    names = [f"{kind}_xnli_ffn" for kind in kinds] + ["selectors_xnli_ffn_pilot", "gains_xnli"]
    assert sorted(path.name for path in paths) == sorted(
        f"{name}.{ending}" for name in names for ending in ("png", "svg")
    )
    again = draw_figures(tmp_path / "two", small, [judgement])
    for path, other in zip(paths, again, strict=True):
        assert path.read_bytes() == other.read_bytes(), path.name
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
