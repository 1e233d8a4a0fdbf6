"""Heatmaps: how each pair, and each layer, changes accuracy in each language, on one scale."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cctuning.analysis.figures.parts import Content, head, percents, shown_languages
from cctuning.analysis.measures.strategies import STRATEGIES
from cctuning.reporting.plots import CHANGES, WIDTH, layer_ticks, subplots

_MOST = 5  # maps side by side
_SIGNS = dict(zip(STRATEGIES, ("*", "s", "D"), strict=True))
_LOOK: dict[str, Any] = {
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
    "markersize": 5,
}


def draw_heatmaps(gains: Content, pairs: Content, title: str) -> Figure:
    """`gains`: `gain_by_pair` by language; `pairs`: the strategies' pairs by language.

    The last map of several is the mean over languages. Rows are source layers, from 0 at the bottom.
    """
    languages = shown_languages(gains)
    maps = {language: np.array(percents(gains[language]["value"]), dtype=float) for language in languages}
    limit = _limit(maps)
    columns = min(_MOST, len(languages))
    lines = math.ceil(len(languages) / columns)
    side = min(2.2, (WIDTH - 0.6) / columns)
    figure, grid = subplots(
        (side * columns + 0.6, side * lines + 0.8), lines, columns, squeeze=False, sharex=True, sharey=True
    )
    for axes, language in zip(grid.flat, languages, strict=False):
        image = axes.imshow(maps[language], cmap=CHANGES, vmin=-limit, vmax=limit, origin="lower")
        _mark(axes, pairs.get(language, {}))
        axes.set_title(language, pad=3)
        axes.spines[:].set_visible(True)
        ticks = layer_ticks(len(maps[language]), most=5)
        axes.set(xticks=ticks, yticks=ticks)
    for axes in list(grid.flat)[len(languages) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(languages) - columns) : len(languages)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("target layer, from 0")
    figure.supylabel("source layer, from 0")
    figure.colorbar(image, ax=grid, aspect=40, pad=0.02, label="change of accuracy, points")
    handles = [Line2D([], [], linestyle="", marker=marker, **_LOOK) for marker in _SIGNS.values()]
    head(figure, title, handles, list(_SIGNS), columns=len(handles))
    return figure


def _limit(maps: Mapping[str, NDArray[np.float64]]) -> float:
    """The largest change of all maps, the end of their common scale."""
    return max(float(np.nanmax(np.abs(values))) for values in maps.values()) or 1.0


def draw_layer_gains(outcomes: Content, title: str) -> Figure:
    """The average change of accuracy by source and by target layer, a row a language, their mean last."""
    sides = {side: outcomes[f"gain_by_{side}_layer"] for side in ("source", "target")}
    languages = shown_languages(sides["source"])
    maps = {
        side: np.array([percents(gains[language]["value"]) for language in languages], dtype=float)
        for side, gains in sides.items()
    }
    limit = _limit(maps)
    figure, panels = subplots((WIDTH, 1.5 + 0.17 * len(languages)), 1, 2, sharey=True)
    figure.suptitle(title)
    for axes, (side, values) in zip(panels, maps.items(), strict=True):
        image = axes.imshow(values, cmap=CHANGES, vmin=-limit, vmax=limit, aspect="auto")
        axes.set(xlabel=f"{side} layer, from 0", xticks=layer_ticks(values.shape[1]))
        axes.spines[:].set_visible(True)
    panels[0].set_yticks(range(len(languages)), languages)
    figure.colorbar(image, ax=panels, aspect=30, pad=0.02, label="change of accuracy,\npoints")
    return figure


def _mark(axes: Axes, pairs: Content) -> None:
    # The star last: it stays visible within a sign at the same place.
    for name in reversed(STRATEGIES):
        if name in pairs:
            source, target = pairs[name]
            axes.plot(target, source, _SIGNS[name], clip_on=False, zorder=5, **_LOOK)
