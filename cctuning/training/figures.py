"""Figures of a training run, from its metrics file: the loss, and what the Decision Maker chose."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import colormaps

from cctuning.reporting.plots import AMOUNTS, LINES, WIDTH, legend_beside, save, style, subplots
from cctuning.training.metrics import CHOICE_ENTROPY, EVALUATED_LOSS, LAYER_SHARE


@style()
def plot_loss(
    metrics: Sequence[dict[str, Any]],
    path: str | Path,
    *,
    evaluated: Sequence[dict[str, Any]] = (),
    title: str = "training loss",
) -> None:
    """Loss over steps, in nats per label token: over all rows, and per language.

    `evaluated` are the lines with the loss on rows that are not trained on.
    """
    figure, axes = subplots((WIDTH, 3.9))
    steps = [line["step"] for line in metrics]
    languages = sorted({name for line in metrics for name in line if name.startswith("loss/")})
    marker = "o" if len(metrics) < 20 else ""
    for number, name in enumerate(languages):
        points = [(line["step"], line[name]) for line in metrics if name in line]
        axes.plot(
            *zip(*points, strict=True),
            label=name.removeprefix("loss/"),
            color=colormaps[AMOUNTS](number / max(len(languages) - 1, 1)),
            linestyle=LINES[number % len(LINES)],
            linewidth=0.9,
            marker=marker,
            markersize=3,
        )
    axes.plot(
        steps, [line["loss"] for line in metrics], color="black", linewidth=2, marker=marker, label="all rows"
    )
    if evaluated:
        points = [(line["step"], line[EVALUATED_LOSS]) for line in evaluated]
        axes.plot(*zip(*points, strict=True), color="black", linestyle="--", marker="x", label="held out")
    axes.set(xlabel="step", ylabel="nats per label token", title=title)
    axes.set_ylim(bottom=0)
    axes.grid()
    legend_beside(axes, columns=1 + len(languages) // 20)
    save(figure, path)


@style()
def plot_layers(metrics: Sequence[dict[str, Any]], path: str | Path) -> bool:
    """The chosen layers over the steps (share of rows), and the entropy of the choice in nats.

    Returns whether there was anything to draw: a run without a connection has no choices.
    """
    lines = [line for line in metrics if f"{LAYER_SHARE}00" in line]
    if not lines:
        return False
    names = sorted(name for name in lines[0] if name.startswith(LAYER_SHARE))
    shares = [[line[name] for line in lines] for name in names]
    has_entropy = CHOICE_ENTROPY in lines[0]
    heights = [3, 1][: 1 + has_entropy]
    figure, panels = subplots((WIDTH, 4.4), len(heights), squeeze=False, height_ratios=heights)
    axes = panels[0, 0]
    steps = [line["step"] for line in lines]
    # A line of the metrics file sums up the steps since the one before.
    edges = [0, *steps], [layer - 0.5 for layer in range(len(names) + 1)]
    image = axes.pcolormesh(*edges, shares, cmap=AMOUNTS, vmin=0, vmax=1)
    axes.set(ylabel="layer, from 0", title="layer chosen")
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.colorbar(image, ax=axes, label="share of rows")
    if has_entropy:
        highest = math.log(len(names))
        entropy = [line[CHOICE_ENTROPY] for line in lines]
        panels[1, 0].axhline(highest, color="grey", linestyle=":", label=f"log {len(names)}: no preference")
        panels[1, 0].stairs(entropy, edges[0], baseline=None, color="black", linewidth=1.5)
        panels[1, 0].set(ylabel="entropy, nats", ylim=(0, 1.15 * highest or None), xlim=axes.get_xlim())
        panels[1, 0].grid()
        figure.legend(*panels[1, 0].get_legend_handles_labels(), loc="outside lower center")
    panels[-1, 0].set_xlabel("step")
    save(figure, path)
    return True
