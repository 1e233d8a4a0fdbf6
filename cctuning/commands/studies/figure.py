"""The figure of a study: the score of every row on every benchmark, with its 95 % interval."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from cctuning.commands.studies.lines import Line
from cctuning.commands.studies.table import columns_of
from cctuning.reporting.plots import COLOURS, MARKERS, save, style, subplots


@style()
def plot_lines(lines: Sequence[Line], paths: Sequence[str | Path], *, title: str) -> None:
    """Writes the figure to `paths`, which end in the formats to write: a panel a benchmark, a line a row.

    Rows that are compared with the same one share a colour and a marker; the dashed line is that row's score.
    """
    columns = columns_of(lines)
    size = (1.8 + 1.3 * len(columns), 0.9 + 0.22 * len(lines))
    figure, grid = subplots(size, 1, len(columns), squeeze=False, sharey=True)
    for axes, column in zip(grid[0], columns, strict=True):
        _draw(axes, lines, column)
    grid[0][0].set_yticks(range(len(lines)), [line.title for line in lines])
    grid[0][0].set_ylim(len(lines) - 0.5, -0.5)
    figure.suptitle(f"{title}: in %, with 95 % intervals; dashed: what the others are compared with")
    save(figure, *paths)


def _draw(axes: Axes, lines: Sequence[Line], column: str) -> None:
    groups = list(dict.fromkeys(line.baseline or line.title for line in lines))
    for place, line in enumerate(lines):
        if (score := line.scores.get(column)) is None:
            continue
        look = groups.index(line.baseline or line.title)
        colour, marker = COLOURS[look % len(COLOURS)], MARKERS[look % len(MARKERS)]
        ends = [100 * end for end in score.interval]
        axes.plot(ends, [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot(100 * score.value, place, marker, color=colour)
        if any(other.baseline == line.title for other in lines):
            axes.axvline(100 * score.value, color=colour, linestyle="--", linewidth=0.8, zorder=0)
    axes.set_title(column)
    axes.grid(axis="x")
