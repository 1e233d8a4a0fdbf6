"""Heatmaps: how each pair, and each layer, changes accuracy or log-probability, on one scale."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cctuning.analysis.figures.parts import Content, head, percents, shown_languages
from cctuning.analysis.measures.strategies import OVERALL, STRATEGIES
from cctuning.reporting.plots import CHANGES, WIDTH, layer_ticks, panels, subplots
from cctuning.stats.bootstrap import Array

_MOST = 5  # maps side by side
_NATS = "change of log-probability, nats"
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
    figure, grid = _maps(maps, _limit(maps), "change of accuracy, points")
    return _with_strategies(figure, grid, maps, pairs, title)


def draw_likelihood(changes: Content, pairs: Content, title: str) -> Figure:
    """The same of `right_log_probability_change_by_pair`, in nats."""
    maps = {language: np.array(changes[language]["value"], float) for language in shown_languages(changes)}
    figure, grid = _maps(maps, gain_limit(maps), _NATS)
    return _with_strategies(figure, grid, maps, pairs, title)


def draw_control(differences: Content, title: str) -> Figure:
    """The same of `over_control_log_probability_by_pair`; a dot: the pair's own interval leaves out 0."""
    shown = shown_languages(differences)
    maps = {language: np.array(differences[language]["value"], float) for language in shown}
    figure, grid = _maps(maps, _limit(maps), "log-probability over the control's, nats")
    look: dict[str, Any] = {"marker": "o", "linestyle": "", "color": "black", "markersize": 4}
    look |= {"markeredgecolor": "white", "markeredgewidth": 0.7}  # seen on dark cells too
    for axes, language in zip(grid, shown, strict=True):
        low, high = (np.array(differences[language][end], float) for end in ("low", "high"))
        sources, targets = np.nonzero((low > 0) | (high < 0))
        axes.plot(targets, sources, **look)
    head(figure, title, [Line2D([], [], **look)], ["95 % interval of this pair leaves out 0"], columns=1)
    return figure


def draw_question(changes: Mapping[str, Array], original: float) -> Figure:
    """Changes (L, L) of the log-probability of one question's right answers, by sub-layer, in nats.

    `original`: their log-probability without a transplant. The star is the best pair of each.
    """
    figure, grid = _maps(changes, gain_limit(changes), _NATS, side=3.2)
    for axes, values in zip(grid, changes.values(), strict=True):
        _mark(axes, {OVERALL: np.unravel_index(values.argmax(), values.shape)})
    title = f"log-probability of the right answers, {original:.2f} nats without a transplant"
    head(figure, title, [_sign(OVERALL)], ["best pair"], columns=1)
    return figure


def gain_limit(changes: Mapping[str, Array]) -> float:
    """The end of a scale for changes of log-probabilities, which fall further than they rise.

    It is the largest gain; where there is hardly any, the median change, so that half of them is told apart.
    """
    values = np.concatenate([array.ravel() for array in changes.values()])
    known = values[~np.isnan(values)]
    return max(float(known.max()), float(np.median(np.abs(known)))) or 1.0


def _maps(
    maps: Mapping[str, Array], limit: float, label: str, *, side: float = 2.2
) -> tuple[Figure, Sequence[Axes]]:
    """Maps (L, L) by name on one scale from -`limit` to `limit`, and their axes; what lies beyond is cut."""
    columns = min(_MOST, len(maps))
    side = min(side, (WIDTH - 0.6) / columns)
    figure, grid = panels(
        len(maps),
        columns,
        lambda lines, columns: (side * columns + 0.6, side * lines + 0.8),
        sharex=True,
        sharey=True,
    )
    for axes, (name, values) in zip(grid, maps.items(), strict=True):
        image = axes.imshow(values, cmap=CHANGES, vmin=-limit, vmax=limit, origin="lower")
        axes.set_title(name, pad=3)
        axes.spines[:].set_visible(True)
        ticks = layer_ticks(len(values), most=5)
        axes.set(xticks=ticks, yticks=ticks)
    for axes in grid[-columns:]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("target layer, from 0")
    figure.supylabel("source layer, from 0")
    cut = any(float(np.nanmin(values)) < -limit for values in maps.values())
    figure.colorbar(image, ax=grid, aspect=40, pad=0.02, label=label, extend="min" if cut else "neither")
    return figure, grid


def _with_strategies(
    figure: Figure, grid: Sequence[Axes], languages: Iterable[str], pairs: Content, title: str
) -> Figure:
    for axes, language in zip(grid, languages, strict=True):
        _mark(axes, pairs.get(language, {}))
    names = [strategy.replace("_", " ") for strategy in _SIGNS]
    head(figure, title, list(map(_sign, _SIGNS)), names, columns=len(_SIGNS))
    return figure


def _sign(strategy: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=_SIGNS[strategy], **_LOOK)


def _limit(maps: Mapping[str, Array]) -> float:
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
    figure, grid = subplots((WIDTH, 1.5 + 0.17 * len(languages)), 1, 2, sharey=True)
    figure.suptitle(title)
    for axes, (side, values) in zip(grid, maps.items(), strict=True):
        image = axes.imshow(values, cmap=CHANGES, vmin=-limit, vmax=limit, aspect="auto")
        axes.set(xlabel=f"{side} layer, from 0", xticks=layer_ticks(values.shape[1]))
        axes.spines[:].set_visible(True)
    grid[0].set_yticks(range(len(languages)), languages)
    figure.colorbar(image, ax=grid, aspect=30, pad=0.02, label="change of accuracy,\npoints")
    return figure


def _mark(axes: Axes, pairs: Content) -> None:
    # The star last: it stays visible within a sign at the same place.
    for name in reversed(STRATEGIES):
        if name in pairs:
            source, target = pairs[name]
            axes.plot(target, source, _SIGNS[name], clip_on=False, zorder=5, **_LOOK)
