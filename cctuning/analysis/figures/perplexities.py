"""Perplexities of a model's answers, with and without transplants."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cctuning.analysis.figures.parts import Content, own_languages, percents
from cctuning.analysis.measures.perplexity import SHORTEST
from cctuning.reporting.plots import COLOURS, WIDTH, subplots

_RARE = 0.002  # bins with fewer answers than that, below and above all others, are not drawn
_NONE = f"no answer over {SHORTEST - 1} tokens"
_WHOSE = {"original_": ("original answers", COLOURS[1], "--"), "": ("under transplants", COLOURS[0], "-")}


def draw_perplexities(perplexity: Content, edges: Sequence[float], title: str) -> Figure | None:
    """All languages together as a histogram, and quantiles of each; None where no answer is long enough.

    `edges` are the left ends of the bins; the last bin has all that is higher. A language without such
    answers says so in its row.
    """
    if perplexity["histogram_by_bin"]["pooled"]["value"][0] is None:
        return None
    languages = own_languages(perplexity["quantiles_by_level"])
    size = (WIDTH, max(2.6, 1.1 + 0.19 * len(languages)))
    figure, (left, right) = subplots(size, 1, 2)
    figure.suptitle(title)
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
    for place, language in enumerate(languages):
        if not any(_has_values(perplexity[f"{prefix}quantiles_by_level"], language) for prefix in _WHOSE):
            note = right.text(0.02, place, _NONE, transform=right.get_yaxis_transform(), va="center")
            note.set(fontsize=7, color="0.4", style="italic")
    right.set_yticks(range(len(languages)), languages)
    right.set_ylim(len(languages) - 0.4, -0.6)
    right.set(xscale="log", xlabel="perplexity", title="median, middle half (thick), 5 to 95 % (thin)")
    for axes in (left, right):
        ticks = perplexity_ticks(*axes.get_xlim())
        axes.set_xticks(ticks, [_number(tick) for tick in ticks])
        axes.minorticks_off()
        axes.grid()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def perplexity_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers from `low` to `high` for a logarithmic axis: `most` at most, and two at least."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= most:
            break
    else:
        apart = math.ceil((last - first) / (most - 1))
        inside = [tick for tick in ticks[::apart] if low <= tick <= high]
    if len(inside) >= 3:
        return inside
    even = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in even if low <= tick <= high]


def _number(tick: float) -> str:
    return f"{tick:g}" if tick < 1e5 else f"1e{round(math.log10(tick))}"


def _has_values(quantiles: Content, language: str) -> bool:
    return not any(value is None or math.isnan(value) for value in quantiles[language]["value"])


def _quantiles(axes: Axes, quantiles: Content, languages: Sequence[str], prefix: str) -> None:
    _, colour, _ = _WHOSE[prefix]
    shift = -0.17 if prefix else 0.17
    marker = "s" if prefix else "o"
    for place, language in enumerate(languages):
        if not _has_values(quantiles, language):
            continue
        lowest, low, median, high, highest = quantiles[language]["value"]
        y = [place + shift] * 2
        axes.plot([lowest, highest], y, color=colour, linewidth=0.7)
        axes.plot([low, high], y, color=colour, linewidth=2.4, solid_capstyle="butt")
        axes.plot(median, y[0], marker, color="white", markeredgecolor=colour, markersize=3.5)
