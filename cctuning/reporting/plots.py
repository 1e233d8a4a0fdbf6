"""Style and files of figures: one style, and the same bytes each time.

Figures are made without pyplot: no screen is needed, a notebook keeps its own backend, and none has to be
closed.
"""

import base64
import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter

WIDTH = 7.0  # inches: both columns of a paper
COLUMN = 3.4  # one column
_DPI = 200

# Colours of Okabe and Ito, which colour-blind readers can tell apart; markers and lines say the same.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
AMOUNTS = "viridis"  # from none to all
CHANGES = "PuOr"  # orange for losses, violet for gains, white for none: differ for colour-blind readers too

_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "figure.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "cctuning",  # else the names of parts in an SVG are drawn at random
}


@contextmanager
def style(**settings: Any) -> Iterator[None]:
    """Draws what is inside in the style of all figures, and in `settings` of matplotlib; also a decorator."""
    with matplotlib.rc_context(_STYLE | settings):
        yield


def subplots(size: tuple[float, float], rows: int = 1, columns: int = 1, **grid: Any) -> tuple[Figure, Any]:
    """A figure of `size` in inches, and its axes as `Figure.subplots` gives them for `grid`."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, **grid)


def panels(
    count: int, columns: int, size: Callable[[int, int], tuple[float, float]], **grid: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, at most `columns` side by side, and their axes.

    `size`: from the numbers of lines and columns to inches. `grid` is for `Figure.subplots`.
    """
    columns = min(columns, count)
    lines = math.ceil(count / columns)
    figure, axes = subplots(size(lines, columns), lines, columns, squeeze=False, **grid)
    for unused in axes.flat[count:]:
        unused.set_visible(False)
    return figure, list(axes.flat[:count])


def save(figure: Figure, *paths: str | Path) -> None:
    """Writes a figure to each path, in the format that its ending names, without a date."""
    _take_texts_as_they_are(figure)
    for path in map(Path, paths):
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, dpi=_DPI, metadata=metadata)


def png_address(figure: Figure) -> str:
    """A figure as PNG in an address of its own, for a page that loads nothing."""
    _take_texts_as_they_are(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _take_texts_as_they_are(figure: Figure) -> None:
    """A dollar sign begins no formula, and long titles have several lines: names come from outside."""
    for title in figure.texts:
        # matplotlib would measure a formula, and has no room for upright lines beside the left edge.
        title.set_wrap("$" not in title.get_text() and title.get_rotation() == 0)
    axes = [axis for own in figure.axes for axis in (own.xaxis, own.yaxis)]
    powers = [axis for axis in axes if isinstance(axis.get_major_formatter(), LogFormatter)]
    formulas = {
        label for axis in powers for label in (*axis.get_majorticklabels(), *axis.get_minorticklabels())
    }
    for text in set(figure.findobj(Text)) - formulas:
        text.set_parse_math(False)


def legend_beside(axes: Axes, *, columns: int = 1) -> None:
    """Puts the legend to the right of what is drawn."""
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), ncols=columns)


def layer_ticks(layers: int, most: int = 8) -> list[int]:
    """Whole layers from 0, at even steps, `most` at most."""
    step = next(step for step in (1, 2, 4, 5, 8, 10, 20, 50, 100, layers) if layers <= step * most)
    return list(range(0, layers, step))
