"""The figure of a comparison: differences to the baseline, per benchmark and language.

Of up to three models the intervals are drawn; of more, which would hide one another, a map of differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cctuning.evaluation.comparison.compare import ComparedScore, Comparison, Difference
from cctuning.reporting.plots import CHANGES, COLOURS, MARKERS, panels, save, style
from cctuning.reporting.scores import percent

_MOST_INTERVALS = 3  # models


@dataclass(frozen=True)
class _Panel:
    """Differences of every model, place by place: the languages of a benchmark, or all benchmarks."""

    title: str
    places: list[str]  # the last is the mean of the others
    differences: list[list[Difference]]  # by place, then model


@style()
def plot_comparison(
    comparison: Comparison, paths: Sequence[str | Path], *, metric: str | None = None
) -> None:
    """Writes the figure to `paths`, which end in the formats to write."""
    shown = _panels(comparison.panels(metric))
    names = comparison.names[1:]
    draw = _draw_intervals if len(names) <= _MOST_INTERVALS else _draw_map
    figure = draw(shown, names)
    figure.suptitle(f"difference to the baseline ({comparison.names[0]}) in points")
    save(figure, *paths)


def _panels(shown: Sequence[Sequence[ComparedScore]]) -> list[_Panel]:
    """One panel per benchmark, and a first one of their means where there are several."""
    panels = []
    for scores in shown:
        if scores[0].language is not None:
            codes = [*dict.fromkeys(score.language for score in scores if score.language), None]
            differences = [
                [score.difference for score in scores if score.language == code and score.difference]
                for code in codes
            ]
            title = f"{scores[0].title}, {scores[0].metric.partition(',')[0]}"
            panels.append(_Panel(title, [code or "mean" for code in codes], differences))
    if len(shown) > len(panels):  # there is a mean over benchmarks
        means = [[s.difference for s in scores if s.language is None and s.difference] for scores in shown]
        titles = [*(scores[0].title for scores in shown[:-1]), "mean"]
        panels.insert(0, _Panel("means over languages", titles, means))
    return panels


# --- Intervals ----------------------------------------------------------------------------------------------


def _draw_intervals(shown: Sequence[_Panel], names: Sequence[str]) -> Figure:
    height = 0.9 + 0.12 * max(len(panel.places) for panel in shown) * (1 + len(names))
    figure, grid = panels(
        len(shown), 4, lambda lines, columns: (max(5.0, 3.2 * columns), 0.7 + lines * height)
    )
    for axes, panel in zip(grid, shown, strict=True):
        _draw_panel(axes, panel)
    marks = [
        Line2D([], [], color=COLOURS[number], marker=MARKERS[number], label=name)
        for number, name in enumerate(names)
    ]
    marks.append(Line2D([], [], color="0.3", marker="o", mfc="white", label="p ≥ 0.05 (Holm)"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    return figure


def _draw_panel(axes: Axes, panel: _Panel) -> None:
    models = len(panel.differences[0])
    for place, differences in enumerate(panel.differences):
        for number, difference in enumerate(differences):
            y = place + (number - (models - 1) / 2) * 0.7 / models
            colour = COLOURS[number]
            ends = [100 * end for end in difference.interval]
            axes.plot(ends, [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
            axes.plot(
                100 * difference.value,
                y,
                MARKERS[number],
                color=colour,
                markerfacecolor=colour if difference.stars else "white",
                markersize=5,
            )
    axes.axvline(0, color="0.3", linewidth=1, zorder=0)
    axes.axhline(len(panel.places) - 1.5, color="0.7", linewidth=0.8)  # above the mean
    axes.set_yticks(range(len(panel.places)), panel.places)
    axes.set_ylim(len(panel.places) - 0.5, -0.5)
    axes.set_title(panel.title)
    axes.grid(axis="x")


# --- A map --------------------------------------------------------------------------------------------------


def _draw_map(shown: Sequence[_Panel], names: Sequence[str]) -> Figure:
    most = max(len(panel.places) for panel in shown)
    width, height = 1.0 + 0.45 * most, 0.7 + 0.26 * len(names)
    columns = 2 if most <= 12 else 1
    figure, grid = panels(
        len(shown), columns, lambda lines, columns: (1.6 + columns * width, 1.0 + lines * height)
    )
    largest = max(abs(d.value) for panel in shown for place in panel.differences for d in place)
    limit = 100 * (largest or 0.01)
    for number, (axes, panel) in enumerate(zip(grid, shown, strict=True)):
        _draw_cells(axes, panel, limit)
        axes.set_yticks(range(len(names)), names if number % columns == 0 else [])
    colours = ScalarMappable(Normalize(-limit, limit), CHANGES)
    figure.colorbar(colours, ax=grid, label="points; *: p < 0.05 (Holm)", aspect=40)
    return figure


def _draw_cells(axes: Axes, panel: _Panel, limit: float) -> None:
    models = len(panel.differences[0])
    values = [[100 * place[number].value for place in panel.differences] for number in range(models)]
    axes.imshow(values, cmap=CHANGES, vmin=-limit, vmax=limit, aspect="auto")
    for place, differences in enumerate(panel.differences):
        for number, difference in enumerate(differences):
            dark = abs(difference.value) > 0.005 * limit
            axes.text(
                place,
                number,
                percent(difference.value, signed=True) + "*" * bool(difference.stars),
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if dark else "black",
            )
    axes.axvline(len(panel.places) - 1.5, color="black", linewidth=1)  # before the mean
    long = max(map(len, panel.places)) > 7
    axes.set_xticks(range(len(panel.places)), panel.places, rotation=20 if long else 0)
    axes.set_title(panel.title)
