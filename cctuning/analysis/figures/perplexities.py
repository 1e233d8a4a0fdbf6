"""How likely a model finds its answers, with and without transplants."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from cctuning.analysis.figures.style import WIDTH, Content, own_languages, percents
from cctuning.evaluation.figures import COLOURS

_RARE = 0.002  # bins with fewer answers than that, below and above all others, are not drawn
_WHOSE = {"original_": ("original answers", COLOURS[1], "--"), "": ("under transplants", COLOURS[0], "-")}


def draw_perplexities(perplexity: Content, edges: Sequence[float]) -> Figure | None:
    """All languages together as a histogram, and quantiles of each; None where no answer is long enough.

    `edges` are the left ends of the bins; the last bin has all that is higher.
    """
    if perplexity["histogram_by_bin"]["pooled"]["value"][0] is None:
        return None
    languages = own_languages(perplexity["quantiles_by_level"])
    size = (WIDTH, max(2.4, 0.9 + 0.19 * len(languages)))
    figure, (left, right) = plt.subplots(1, 2, figsize=size, layout="constrained")
    ends = [*edges, edges[-1] * edges[1] / edges[0]]
    for prefix, (label, colour, dashes) in _WHOSE.items():
        shares = perplexity[f"{prefix}histogram_by_bin"]["pooled"]["value"]
        if shares[0] is not None:
            left.stairs(percents(shares), ends, color=colour, linestyle=dashes, linewidth=1.3, label=label)
        _quantiles(right, perplexity[f"{prefix}quantiles_by_level"], languages, prefix)
    common = [
        place
        for prefix in _WHOSE
        for place, share in enumerate(perplexity[f"{prefix}histogram_by_bin"]["pooled"]["value"])
        if share and share >= _RARE
    ]
    left.set_xlim(ends[min(common)], ends[max(common) + 1])
    left.set(xscale="log", xlabel="perplexity of an answer", ylabel="answers, %", title="all languages")
    left.set_ylim(bottom=0)
    right.set_yticks(range(len(languages)), languages)
    right.set_ylim(len(languages) - 0.4, -0.6)
    right.set(xscale="log", xlabel="perplexity", title="median, middle half (thick), 5 to 95 % (thin)")
    for axes in (left, right):
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=_steps(math.log10(high / low))))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, linewidth=0.5)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _steps(decades: float) -> tuple[float, ...]:
    """Which numbers of a power of ten are written at an axis that spans so many."""
    if decades > 3:
        return (1,)
    return (1, 2, 5) if decades > 0.7 else (1, 1.2, 1.5, 2, 3, 4, 5, 7, 8)


def _quantiles(axes: Axes, quantiles: Content, languages: Sequence[str], prefix: str) -> None:
    _, colour, _ = _WHOSE[prefix]
    shift = -0.17 if prefix else 0.17
    marker = "s" if prefix else "o"
    for place, language in enumerate(languages):
        values = quantiles[language]["value"]
        if values[0] is None or any(math.isnan(value) for value in values):
            continue
        lowest, low, median, high, highest = values
        y = [place + shift] * 2
        axes.plot([lowest, highest], y, color=colour, linewidth=0.7)
        axes.plot([low, high], y, color=colour, linewidth=2.4, solid_capstyle="butt")
        axes.plot(median, y[0], marker, color="white", markeredgecolor=colour, markersize=3.5)
