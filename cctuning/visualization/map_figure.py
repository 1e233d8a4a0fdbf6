"""Representations on a plane, a panel per model: a language is a colour and a marker."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cctuning.reporting.plots import COLOURS, MARKERS, save, style, subplots
from cctuning.visualization.maps import ModelMap


@style()
def plot_maps(maps: Sequence[ModelMap], paths: Sequence[str | Path]) -> None:
    """Writes the figure to `paths`, which end in the formats to write. The axes of t-SNE have no unit."""
    figure, panels = subplots((3.6 * len(maps) + 0.8, 4.2), 1, len(maps), squeeze=False)
    for axes, model in zip(panels.flat, maps, strict=True):
        for number, (language, points) in enumerate(model.points.items()):
            look = {"s": 16, "alpha": 0.75, "linewidths": 0.2, "edgecolors": "white"} | _sign(number)
            axes.scatter(*points.T, label=language, **look)
        means = model.means
        axes.set_title(
            f"{model.name} ({_connected(model.connection)})\n"
            f"cosine: parallel {means['parallel']:.3f}, other {means['other']:.3f}; "
            f"retrieval {means['retrieval']:.1%}"
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        axes.set_aspect("equal", "datalim")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 12))
    save(figure, *paths)


def _sign(number: int) -> dict[str, Any]:
    """A colour and a marker that no other of 49 languages has together."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],
    }


def _connected(connection: str) -> str:
    return "not connected" if connection == "none" else f"connected: {connection}"
