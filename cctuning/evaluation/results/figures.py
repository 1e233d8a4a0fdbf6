"""The figure of one evaluation: every benchmark's score per language, with its interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from cctuning.evaluation.results.score_rows import ScoreRow, described, score_rows
from cctuning.reporting.plots import COLOURS, MARKERS, panels, save, style

_BAR: dict[str, Any] = {"linewidth": 2, "solid_capstyle": "butt"}


@style()
def plot_scores(results: Mapping[str, Any], paths: Sequence[str | Path]) -> None:
    """One panel per benchmark: the metric that the papers report, in %, with its 95 % interval.

    The dashed line is the mean over languages, the band its interval. `paths` end in the formats to write.
    """
    rows = [row for row in score_rows(results) if row.is_main]
    benchmarks = dict.fromkeys(row.benchmark for row in rows)
    figure, grid = panels(len(benchmarks), 2, lambda lines, columns: (1.0 + 4 * columns, 0.5 + 2.1 * lines))
    for axes, name in zip(grid, benchmarks, strict=True):
        _plot_benchmark(axes, [row for row in rows if row.benchmark == name])
    figure.suptitle(f"{described(results)}\ndashed: mean over languages; bars and band: 95 % intervals")
    save(figure, *paths)


def _plot_benchmark(axes: Axes, rows: Sequence[ScoreRow]) -> None:
    *languages, mean = rows
    for place, row in enumerate(languages):
        axes.plot([place, place], [100 * end for end in row.interval], color=COLOURS[0], **_BAR)
        axes.plot(place, 100 * row.value, MARKERS[0], color=COLOURS[0], clip_on=False)
    axes.axhspan(*(100 * end for end in mean.interval), color=COLOURS[1], alpha=0.15, linewidth=0)
    axes.axhline(100 * mean.value, color=COLOURS[1], linestyle="--", linewidth=1)
    axes.set_xticks(range(len(languages)), [str(row.language) for row in languages])
    axes.set_title(f"{mean.title}: mean {100 * mean.value:.1f}")
    axes.set(ylabel=f"{mean.metric.partition(',')[0]}, %", xlim=(-0.6, len(languages) - 0.4))
    axes.set_ylim(bottom=0, top=min(105, axes.get_ylim()[1]))
    axes.grid(axis="y")
