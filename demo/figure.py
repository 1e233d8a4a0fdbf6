"""The demo's figure: accuracy per language, one group of bars for every way to ask a model."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from demo.results import COLUMNS, MODELS, ROWS, SPLITS, Cells

COLOURS = {"none": "#9aa5b1", "monolingual": "#e0a030", "translated": "#4c9f70", "bilingual": "#2f6db5"}
CHANCE = 0.1  # ten possible answers to every question


def draw(cells: Cells, path: Path, *, seeds: int) -> None:
    """Writes the figure to `path`; error bars are standard deviations over seeds."""
    figure, axes = plt.subplots(
        len(SPLITS), len(MODELS), figsize=(13, 6.2), sharey=True, sharex="col", width_ratios=[1, 2.2, 2.2]
    )
    for row, (split, split_title) in zip(axes, SPLITS.items(), strict=True):
        for axis, (model, title) in zip(row, MODELS.items(), strict=True):
            _bars(axis, cells, split, model)
            axis.set_title(f"{title}, {split_title}", fontsize=10)
        row[0].set_ylabel("accuracy")
    handles, labels = axes[0][1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False)
    figure.suptitle(_title(seeds), fontsize=12)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _bars(axis: plt.Axes, cells: Cells, split: str, model: str) -> None:
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
            color=COLOURS[inference],
            label=inference,
        )
    axis.axhline(CHANCE, color="#b03030", linewidth=0.9, linestyle=":", label="chance")
    axis.set_xticks(range(len(ROWS)), list(ROWS))
    axis.set_ylim(0, 1.05)
    axis.spines[["top", "right"]].set_visible(False)


def _title(seeds: int) -> str:
    over = f"means of {seeds} seeds, lines: standard deviation" if seeds > 1 else "one seed"
    return f"CC-Tuning in six languages, with the Decision Maker and with the last layer alone ({over})"
