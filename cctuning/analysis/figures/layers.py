"""Curves over layers: upper bounds and gains, every language thin and their mean thick."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cctuning.analysis.figures.parts import Content, own_languages, percents
from cctuning.reporting.plots import COLOURS, MARKERS, WIDTH, layer_ticks, subplots

_SIDES = ("source", "target")


def draw_bounds(bounds: Content, title: str) -> Figure:
    """Bounds by source and by target layer (eq. 5, 6) beside the original and the upper bound (eq. 4).

    And, where it is known, beside what the upper bound would be by chance.
    """
    figure, panels = subplots((WIDTH, 3.0), 1, 2, sharey=True)
    figure.suptitle(title)
    levels = {
        "instance-aware upper bound": ("upper_bound", "-.", COLOURS[2]),
        "original": ("original", "--", COLOURS[1]),
        "upper bound by chance": ("chance_bound", (0, (1, 1, 3, 1)), COLOURS[4]),
        "asked in the source language": ("source", ":", COLOURS[3]),
    }
    known = {label: level for label, level in levels.items() if level[0] in bounds}
    for axes, side in zip(panels, _SIDES, strict=True):
        _curves(axes, bounds[f"bound_by_{side}_layer"], COLOURS[0], "o", "bound")
        for label, (quantity, dashes, colour) in known.items():
            mean = percents(bounds[quantity]["mean"]["value"])
            axes.axhline(mean, linestyle=dashes, color=colour, linewidth=1.2, label=label)
        _finish(axes, side, bounds[f"bound_by_{side}_layer"])
    panels[0].set_ylabel("accuracy, %")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def draw_gains(outcomes: Mapping[str, Content], title: str) -> Figure:
    """The average change of accuracy by layer, by source and by target layer; `outcomes` by sub-layer."""
    figure, panels = subplots((WIDTH, 2.9), 1, 2, sharey=True)
    figure.suptitle(title)
    for axes, side in zip(panels, _SIDES, strict=True):
        for number, (sublayer, quantities) in enumerate(outcomes.items()):
            _curves(
                axes,
                quantities[f"gain_by_{side}_layer"],
                COLOURS[number],
                MARKERS[number],
                sublayer,
                each=len(outcomes) == 1,
            )
        axes.axhline(0, color="0.3", linewidth=0.6)
        _finish(axes, side, quantities[f"gain_by_{side}_layer"])
    panels[0].set_ylabel("change of accuracy, points")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _curves(
    axes: Axes, estimates: Content, colour: str, marker: str, name: str, *, each: bool = True
) -> None:
    languages = own_languages(estimates)
    for number, language in enumerate(languages if each and len(languages) > 1 else []):
        label = "each language" if number == 0 else None
        axes.plot(percents(estimates[language]["value"]), color="0.75", linewidth=0.5, label=label)
    mean = estimates["mean"]
    values, low, high = (np.array(percents(mean[end]), dtype=float) for end in ("value", "low", "high"))
    layers = np.arange(len(values))
    band: dict[str, Any] = {"color": colour, "alpha": 0.2}
    axes.fill_between(layers, low, high, linewidth=0, label=f"95 % interval, {name}", **band)
    # Not every layer has an interval, and a band needs two beside each other.
    known = np.pad(~np.isnan(low), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    axes.vlines(layers[alone], low[alone], high[alone], linewidth=4, **band)
    axes.plot(values, marker=marker, color=colour, markersize=2.5, linewidth=1.4, label=f"{name}, mean")


def _finish(axes: Axes, side: str, estimates: Content) -> None:
    axes.set_xlabel(f"{side} layer, from 0")
    axes.set_xticks(layer_ticks(len(estimates["mean"]["value"])))
    axes.grid()
