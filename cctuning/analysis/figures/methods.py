"""Methods beside each other: strategies on unseen questions, and pair selectors on a benchmark."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cctuning.analysis.figures.parts import Content, head, percents
from cctuning.analysis.measures.unseen import ORIGINAL, SOURCE
from cctuning.analysis.selectors import AccuracyEstimate, Judgement
from cctuning.reporting.plots import CHANGES, COLOURS, MARKERS, WIDTH, subplots

_REFERENCES = ("original", "random_pair", "fixed_pair", "fixed_pair_of_all", "upper_bound")


def draw_unseen(scores: Sequence[Content], title: str) -> Figure:
    """One benchmark's methods: accuracy over languages, and the difference to the original in each language.

    `scores` have the shape of `ComparedScore`; only the metric that the papers report is drawn.
    """
    shown = [score for score in scores if score["is_main"]]
    names = list(dict.fromkeys(score["name"] for score in shown))
    means = {score["name"]: score for score in shown if score["language"] is None}
    languages = list(dict.fromkeys(score["language"] for score in shown if score["language"]))
    changes = np.full((len(names), len(languages)), np.nan)
    for score in shown:
        if score["language"] and score["difference"]:
            at = names.index(score["name"]), languages.index(score["language"])
            changes[at] = 100 * score["difference"]["value"]
    figure, (left, right) = _two_panels(names, len(languages))
    _say(figure, title, "strategy or other method", "no transplant", "original")
    for place, name in enumerate(names):
        mean = means[name]
        low, high = mean["interval"]
        _dot(left, {"value": mean["score"], "low": low, "high": high}, place, name in (ORIGINAL, SOURCE))
    _finish_left(left, names, means[ORIGINAL]["score"])
    _draw_map(figure, right, changes, names, languages, "difference to the original, points")
    return figure


def draw_selectors(judgement: Judgement, title: str) -> Figure:
    """A benchmark's pair selectors: accuracy over languages, and the difference to the fixed pair in each.

    How many pairs they chose from is added to `title`.
    """
    names = [verdict.name for verdict in judgement.mean]
    languages = list(judgement.languages)
    changes = np.full((len(names), len(languages)), np.nan)
    for column, verdicts in enumerate(judgement.languages.values()):
        for row, verdict in enumerate(verdicts):
            if verdict.over_fixed_pair:
                changes[row, column] = 100 * verdict.over_fixed_pair.value
    figure, (left, right) = _two_panels(names, len(languages))
    among = judgement.candidates_text
    title = f"{title}, chosen among {among} pair{'' if among == '1' else 's'}"
    _say(figure, title, "selector", "what they are compared with", "fixed pair")
    for place, verdict in enumerate(judgement.mean):
        _dot(left, _estimate(verdict.accuracy), place, verdict.name in _REFERENCES)
    fixed = next(verdict for verdict in judgement.mean if verdict.name == "fixed_pair")
    _finish_left(left, names, fixed.accuracy.value)
    _draw_map(figure, right, changes, names, languages, "difference to the fixed pair, points")
    return figure


def _estimate(score: AccuracyEstimate) -> dict[str, float | None]:
    low, high = score.interval or (None, None)
    return {"value": score.value, "low": low, "high": high}


def _two_panels(names: Sequence[str], languages: int) -> tuple[Figure, Any]:
    size = (WIDTH, 1.3 + 0.2 * len(names))
    return subplots(size, 1, 2, width_ratios=[1, 0.35 + 0.11 * languages], sharey=True)


_REFERENCE = {"colour": "0.4", "marker": MARKERS[1]}  # what is not a method is grey and square
_METHOD = {"colour": COLOURS[0], "marker": MARKERS[0]}
_LEVEL: dict[str, Any] = {"color": "0.4", "linestyle": "--", "linewidth": 0.8}


def _say(figure: Figure, title: str, method: str, reference: str, level: str) -> None:
    """The title, and what the signs of the left panel are."""
    signs = [
        Line2D([], [], linestyle="", color=look["colour"], marker=look["marker"], markersize=4.5)
        for look in (_METHOD, _REFERENCE)
    ]
    head(figure, title, [*signs, Line2D([], [], **_LEVEL)], [method, reference, level], columns=3)


def _dot(axes: Axes, estimate: Mapping[str, float | None], place: int, reference: bool) -> None:
    """A share in % with its interval, across."""
    if estimate["value"] is None:
        return
    colour, marker = (_REFERENCE if reference else _METHOD).values()
    ends = percents([estimate["low"], estimate["high"]])
    axes.plot(ends, [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
    axes.plot(percents(estimate["value"]), place, marker, color=colour, markersize=4.5, clip_on=False)


def _finish_left(axes: Axes, names: Sequence[str], level: float) -> None:
    axes.axvline(100 * level, zorder=0, **_LEVEL)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set(xlabel="accuracy, %, mean of languages", title="with 95 % intervals")
    axes.grid(axis="x")


def _draw_map(
    figure: Figure,
    axes: Axes,
    changes: np.ndarray[Any, Any],
    names: Sequence[str],
    languages: Sequence[str],
    label: str,
) -> None:
    # The upper bound is no method: it would leave no colours for those that are.
    known = [row for row, name in zip(changes, names, strict=True) if name != "upper_bound"]
    limit = float(np.nanmax(np.abs(known), initial=0, where=~np.isnan(known))) or 1.0
    image = axes.imshow(changes, cmap=CHANGES, vmin=-limit, vmax=limit, aspect="auto")
    for row, column in np.argwhere(~np.isnan(changes)):
        value = changes[row, column]
        axes.text(
            column,
            row,
            f"{round(value):+d}".replace("-", "−") if round(value) else "0",
            ha="center",
            va="center",
            fontsize=6,
            color="white" if abs(value) > 0.6 * limit else "black",
        )
    axes.set_xticks(range(len(languages)), languages, rotation=90 if len(languages) > 14 else 0)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(label)
    figure.colorbar(image, ax=axes, aspect=30, pad=0.01)
