"""How figures for papers look, and how they become files with the same bytes each time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib

matplotlib.use("Agg")  # figures are files; no screen is needed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cctuning.analysis.measures.estimates import MEAN, POOLED

Content: TypeAlias = Mapping[str, Any]

FORMATS = ("png", "svg")
WIDTH = 7.0  # inches: both columns of a paper
COLUMN = 3.4  # one column
CHANGES = "PuOr"  # orange for losses, violet for gains, white for none: differ for colour-blind readers too

_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "cctuning",  # else the names of parts in an SVG are drawn at random
}


@contextmanager
def drawing() -> Iterator[None]:
    """The style of all figures."""
    with matplotlib.rc_context(_STYLE):
        yield


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes `path` with each of `FORMATS` as its ending, without a date, and closes the figure."""
    paths = [path.with_name(f"{path.name}.{ending}") for ending in FORMATS]
    for one in paths:
        metadata = {"Date": None} if one.suffix == ".svg" else {}
        figure.savefig(one, dpi=200, metadata=metadata)
    plt.close(figure)
    return paths


def own_languages(estimates: Content) -> list[str]:
    """The languages of a quantity, without their means."""
    return [language for language in estimates if language not in (MEAN, POOLED)]


def percents(values: Any) -> Any:
    """Shares in %, None as NaN."""
    if isinstance(values, list):
        return [percents(value) for value in values]
    return math.nan if values is None else 100 * values


def shown_languages(estimates: Content) -> list[str]:
    """The same, and their mean last where there are several."""
    languages = own_languages(estimates)
    return [*languages, MEAN] if len(languages) > 1 else languages


def layer_ticks(layers: int, most: int = 8) -> list[int]:
    """Whole layers from 0, at even steps, `most` at most."""
    step = next(step for step in (1, 2, 4, 5, 8, 10, 20, 50, 100, layers) if layers <= step * most)
    return list(range(0, layers, step))


def head(figure: Figure, title: str, handles: Sequence[Any], labels: Sequence[Any], *, columns: int) -> None:
    """The title of a figure, and below it what its signs are."""
    size = matplotlib.rcParams["axes.titlesize"]
    figure.legend(
        handles, labels, loc="outside upper center", ncols=columns, title=title, title_fontsize=size
    )


def error_bar(axes: Axes, estimate: Content, place: float, *, colour: str, marker: str) -> None:
    """A share in % with its interval, across."""
    if estimate["value"] is None:
        return
    ends = percents([estimate["low"], estimate["high"]])
    axes.plot(ends, [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
    axes.plot(percents(estimate["value"]), place, marker, color=colour, markersize=4.5, clip_on=False)
