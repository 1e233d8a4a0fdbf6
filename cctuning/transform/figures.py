"""Figures of a fit, from `transform_report.json`: what more pairs would bring, and how layers differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, LogLocator

from cctuning.reporting.plots import COLOURS, WIDTH, legend_beside, save, style, subplots

_RIDGE, _PLAIN, _IDENTITY = COLOURS[:3]
_MEAN = "0.35"


@style()
def plot_learning_curve(report: Mapping[str, Any], path: str | Path) -> None:
    """Relative error on held-out pairs against the number of pairs fitted, beside the baselines."""
    points = report["learning_curve"]
    pairs = [point["pairs"] for point in points]
    figure, axes = subplots((WIDTH, 3.9))
    plain = _values([point["plain_relative_error"] for point in points])
    ridge = _values([point["relative_error"] for point in points])
    axes.plot(pairs, plain, "s--", color=_PLAIN, label="plain least squares")
    axes.plot(pairs, ridge, "o-", color=_RIDGE, linewidth=2, label="ridge regression")
    _line(axes, report["identity"]["relative_error"], _IDENTITY, "-.", "identity: F itself")
    _line(axes, report["layer_mean"]["relative_error"], _MEAN, ":", "mean of each layer")
    square = pairs[-1] / report["rows_per_dimension"]
    if pairs[0] <= square <= pairs[-1]:
        axes.axvline(square, color="0.7", linewidth=1, zorder=0)
        axes.annotate(
            " rows = d", (square, 0.02), xycoords=("data", "axes fraction"), va="bottom", color="0.4"
        )
    axes.set(xscale="log", xlabel="pairs fitted", ylabel="relative error")
    axes.set_xticks(pairs, [f"{number:,}" for number in pairs])
    if any(value > 0 for value in [*plain, *ridge]):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.minorticks_off()
    axes.set_title(f"‖F W − F_en‖ / ‖F_en‖ on {report['held_out_pairs']:,} held-out pairs")
    axes.grid()
    legend_beside(axes)
    save(figure, path)


@style()
def plot_error_per_layer(report: Mapping[str, Any], path: str | Path) -> None:
    """Relative error, R² (0: no better than the layer's mean) and cosine of every layer on held-out pairs."""
    layers = report["per_layer"]
    first = report.get("chosen_layer", 0)
    numbers = range(first, first + len(layers["r2"]))
    figure, (errors, scores) = subplots((WIDTH, 5.2), 2, sharex=True)
    errors.bar(numbers, _values(layers["relative_error"]), color=_RIDGE, width=0.7)
    errors.set(ylabel="relative error", title=f"per layer, on {report['held_out_pairs']:,} held-out pairs")
    scores.plot(numbers, _values(layers["r2"]), "o-", color=_RIDGE, linewidth=2, label="R² of F W_T")
    scores.plot(numbers, _values(layers["cosine"]), "s--", color=_PLAIN, label="cosine of F W_T and F_en")
    scores.plot(numbers, _values(layers["identity_r2"]), "^-.", color=_IDENTITY, label="R² of the identity")
    # The identity may be far worse than a layer's mean; its exact value is in the report.
    scores.set_ylim(bottom=max(scores.get_ylim()[0], -1.0), top=1.05)
    scores.set(xlabel="layer, from 0", ylabel="R², cosine")
    scores.axhline(0, color="0.7", linewidth=1, zorder=0)
    scores.xaxis.get_major_locator().set_params(integer=True)
    legend_beside(scores)
    for axes in (errors, scores):
        axes.grid(axis="y")
    save(figure, path)


def _line(axes: Axes, value: float | None, colour: str, style: str, label: str) -> None:
    if value is not None:
        axes.axhline(value, color=colour, linestyle=style, label=label)


def _values(values: Sequence[float | None]) -> list[float]:
    """Numbers to draw: a layer without a value leaves a gap."""
    return [float("nan") if value is None else value for value in values]
