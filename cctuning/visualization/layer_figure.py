"""The layers that connections took, as maps: a row per language, a panel per benchmark and evaluation."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from cctuning.reporting.plots import AMOUNTS, save, style, subplots
from cctuning.visualization.chosen_layers import LayerChoices, TaskChoices

_LANGUAGE, _LAYER = 0.17, 0.22  # inches, of a row and of a column
_NARROWEST = 2.4  # inches, of a panel


@style()
def plot_choices(evaluations: Sequence[LayerChoices], paths: Sequence[str | Path]) -> None:
    """Writes the figure to `paths`, which end in the formats to write.

    Colour is the share of the answers with a layer; a language whose answers have none stays blank.
    """
    benchmarks = list(
        dict.fromkeys(task.benchmark for evaluation in evaluations for task in evaluation.tasks)
    )
    tasks_shown = [
        [[task for task in evaluation.tasks if task.benchmark == name] for evaluation in evaluations]
        for name in benchmarks
    ]
    heights = [max(len(tasks) for tasks in row) for row in tasks_shown]
    widths = [max(_LAYER * evaluation.layers, _NARROWEST) for evaluation in evaluations]
    width = 0.9 + sum(column + 0.4 for column in widths)
    height = 1.6 + sum(_LANGUAGE * rows + 0.15 for rows in heights)
    figure, grid = subplots(
        (width, height),
        len(benchmarks),
        len(evaluations),
        squeeze=False,
        height_ratios=heights,
        width_ratios=widths,
    )
    for row, name in enumerate(benchmarks):
        for column, evaluation in enumerate(evaluations):
            axes = grid[row, column]
            if not tasks_shown[row][column]:
                axes.set_visible(False)
                continue
            _draw(axes, tasks_shown[row][column], evaluation.layers)
            if column == 0:
                axes.set_ylabel(name)
            if row == 0:
                axes.set_title(evaluation.name)
            if row == len(benchmarks) - 1:
                axes.set_xlabel("layer, from 0")
            else:
                axes.tick_params(labelbottom=False)
    colours = ScalarMappable(Normalize(0, 1), AMOUNTS)
    figure.colorbar(colours, ax=grid, location="bottom", label="share of the connected answers", aspect=30)
    save(figure, *paths)


def _draw(axes: Axes, tasks: Sequence[TaskChoices], layers: int) -> None:
    shares = [
        [task.share(layer) if task.counts else float("nan") for layer in range(layers)] for task in tasks
    ]
    axes.imshow(shares, cmap=AMOUNTS, vmin=0, vmax=1, aspect="auto", interpolation="none")
    axes.set_yticks(range(len(tasks)), [task.language for task in tasks])
    axes.tick_params(labelsize=6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
