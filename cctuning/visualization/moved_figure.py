"""Figure of what the connection moves, layer by layer, for all models."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cctuning.reporting.plots import COLOURS, MARKERS, WIDTH, layer_ticks, save, style, subplots
from cctuning.visualization.moved import MovedLayer


@style()
def plot_moved(
    models: Mapping[str, Sequence[MovedLayer]], paths: Sequence[str | Path], *, chance: float
) -> None:
    """Writes the figure to `paths`, which end in the formats to write: size, differences, retrieval.

    `chance`: of retrieval, in [0, 1]. Dashed is F as it is, solid less the mean, dotted F·W_T less the mean.
    """
    figure, (sizes, parts, hits) = subplots((WIDTH, 2.9), 1, 3)
    for number, (name, layers) in enumerate(models.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        places = [layer.layer for layer in layers]
        look = {"color": colour, "marker": marker, "markersize": 3, "linewidth": 1}
        sizes.plot(places, [layer.size_over_first for layer in layers], label=name, **look)
        parts.plot(places, [100 * layer.differs for layer in layers], **look)
        hits.plot(
            places, [100 * layer.retrieval for layer in layers], linestyle="--", **look | {"marker": ""}
        )
        hits.plot(places, [100 * layer.retrieval_centred for layer in layers], **look)
        if layers[0].transformed_centred is not None:
            transformed = [100 * (layer.transformed_centred or 0.0) for layer in layers]
            hits.plot(places, transformed, linestyle=":", **look)
    hits.axhline(100 * chance, color="grey", linewidth=0.8)
    sizes.set_yscale("log")
    _label(sizes, "size of F_en", "over the first layer's own output")
    _label(parts, "what differs between sentences", "% of F_en")
    _label(hits, "F is nearest to its own F_en", "% of sentences")
    ticks = layer_ticks(max(len(layers) for layers in models.values()))
    for axes in (sizes, parts, hits):
        axes.set_xticks(ticks)
    parts.set_ylim(0, 100)
    hits.set_ylim(0, 100)
    kinds = {"as it is": "--", "less the mean": "-", "F·W_T, less the mean": ":"}
    if all(layers[0].transformed is None for layers in models.values()):
        del kinds["F·W_T, less the mean"]
    lines = [Line2D([], [], color="black", linestyle=line, label=name) for name, line in kinds.items()]
    lines.append(Line2D([], [], color="grey", linewidth=0.8, label="by chance"))
    figure.legend(
        handles=[*sizes.get_legend_handles_labels()[0], *lines],
        loc="outside lower center",
        ncols=min(4, len(models) + len(lines)),
    )
    save(figure, *paths)


def _label(axes: Axes, title: str, ylabel: str) -> None:
    axes.set(title=title, xlabel="layer, from 0", ylabel=ylabel)
    axes.grid()
