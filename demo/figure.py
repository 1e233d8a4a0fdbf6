"""The demo's figure: accuracy per language, one group of bars for every way to ask a model."""

from pathlib import Path

from matplotlib.axes import Axes

from cctuning.reporting.plots import COLOURS, save, style, subplots
from demo.results import COLUMNS, MODELS, ROWS, SPLITS, Cells

_COLOURS = {"none": "0.65", "monolingual": COLOURS[4], "translated": COLOURS[2], "bilingual": COLOURS[0]}
CHANCE = 0.1  # ten possible answers to every question


@style()
def draw(cells: Cells, path: Path, *, seeds: int) -> None:
    """Writes the figure to `path`; error bars are standard deviations over seeds."""
    figure, axes = subplots(
        (10, 4.8), len(SPLITS), len(MODELS), sharey=True, sharex="col", width_ratios=[1, 2.2, 2.2]
    )
    for row, (split, split_title) in zip(axes, SPLITS.items(), strict=True):
        for axis, (model, title) in zip(row, MODELS.items(), strict=True):
            _bars(axis, cells, split, model)
            axis.set_title(f"{title}, {split_title}")
        row[0].set_ylabel("accuracy")
    handles, labels = axes[0][1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    figure.suptitle(_title(seeds))
    save(figure, path)


def _bars(axis: Axes, cells: Cells, split: str, model: str) -> None:
    shown = [(inference, title) for (name, inference), title in COLUMNS.items() if name == model]
    width = 0.8 / len(shown)
    for place, (inference, title) in enumerate(shown):
        own = cells[split][title]
        axis.bar(
            [number + (place - (len(shown) - 1) / 2) * width for number in range(len(ROWS))],
            [own[language].mean for language in ROWS],
            width=width * 0.92,
            yerr=[own[language].spread or 0.0 for language in ROWS],
            error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
            color=_COLOURS[inference],
            label=inference,
        )
    axis.axhline(CHANCE, color=COLOURS[1], linewidth=0.9, linestyle=":", label="chance")
    axis.set_xticks(range(len(ROWS)), list(ROWS))
    axis.set_ylim(0, 1.05)


def _title(seeds: int) -> str:
    over = f"means of {seeds} seeds, lines: standard deviation" if seeds > 1 else "one seed"
    return f"CC-Tuning in six languages, with the Decision Maker and with the last layer alone ({over})"
