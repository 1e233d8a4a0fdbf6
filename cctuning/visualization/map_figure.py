"""Representations on a plane, a panel per model: a language is a colour and a marker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")  # figures are files; no screen is needed
from matplotlib import pyplot as plt

from cctuning.evaluation.results.figures import COLOURS, MARKERS

if TYPE_CHECKING:
    from cctuning.visualization.maps import ModelMap


def plot_maps(maps: Sequence[ModelMap], paths: Sequence[str | Path]) -> None:
    """Writes the figure to `paths`, which end in the formats to write. The axes of t-SNE have no unit."""
    figure, panels = plt.subplots(
        1, len(maps), figsize=(4.3 * len(maps) + 1, 5), layout="constrained", squeeze=False
    )
    for axes, one in zip(panels.flat, maps, strict=True):
        for number, (language, points) in enumerate(one.points.items()):
            style = _style(number)
            axes.scatter(
                *points.T, label=language, s=20, alpha=0.75, linewidths=0.2, edgecolors="white", **style
            )
        means = one.means
        axes.set_title(
            f"{one.name} ({_connected(one.connection)})\n"
            f"cosine: parallel {means['parallel']:.3f}, other {means['other']:.3f}; "
            f"retrieval {means['retrieval']:.1%}",
            fontsize="medium",
        )
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", "datalim")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 12), fontsize="small")
    for path in paths:
        figure.savefig(path, dpi=150)
    plt.close(figure)


def _style(number: int) -> dict[str, str]:
    """A colour and a marker that no other of 49 languages has together."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],
    }


def _connected(connection: str) -> str:
    return "not connected" if connection == "none" else f"connected: {connection}"
